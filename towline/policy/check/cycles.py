"""Cycles: chains of policies that come back to a repository.

A cycle with an exact source in it is found by following the chain from that repository, as the core would. All others
consist of globs only; those are compared as patterns, which can see a cycle where there is none but never misses one.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

from schemas.patterns import SourcePattern
from schemas.policies import PolicySet
from schemas.references import Repository
from towline import limits
from towline.policy.check.chosen import Chosen
from towline.policy.check.ends import Ends, ends_of
from towline.policy.check.problem import Problem
from towline.policy.check.routes import Route
from towline.policy.index import PolicyIndex
from towline.policy.patterns import can_meet

NodeT = TypeVar("NodeT", bound=Hashable)

Onward = Callable[[NodeT], Sequence[tuple[Chosen, NodeT]]]
"""Where policies lead from a node."""


class TooMany(Exception):  # noqa: N818 - an end of the search, which becomes a problem
    """The search would go on for too long."""


def cycles(chosen: Sequence[Chosen]) -> list[Problem]:
    """Return each cycle once, at the policy that closes it."""
    try:
        among_globs = [*_glob_cycles(chosen)]
        closing = {problem.path[1] for problem in among_globs}
        others = [one for one in chosen if one.number not in closing]
        return [*among_globs, *_exact_cycles(others)]
    except TooMany as error:
        return [Problem(("policies",), str(error))]


def _glob_cycles(chosen: Sequence[Chosen]) -> Iterator[Problem]:
    globs = [one for one in chosen if one.policy.source.repository is None]
    from_source: dict[SourcePattern, list[Chosen]] = {}
    for one in globs:
        from_source.setdefault(one.policy.source, []).append(one)
    ends = Ends([(ends_of(source), source) for source in from_source])
    left = limits.policy_pair_count

    def onward(source: SourcePattern) -> list[tuple[Chosen, SourcePattern]]:
        nonlocal left
        found = []
        for one in from_source[source]:
            target = Route(one.policy.source, one.policy.target).ends
            alike = [other for _, other in ends.alike(ends_of(target))]
            left -= len(alike)
            if left < 0:
                raise TooMany("too many globs look alike to follow them all: write longer beginnings or ends")
            found += [(one, other) for other in alike if can_meet(target, other)]
        return found

    for one, way in _closed(list(from_source), onward):
        text = f"closes a cycle: {_spelled(way)} (as far as these patterns tell; narrow one of them if it is none)"
        yield Problem(one.path("target"), text)


def _exact_cycles(chosen: Sequence[Chosen]) -> Iterator[Problem]:
    index = PolicyIndex(PolicySet(policies=tuple(one.policy for one in chosen)))
    by_identity = {id(one.policy): one for one in chosen}
    left = limits.policy_chain_count

    def onward(repository: Repository) -> list[tuple[Chosen, Repository]]:
        nonlocal left
        found = []
        for match in index.matching(repository):
            try:
                target = match.policy.target.fill(dict(match.captures))
            except ValueError:
                continue  # The name would be too long, so nothing ever goes there.
            found.append((by_identity[id(match.policy)], target))
        left -= len(found)
        if left < 0:
            raise TooMany("the policies lead to too many repositories to follow them all: write fewer layers of globs")
        return found

    starts = [repository for one in chosen if (repository := one.policy.source.repository) is not None]
    for one, way in _closed(list(dict.fromkeys(starts)), onward):
        yield Problem(one.path("target"), f"closes a cycle: {_spelled(way)}")


def _spelled(way: list[NodeT]) -> str:
    return " -> ".join(str(node) for node in way)


def _closed(starts: Sequence[NodeT], onward: Onward[NodeT]) -> Iterator[tuple[Chosen, list[NodeT]]]:
    """Yield each step that leads back to a node of its own way, with the way round."""
    finished: set[NodeT] = set()
    for start in starts:
        if start not in finished:
            yield from _walk(start, onward, finished)


def _walk(start: NodeT, onward: Onward[NodeT], finished: set[NodeT]) -> Iterator[tuple[Chosen, list[NodeT]]]:
    # Depth first without recursion: a chain may be as long as the set.
    way: list[tuple[NodeT, Iterator[tuple[Chosen, NodeT]]]] = [(start, iter(onward(start)))]
    on_way: dict[NodeT, int] = {start: 0}
    while way:
        node, rest = way[-1]
        step = next(rest, None)
        if step is None:
            finished.add(node)
            del on_way[node]
            way.pop()
            continue
        one, target = step
        if target in on_way:
            around: list[NodeT] = [visited for visited, _ in way[on_way[target] :]]
            yield one, [*around, target]
        elif target not in finished:
            on_way[target] = len(way)
            way.append((target, iter(onward(target))))
