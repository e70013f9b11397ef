"""Sweeps: judging tags that are there already, a bounded number with each event."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from schemas.references import Reference, Repository
from towline.policy.state.lists import count_names, name_at
from towline.policy.state.tags import REPOSITORIES_LIST, tags_list
from towline.policy.state.values import Draft, StateView

SWEEPS_KEY: Final = "sweeps"


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far one sweep has come."""

    #: The policies that judge.
    policies: frozenset[str]
    #: Under which revision they are new: all tags that came before it are judged. None: only tags with a verdict of
    #: these policies that can still change.
    revision: int | None = None
    #: The repositories to go through; None: all of the partition.
    repositories: list[str] | None = None
    #: Where it goes on: the number of a repository and of a tag.
    repository: int = 0
    tag: int = 0


def add_sweep(draft: Draft, sweep: Sweep) -> None:
    """Begin a sweep; its first tags are judged with this event."""
    _write(draft, [*_read(draft), sweep])


def narrow_sweeps(draft: Draft, policies: frozenset[str]) -> None:
    """Let the initial evaluations that are under way go on for these policies only."""
    narrowed = [
        sweep if sweep.revision is None else replace(sweep, policies=sweep.policies & policies)
        for sweep in _read(draft)
    ]
    _write(draft, [sweep for sweep in narrowed if sweep.policies])


def advance(draft: Draft, is_wanted: Callable[[Sweep, Repository], bool], count: int) -> list[tuple[Sweep, Reference]]:
    """Return the next ``count`` tags, at most, each with its sweep; tags of unwanted repositories are passed over."""
    sweeps = _read(draft)
    if not sweeps:
        return []
    found: list[tuple[Sweep, Reference]] = []
    budget = count
    while sweeps and budget > 0:
        sweep, budget = _go_on(draft, sweeps[0], is_wanted, budget, found)
        sweeps = sweeps[1:] if sweep is None else [sweep, *sweeps[1:]]
    _write(draft, sweeps)
    return found


def _go_on(
    state: StateView,
    sweep: Sweep,
    is_wanted: Callable[[Sweep, Repository], bool],
    budget: int,
    found: list[tuple[Sweep, Reference]],
) -> tuple[Sweep | None, int]:
    """Go on with one sweep; return how far it came, or None when it is done, and what is left of the budget."""
    total = len(sweep.repositories) if sweep.repositories is not None else count_names(state, REPOSITORIES_LIST)
    at, tag = sweep.repository, sweep.tag
    while at < total:
        # Looking at a repository costs like looking at a tag: a partition may have a million that do not match.
        budget -= 1
        repository = Repository.parse(
            sweep.repositories[at] if sweep.repositories is not None else name_at(state, REPOSITORIES_LIST, at)
        )
        if is_wanted(sweep, repository):
            taken = list(_tags(state, repository, tag, budget))
            found += [(sweep, reference) for reference in taken]
            budget -= len(taken)
            tag += len(taken)
            if tag < count_names(state, tags_list(repository)):
                return replace(sweep, repository=at, tag=tag), budget
        at, tag = at + 1, 0
        if budget <= 0 and at < total:
            return replace(sweep, repository=at, tag=0), budget
    return None, budget


def _tags(state: StateView, repository: Repository, start: int, budget: int) -> Iterator[Reference]:
    stop = min(count_names(state, tags_list(repository)), start + max(budget, 0))
    for number in range(start, stop):
        yield Reference(repository, name_at(state, tags_list(repository), number))


def _read(state: StateView) -> list[Sweep]:
    value = state.get(SWEEPS_KEY)
    if value is None:
        return []
    return [Sweep(**{**item, "policies": frozenset(item["policies"])}) for item in value["sweeps"]]


def _write(draft: Draft, sweeps: list[Sweep]) -> None:
    written = [
        {name: getattr(sweep, name) for name in Sweep.__slots__} | {"policies": sorted(sweep.policies)}
        for sweep in sweeps
    ]
    draft.put(SWEEPS_KEY, {"sweeps": written} if written else None)
