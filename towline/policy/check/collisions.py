"""Collisions: two source repositories from which different images could come under one target tag.

The decision core settles who gets a target tag within one source repository only, because another one's events may be
in another partition. So what passes here must never meet there: wherever this is not certain, the set is refused.
Policies of one and the same source repository may meet.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.policies import Policy
from towline import limits
from towline.policy.check.chosen import Chosen
from towline.policy.check.ends import Ends, ends_of
from towline.policy.check.problem import Problem
from towline.policy.check.routes import Route, can_share_target
from towline.policy.check.shapes import fixed_head, fixed_tail
from towline.policy.check.tags import TargetTags, can_meet, common_head, common_tail, target_tags

#: No part of a repository's name has two dots or three underscores in a row, so they end what a wildcard stands for.
_TELLING: Final = re.compile(r"\{1\}(\.\.|___).*|.*(\.\.|___)\{1\}")


@dataclass(frozen=True, slots=True)
class _Member:
    one: Chosen
    tags: TargetTags


@dataclass(frozen=True, slots=True)
class _Group:
    """Policies with the same source and target."""

    route: Route
    members: list[_Member]

    @property
    def keys(self) -> tuple[str, ...]:
        """What every target reference begins and ends with, in the ways that tell most."""
        head, tail = ends_of(self.route.ends)
        heads, tails = zip(*(_tag_ends(member.tags) for member in self.members), strict=True)
        tag_head = f"{head}:{common_head(heads)}" if "*" not in self.route.ends.path else head
        return tag_head, tail, common_tail(tails)[::-1]


def _tag_ends(tags: TargetTags) -> tuple[str, str]:
    """Return the longest certain beginning and end of a policy's target tags."""
    heads = [common_head([fixed_head(shape) for shape in shapes]) for shapes in tags.shapes]
    tails = [common_tail([fixed_tail(shape) for shape in shapes]) for shapes in tags.shapes]
    return max(heads, key=len), max(tails, key=len)


def collisions(chosen: Sequence[Chosen]) -> list[Problem]:
    """Return for each policy the first before it that it could collide with."""
    return _Search(chosen).run()


class _Search:
    def __init__(self, chosen: Sequence[Chosen]) -> None:
        members: dict[Route, list[_Member]] = {}
        for one in chosen:
            route = Route(one.policy.source, one.policy.target)
            members.setdefault(route, []).append(_Member(one, target_tags(one.policy)))
        self._groups = [_Group(route, found) for route, found in members.items()]
        self._left = limits.policy_pair_count
        self._found: dict[int, Problem] = {}

    def run(self) -> list[Problem]:
        keys = [group.keys for group in self._groups]
        ends = Ends(list(zip(keys, self._groups, strict=True)))
        for number, group in enumerate(self._groups):
            for other_number, other in ends.alike(keys[number]):
                if self._left < 0:
                    text = "too many targets look alike to compare them all: write longer prefixes in `tag` or `target`"
                    return [*self._found.values(), Problem(("policies",), text)]
                self._left -= 1
                if other_number <= number and can_share_target(other.route, group.route):
                    self._compare(other, group)
        return [self._found[number] for number in sorted(self._found)]

    def _compare(self, other: _Group, group: _Group) -> None:
        for first, second in self._pairs(other, group):
            self._left -= 1
            later = max(first, second, key=lambda member: member.one.number)
            if self._left < 0:
                return
            if later.one.number in self._found or _is_told_by_tag(first.one.policy, second.one.policy):
                continue
            if can_meet(first.tags, second.tags):
                self._found[later.one.number] = _problem(first.one, second.one)

    @staticmethod
    def _pairs(other: _Group, group: _Group) -> Iterator[tuple[_Member, _Member]]:
        for number, first in enumerate(other.members):
            for second in group.members[number:] if other is group else group.members:
                yield first, second


def _is_told_by_tag(first: Policy, second: Policy) -> bool:
    """Tell whether the target tag itself says which repository of a common source it comes from."""
    parts = first.source.path.split("/")
    return (
        (first.source, first.tag) == (second.source, second.tag)
        and first.source.path.count("*") == 1
        and "*" in parts
        and _TELLING.fullmatch(first.tag) is not None
    )


def _problem(first: Chosen, second: Chosen) -> Problem:
    one, later = sorted((first, second), key=lambda item: item.number)
    if one is later:
        text = (
            f"different repositories of {later.policy.source} could put different images under one tag of "
            f"{later.policy.target}: tell them apart by {{1}} or {{repository}} in `target`"
        )
    else:
        text = (
            f"{one.policy.source} (policies.{one.number}, {one.policy.name!r}) and {later.policy.source} could put "
            f"different images under one tag of {later.policy.target}: tell them apart by a prefix in `tag`, such as "
            f'"{later.policy.name}-%n", by other targets, or by {{1}} or {{repository}} in `target`'
        )
    return Problem(later.path("tag"), text)
