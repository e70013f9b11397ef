"""Deletions: what a policy removes from its target must not be what another one brings there from a tag that lives."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from schemas.patterns import SourcePattern
from towline import limits
from towline.policy.asking import NEVER
from towline.policy.check.chosen import Chosen
from towline.policy.check.problem import Problem
from towline.policy.check.routes import Route
from towline.policy.check.tags import can_meet as tags_can_meet
from towline.policy.check.tags import target_tags
from towline.policy.patterns import can_meet

_FIELD: Final = "deletions"


def shared_deletions(chosen: Sequence[Chosen]) -> Iterator[Problem]:
    """Yield each policy with deletions whose target tags another policy can make of other source tags.

    Policies with one template are fine: then the same source tag leads both to the same target tag. Those of different
    source repositories cannot meet at all: see :mod:`towline.policy.check.collisions`.
    """
    left = limits.policy_pair_count
    places = [(_ends(one), one) for one in chosen]
    exact: dict[SourcePattern, list[Chosen]] = defaultdict(list)
    for ends, one in places:
        exact[ends].append(one)
    globs = [(ends, one) for ends, one in places if ends.repository is None]
    for ends, one in places:
        if one.policy.deletions == NEVER:
            continue
        others = [(ends, other) for other in exact[ends]] + globs if ends.repository else places
        left -= len(others)
        if left < 0:
            text = "too many policies to compare them all with those that follow deletions: use several sets"
            yield Problem(("policies",), text)
            return
        if (other := _other(ends, one, others)) is not None:
            yield _problem(one, other)


def _ends(one: Chosen) -> SourcePattern:
    return Route(one.policy.source, one.policy.target).ends


def _other(ends: SourcePattern, one: Chosen, others: Iterable[tuple[SourcePattern, Chosen]]) -> Chosen | None:
    for other_ends, other in others:
        if other.policy.tag == one.policy.tag or not can_meet(ends, other_ends):
            continue
        if tags_can_meet(target_tags(one.policy), target_tags(other.policy)):
            return other
    return None


def _problem(one: Chosen, other: Chosen) -> Problem:
    text = (
        f"a tag that vanished could be removed from {one.policy.target} although policies.{other.number} "
        f"({other.policy.name!r}) brings it there from another tag: give both the same `tag`, or other targets"
    )
    return Problem(one.path(_FIELD), text)
