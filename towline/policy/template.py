"""Tag templates: DTR's 19 directives, resolved once, at the moment of the decision.

``%n`` is the source tag; the others are those of ``strftime`` in UTC with English names, written out here because the
C library's depend on the locale.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from schemas.patterns import fill_placeholders, placeholders_in
from schemas.references import Reference, Repository

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_DIRECTIVES: Final[Mapping[str, Callable[[datetime], str]]] = {
    "A": lambda moment: _WEEKDAYS[moment.weekday()],
    "a": lambda moment: _WEEKDAYS[moment.weekday()][:3],
    "w": lambda moment: str(moment.isoweekday() % 7),
    "d": lambda moment: f"{moment.day:02}",
    "B": lambda moment: _MONTHS[moment.month - 1],
    "b": lambda moment: _MONTHS[moment.month - 1][:3],
    "m": lambda moment: f"{moment.month:02}",
    "Y": lambda moment: str(moment.year),
    "y": lambda moment: f"{moment.year % 100:02}",
    "H": lambda moment: f"{moment.hour:02}",
    "I": lambda moment: f"{(moment.hour + 11) % 12 + 1:02}",
    "p": lambda moment: "AM" if moment.hour < 12 else "PM",
    "M": lambda moment: f"{moment.minute:02}",
    "S": lambda moment: f"{moment.second:02}",
    "f": lambda moment: f"{moment.microsecond:06}",
    "Z": lambda _: "UTC",
    "j": lambda moment: f"{moment.timetuple().tm_yday:03}",
    # Weeks begin on Monday; the days before the first Monday are week 0.
    "W": lambda moment: f"{(moment.timetuple().tm_yday + 6 - moment.weekday()) // 7:02}",
}

_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)
_LITERAL: Final = re.compile(r"[A-Za-z0-9._-]*")

#: The longest tag of the OCI distribution specification.
TAG_LENGTH_MAX: Final = 128

DIRECTIVES: Final = frozenset({"n", *_DIRECTIVES})


def directives_of(template: str) -> set[str]:
    """Return the directives that a template has, without the percent sign."""
    return {match[1] for match in _DIRECTIVE.finditer(template)}


def template_problem(template: str, captures: Mapping[str, str] | None = None) -> str | None:
    """Return what is wrong with a template whatever the tag, or None.

    ``captures`` is what the source provides: each placeholder with the text or wildcard that it stands for.
    """
    for match in _DIRECTIVE.finditer(template):
        if match[1] not in DIRECTIVES:
            return f"%{match[1]} is not a directive; there are {', '.join(f'%{name}' for name in sorted(DIRECTIVES))}"
    provided = captures or {}
    for name in placeholders_in(template):
        if name not in provided:
            return f"{{{name}}} stands for nothing that the source matches; {_provided(provided)}"
        if "/" in provided[name] or "**" in provided[name]:
            return f"{{{name}}} may contain /, which no tag can; use it in `target`, or a * that stands for one part"
    literal = _DIRECTIVE.sub("", fill_placeholders(template, dict.fromkeys(provided, "")))
    if not _LITERAL.fullmatch(literal):
        return "between directives only letters, digits and . _ - can be part of a tag"
    if template[0] in ".-":
        return "a tag cannot begin with . or -"
    if len(literal) > TAG_LENGTH_MAX:
        return f"a tag has at most {TAG_LENGTH_MAX} characters, and this template alone has {len(literal)}"
    return None


def _provided(captures: Mapping[str, str]) -> str:
    names = ", ".join(f"{{{name}}}" for name in captures)
    return f"it provides {names}" if names else "there is no source to take it from"


def resolve_tag(template: str, source_tag: str, moment: datetime) -> str:
    """Return the text that a template stands for at ``moment`` (aware, UTC). It may still break the tag grammar.

    Raises:
        ValueError: the template has an unknown directive. The check at apply refuses those; the log is not bound by it.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in DIRECTIVES:
            raise ValueError(f"%{match[1]} is not a directive")
        return source_tag if match[1] == "n" else _DIRECTIVES[match[1]](moment)

    return _DIRECTIVE.sub(value, template)


def resolve_target(template: str, source: Reference, target: Repository, moment: datetime) -> Reference:
    """Return where a policy puts the source tag.

    Raises:
        ValueError: the template has an unknown directive, or the resolved text is no valid tag, for example because it
            is longer than 128 characters.
    """
    return Reference.parse(f"{target}:{resolve_tag(template, source.tag, moment)}")
