"""Source patterns: which repositories they match, what they capture, and which two can meet in one repository."""

import re
from functools import lru_cache
from typing import Final

from schemas.patterns import SourcePattern, TargetPattern, fill_placeholders
from schemas.references import Repository

_WILDCARD: Final = re.compile(r"\*\*|\*")
#: Many patterns match few repositories over and over.
_COMPILED_MAX: Final = 16_384


@lru_cache(maxsize=_COMPILED_MAX)
def _compiled(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for wildcard in _WILDCARD.finditer(path):
        parts.append(re.escape(path[end : wildcard.start()]))
        # Two * in one part could make a match slow; a part has at most 255 characters and few of them.
        parts.append("(.+)" if wildcard[0] == "**" else "([^/]*)")
        end = wildcard.end()
    parts.append(re.escape(path[end:]))
    return re.compile("".join(parts))


def match(pattern: SourcePattern, repository: Repository) -> dict[str, str] | None:
    """Return what the placeholders of a target stand for when ``pattern`` matches, or None when it does not.

    The placeholders are ``repository`` and, for each wildcard from the left, ``1``, ``2`` ...
    """
    if pattern.registry != repository.registry:
        return None
    values = {"repository": repository.name}
    if "*" not in pattern.path:
        return values if pattern.path == repository.name else None
    matched = _compiled(pattern.path).fullmatch(repository.name)
    if matched is None:
        return None
    return values | {str(number): text for number, text in enumerate(matched.groups(), 1)}


def captures(pattern: SourcePattern) -> dict[str, str]:
    """Return each placeholder that a target may use, with the wildcard it stands for."""
    return {"repository": pattern.path} | {
        str(number): wildcard for number, wildcard in enumerate(_WILDCARD.findall(pattern.path), 1)
    }


def generalise(target: TargetPattern, source: SourcePattern) -> SourcePattern | None:
    """Return the repositories that a target can be, as a pattern; None when a placeholder has no value."""
    try:
        path = fill_placeholders(target.path, captures(source))
    except ValueError:
        return None
    # `web-{1}` with ** has it in the middle of a part, where it may bring further parts.
    parts = ["**" if "**" in part else part for part in path.split("/")]
    return SourcePattern(target.registry, "/".join(parts))


def can_meet(first: SourcePattern, second: SourcePattern) -> bool:
    """Tell whether some repository is matched by both patterns. Never wrongly False."""
    if first.registry != second.registry:
        return False
    return _meet(tuple(first.path.split("/")), tuple(second.path.split("/")))


@lru_cache(maxsize=_COMPILED_MAX)
def _meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first or not second:
        return not first and not second
    if first[0] == "**" or second[0] == "**":
        if first[0] != "**":
            first, second = second, first
        # ** takes one part of the other, and either ends or goes on.
        return (
            _meet(first[1:], second[1:]) or _meet(first, second[1:]) or (second[0] == "**" and _meet(first[1:], second))
        )
    return parts_can_meet(first[0], second[0]) and _meet(first[1:], second[1:])


@lru_cache(maxsize=_COMPILED_MAX)
def parts_can_meet(first: str, second: str) -> bool:
    """Tell whether some text fits both, where ``*`` stands for any characters."""
    if not first or not second:
        return not (first + second).strip("*")
    if first[0] == "*":
        return parts_can_meet(first[1:], second) or parts_can_meet(first, second[1:])
    if second[0] == "*":
        return parts_can_meet(first, second[1:]) or parts_can_meet(first[1:], second)
    return first[0] == second[0] and parts_can_meet(first[1:], second[1:])
