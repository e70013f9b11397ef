"""A what-if as one page that can be shared: everything is in it, nothing in it runs, and no name in it is markup."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Final

from streams.printable import printable
from streams.replay.report import TITLES, Report
from towline.replay.differences import KINDS, PolicyChanges, TagChange
from towline.replay.shadows import ShadowFinding, ShadowReport

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2530; }
h1, h2, h3 { line-height: 1.2; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100%; }
th, td { border-bottom: 1px solid #d5dbe1; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
.count { text-align: right; }
"""
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-$digest'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What if: $title</title>
<style>$style</style>
</head>
<body>
<h1>What if: $title</h1>
<p>$window</p>
$body</body>
</html>
""")


def page(report: Report, title: str) -> str:
    """Return a report as HTML; ``title`` is what was tried."""
    window = report.window
    told = (
        f"{window.events} events from {window.from_time or window.log_begins or 'the beginning'} to "
        f"{window.to_time or window.log_ends or 'the end'}. Changed policies: "
        f"{', '.join(report.changed_policies) or 'none'}."
    )
    parts = [f"<p>{_text(note)}</p>\n" for note in report.notes]
    parts.append(_table(("Change", "Count"), [(TITLES[kind], report.counts[kind]) for kind in KINDS]))
    for changes in report.policies:
        parts += _policy(changes)
    if report.shadow is not None:
        parts += _shadow(report.shadow)
    return _PAGE.substitute(
        digest=_STYLE_DIGEST, style=_STYLE, title=_text(title), window=_text(told), body="".join(parts)
    )


def _policy(changes: PolicyChanges) -> Iterable[str]:
    yield f"<h2>Policy {_text(changes.policy)}</h2>\n"
    for kind in KINDS:
        items = getattr(changes, kind)
        if not items:
            continue
        yield f"<h3>{_text(TITLES[kind].capitalize())}: {len(items)}</h3>\n"
        if isinstance(items[0], TagChange):
            rows = [(one.source, one.digest, ", ".join(one.recorded), ", ".join(one.proposed)) for one in items]
            yield _table(("Source", "Digest", "Went to", "Would go to"), rows)
        else:
            yield _table(
                ("Source", "Digest", "Target", "Time", "Why"),
                [(one.source, one.digest, one.target or "", one.time, one.reason) for one in items],
            )


def _shadow(shadow: ShadowReport) -> Iterable[str]:
    yield f"<h2>Policy {_text(shadow.policy)} in shadow</h2>\n"
    yield f"<p>{shadow.judged} judged, {shadow.agreed} wanted and done.</p>\n"
    for title, other, findings in (
        ("Wanted, and not done", "Enforced policies", shadow.only_shadow),
        ("Done, and not wanted", "Enforced policies", shadow.only_enforced),
        ("Other than a what-if says", "What-if", shadow.what_if_differs),
    ):
        if findings:
            yield f"<h3>{title}: {len(findings)}</h3>\n" + _findings(other, findings)


def _findings(other: str, findings: list[ShadowFinding]) -> str:
    rows = [(one.source, one.digest, one.shadow or "", one.other or "", one.reason) for one in findings]
    return _table(("Source", "Digest", "Shadow", other, "Why"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _cell(value: object) -> str:
    return f'<td class="count">{value}</td>' if isinstance(value, int) else f"<td>{_text(value)}</td>"


def _text(value: object) -> str:
    return escape(printable(value), quote=True)
