"""One line of text for a chat: a template with named fields, replaced by nothing but what an event or decision says.

``{verdict}`` stands for a field, ``{{`` and ``}}`` for braces. What is put in is cleaned of control characters, cut,
and escaped as Slack's markup needs it, so that nobody who may name a tag can mention a channel or write a link.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.decisions import Decision
from schemas.events import PollFailed
from schemas.facts import ScanCompleted, ScanNoticed
from schemas.outcomes import Report
from towline.notify.bands import bands_of
from towline.notify.causes import Cause

Fields = dict[str, str | None]

#: What each field says.
FIELDS: Final[Mapping[str, str]] = {
    "event": "what is told, such as `decision.deny`",
    "status": "its last word: `pushed`, `completed`, `failed`, `skipped` …; of a decision the verdict",
    "verdict": "of a decision",
    "mode": "of a decision: `enforce` or `shadow`",
    "policy": "of a decision and of an outcome",
    "source": "where the image comes from; of a push, a deletion and a scan where it is",
    "target": "where it goes",
    "repository": "of the image; of a decision the source's, of an outcome the target's",
    "tag": "alike",
    "digest": "of the image",
    "actor": "who did it; of decisions and outcomes who asked, or pushed the image that all began with",
    "reason": "why: of a decision, a skip or a failure",
    "cause": "of a failure, from a closed list",
    "critical": "of a scan, vulnerabilities by CVSS score: 7.0 and more",
    "major": "4.0 to 6.9",
    "minor": "less",
    "time": "when it was recorded",
    "id": "of the event or decision in the log",
}
#: What stands for a field that the event does not have.
NONE: Final = "-"

#: Slack takes more and advises less; a longer one ends with an ellipsis.
_TEXT_LENGTH: Final = 8192
_VALUE_LENGTH: Final = 512
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

_PIECE: Final = re.compile(r"(\{\{|\}\}|\{[a-z_]*\})")
_SPACE: Final = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BRACES: Final = {"{{": "{", "}}": "}"}


def render(template: str, cause: Cause) -> str:
    """Return the text for a cause. Total: what is no field stays as it is, though no file with it passes the check."""
    fields = fields_of(cause)
    pieces: list[str] = []
    left = _TEXT_LENGTH
    for piece in _PIECE.split(template):
        text = _BRACES.get(piece, piece)
        if (name := piece[1:-1]) in FIELDS and piece == f"{{{name}}}":
            text = _cleaned(fields.get(name) or NONE)
        left -= len(text)
        if left < 0:
            return "".join([*pieces, _ELLIPSIS])
        pieces.append(text)
    return "".join(pieces)


def problems_in_template(template: str) -> Iterator[str]:
    """Yield what is wrong with a template: fields that there are not, and braces that belong to none."""
    for number, piece in enumerate(_PIECE.split(template)):
        if number % 2 == 0:
            if "{" in piece or "}" in piece:
                yield "a brace that belongs to no field is written twice: {{ or }}"
        elif piece not in _BRACES and piece[1:-1] not in FIELDS:
            yield f"there is no field {piece}; there are {', '.join(FIELDS)}"


def fields_of(cause: Cause) -> Fields:
    """Return what the fields stand for, as it is in the record; what it does not have is None or not there."""
    record = cause.record
    common: Fields = {"event": cause.name, "time": record.time, "id": record.id, "status": cause.name.partition(".")[2]}
    match record.data:
        case Decision() as data:
            return common | _of_decision(data)
        case Report() as data:
            return common | _of_outcome(data)
        case PollFailed() as data:
            return common | {"repository": str(data.source), "reason": data.detail, "cause": data.cause}
        case ScanCompleted() | ScanNoticed() as data:
            return common | _of_scan(data)
        case data:
            return common | _of_image(data)


def _of_decision(data: Decision) -> Fields:
    return {
        "verdict": data.verdict,
        "mode": data.mode,
        "policy": data.policy,
        "source": str(data.source),
        "target": None if data.target is None else str(data.target),
        "repository": str(data.source.repository),
        "tag": data.source.tag,
        "digest": data.digest,
        "actor": data.actor or data.pushed_by,
        "reason": data.reason,
    }


def _of_outcome(data: Any) -> Fields:
    return {
        "policy": data.policy,
        "source": str(data.source),
        "target": str(data.target),
        "repository": str(data.target.repository),
        "tag": data.target.tag,
        "digest": data.digest,
        "actor": data.pushed_by,
        "reason": getattr(data, "detail", None) or getattr(data, "reason", None),
        "cause": getattr(data, "cause", None),
    }


def _of_scan(data: ScanCompleted | ScanNoticed) -> Fields:
    counts = bands_of(data)
    found: Fields = {} if counts is None else {name: str(count) for name, count in counts.items()}
    return {**_of_image(data), **found, "status": "failed" if counts is None else "completed"}


def _of_image(data: Any) -> Fields:
    tag = getattr(data, "tag", None)
    return {
        "source": f"{data.repository}:{tag}" if tag else f"{data.repository}@{data.digest}",
        "repository": str(data.repository),
        "tag": tag,
        "digest": data.digest,
        "actor": data.actor,
    }


def _cleaned(value: str) -> str:
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", value))
    if len(text) > _VALUE_LENGTH:
        text = text[: _VALUE_LENGTH - 1] + _ELLIPSIS
    return text.translate(_ESCAPES)
