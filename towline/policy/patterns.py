"""Source patterns: which repositories they match, what they capture, and which two can meet in one repository."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

import re2

from schemas.patterns import SourcePattern, TargetPattern, fill_placeholders
from schemas.references import Repository

ItemT = TypeVar("ItemT")

Row = Sequence[tuple[ItemT, bool]]
"""What follows on what, and whether it may be there any number of times, also not at all."""

_WILDCARD: Final = re.compile(r"\*\*|\*")
#: Many patterns match few repositories over and over.
_COMPILED_MAX: Final = 16_384


@lru_cache(maxsize=_COMPILED_MAX)
def _compiled(path: str) -> "re2._Regexp[str]":
    # RE2, because a path with several * in one part can take the other engine minutes to find that nothing matches.
    parts: list[str] = []
    end = 0
    for wildcard in _WILDCARD.finditer(path):
        parts.append(re2.escape(path[end : wildcard.start()]))
        parts.append("(.+)" if wildcard[0] == "**" else "([^/]*)")
        end = wildcard.end()
    parts.append(re2.escape(path[end:]))
    return re2.compile("".join(parts))


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
    return rows_can_meet(_row_of_parts(first.path), _row_of_parts(second.path), _parts_fit)


def _row_of_parts(path: str) -> Row[str]:
    row: list[tuple[str, bool]] = []
    for part in path.split("/"):
        # ** is any part, and any number of further ones.
        row += [("*", False), ("*", True)] if part == "**" else [(part, False)]
    return row


@lru_cache(maxsize=_COMPILED_MAX)
def _parts_fit(first: str, second: str) -> bool:
    one, two = ([(char, char == "*") for char in part] for part in (first, second))
    return rows_can_meet(one, two, lambda a, b: a == b or "*" in {a, b})


def rows_can_meet(first: Row[ItemT], second: Row[ItemT], fits: Callable[[ItemT, ItemT], bool]) -> bool:
    """Tell whether two rows can be one. Each item is there once, or, when so marked, any number of times."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        one = first[at[0]] if at[0] < len(first) else None
        two = second[at[1]] if at[1] < len(second) else None
        if one is None and two is None:
            return True
        if one is not None and one[1]:
            todo.append((at[0] + 1, at[1]))
        if two is not None and two[1]:
            todo.append((at[0], at[1] + 1))
        if one is not None and two is not None and fits(one[0], two[0]):
            todo.append((at[0] + (not one[1]), at[1] + (not two[1])))
    return False
