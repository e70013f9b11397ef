"""``towline replay what-if``."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from schemas.policies import PolicySet
from streams.cli.inputs import AsJson, SliceFile, read_text
from streams.cli.output import note, print_json, print_table, progress_bar, run, say
from streams.cli.source import quarantined, reading
from streams.cli.what_if_page import page
from streams.moments import instant
from streams.replay.report import TITLES, Report, report_of
from streams.replay.what_if import Stage, WhatIf, what_if
from towline.errors import MisuseError
from towline.policy.document import read_policies
from towline.replay.differences import KINDS, Change, TagChange
from towline.replay.shadows import ShadowReport, against_shadow
from towline.settings import Settings, load_settings

_Row = tuple[object, ...]


def what_if_command(
    policies: Annotated[str, typer.Argument(metavar="POLICIES", help="A policy file; - for standard input.")],
    *,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Where the window begins; else with the log.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Where it ends; else with the log.")] = None,
    against: Annotated[
        str | None,
        typer.Option("--against-shadow", metavar="POLICY", help="Also compare what this policy decided in shadow."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page too.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind that the table shows; 0 for all.")] = 20,
    from_scratch: Annotated[
        bool, typer.Option("--full", help="Evaluate every repository anew, also those that nothing changes for.")
    ] = False,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what other policies would have made of the past: what would have been promoted, held, denied.

    TIME is 2026-11-24T14:00Z, 2026-11-24 (its beginning in UTC) or now. Reads only. Exits with 0 also when something
    changes, and with 2 when the policy file may not be applied.
    """
    run(_what_if(_Asked(policies, from_, to, against, slice_file, from_scratch), html, None if as_json else limit))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be evaluated."""

    file: str
    from_: str | None
    to: str | None
    against: str | None
    slice_file: Path | None
    from_scratch: bool


async def _what_if(asked: _Asked, html: Path | None, limit: int | None) -> int:
    """Report; as a table of ``limit`` rows of each kind, or as JSON when that is None."""
    settings, against = load_settings(), asked.against
    # Whoever replays somebody else's slice has other registries, or none.
    registries = settings.registries if asked.slice_file is None else None
    proposed = read_policies(read_text(asked.file), registries, asked.file)
    if against is not None and all(policy.name != against for policy in proposed.policies):
        raise MisuseError(f"{asked.file} has no policy {against!r}, so there is nothing to compare with its shadow")
    result = await _evaluate(settings, asked, proposed)
    report = report_of(result, None if against is None else _shadow(against, result))
    if html is not None:
        _write(html, page(report, asked.file))
    if limit is None:
        print_json(report)
    else:
        print_report(report, limit)
    return 0


def _window(start: str | None, end: str | None) -> tuple[str | None, str | None]:
    from_time = None if start is None else instant(start)
    to_time = None if end is None else instant(end)
    if from_time is not None and to_time is not None and from_time > to_time:
        raise MisuseError(f"the window ends at {to_time}, before it begins at {from_time}")
    return from_time, to_time


async def _evaluate(settings: Settings, asked: _Asked, proposed: PolicySet) -> WhatIf:
    from_time, to_time = _window(asked.from_, asked.to)
    async with reading(asked.slice_file) as log:
        with progress_bar() as bar:
            task = bar.add_task("reading the log", total=None)

            def show(stage: Stage, done: int, total: int) -> None:
                bar.update(task, description=stage, completed=done, total=total)

            return await what_if(
                log,
                proposed,
                from_time=from_time,
                to_time=to_time,
                quarantined=quarantined(log, settings),
                always=() if asked.against is None else (asked.against,),
                from_scratch=asked.from_scratch,
                progress=show,
            )


def _shadow(policy: str, result: WhatIf) -> ShadowReport:
    shadow = against_shadow(policy, result.recorded, result.proposed)
    if not shadow.judged:
        raise MisuseError(f"no decision of {policy!r} in shadow is recorded in the window; was its mode shadow then?")
    return shadow


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MisuseError(f"cannot write {path}: {error.strerror}") from None
    note(f"written: {path}")


def print_report(report: Report, limit: int) -> None:
    """Print a report for people; of each kind of change up to ``limit`` rows, all when that is 0."""
    window = report.window
    begins, ends = window.from_time or window.log_begins or "-", window.to_time or window.log_ends or "-"
    reached = "all repositories" if report.repositories is None else f"{report.repositories} repositories"
    say(f"{window.events} events from {begins} to {ends}, {reached} that the changes can reach")
    say(f"changed policies: {', '.join(report.changed_policies) or 'none'}")
    for text in report.notes:
        say(f"note: {text}")
    if report.total:
        say()
        print_table(
            ("POLICY", *(TITLES[kind].upper() for kind in KINDS if report.counts[kind])),
            [
                (changes.policy, *(len(getattr(changes, kind)) for kind in KINDS if report.counts[kind]))
                for changes in report.policies
            ],
        )
    for kind in KINDS:
        rows = [(changes.policy, *_row(one)) for changes in report.policies for one in getattr(changes, kind)]
        columns = ("SOURCE", "DIGEST", "WENT TO", "WOULD GO TO") if kind == "changed_tags" else _COLUMNS
        _print_some(TITLES[kind], ("POLICY", *columns), rows, limit)
    if report.shadow is not None:
        _print_shadow(report.shadow, limit)
    if not report.total:
        say("nothing would have come out otherwise")


_COLUMNS = ("SOURCE", "DIGEST", "TARGET", "TIME", "WHY")


def _row(one: Change | TagChange) -> _Row:
    if isinstance(one, TagChange):
        return one.source, one.digest, ", ".join(one.recorded), ", ".join(one.proposed)
    return one.source, one.digest, one.target or "-", one.time, one.reason


def _print_shadow(shadow: ShadowReport, limit: int) -> None:
    say()
    say(f"{shadow.policy} in shadow: {shadow.judged} judged, {shadow.agreed} wanted and done by enforced policies")
    for title, other, findings in (
        ("wanted, and not done", "ENFORCED", shadow.only_shadow),
        ("done, and not wanted", "ENFORCED", shadow.only_enforced),
        ("other than the what-if says", "WHAT-IF", shadow.what_if_differs),
    ):
        rows = [(one.source, one.digest, one.shadow or "-", one.other or "-", one.reason) for one in findings]
        _print_some(title, ("SOURCE", "DIGEST", "SHADOW", other, "WHY"), rows, limit)


def _print_some(title: str, columns: tuple[str, ...], rows: Iterable[_Row], limit: int) -> None:
    listed = list(rows)
    if not listed:
        return
    say()
    say(f"{title}: {len(listed)}")
    print_table(columns, listed[: limit or None])
    if limit and len(listed) > limit:
        say(f"and {len(listed) - limit} more; --limit 0, --json or --html has all of them")
