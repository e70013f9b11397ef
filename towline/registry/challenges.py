"""Challenges of a 401 (RFC 9110, section 11): what a server wants to see."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+|$|(?=,))")
_SEPARATORS = re.compile(r"[ \t,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header: its scheme in lower case, its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Read ``WWW-Authenticate`` values (RFC 9110, section 11.6.1); what cannot be read ends its value."""
    found: list[Challenge] = []
    for value in values:
        position = _skip(value, 0)
        current: Challenge | None = None
        while position < len(value):
            if current is not None and (match := _PARAMETER.match(value, position)):
                text = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
                current.parameters.setdefault(match[1].lower(), text)
            elif match := _SCHEME.match(value, position):
                current = Challenge(match[1].lower(), {})
                found.append(current)
            else:
                break
            position = _skip(value, match.end())
    return found


def _skip(value: str, position: int) -> int:
    match = _SEPARATORS.match(value, position)
    return match.end() if match else position
