"""What policies with ``deletions`` brought where, and which of it vanished from its source since.

Kept only for those policies: for each source tag, where it was brought last; for each repository, how many.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from schemas.references import Reference, Repository
from towline.policy.state.lists import append_name, left_names, take_names
from towline.policy.state.values import Draft, StateView


@dataclass(frozen=True, slots=True)
class Brought:
    """Where a policy brought a tag last."""

    target: Reference
    digest: str
    #: Transfers in a row that led there.
    hops: int
    #: The tag vanished, and it was decided that the target keeps it for now.
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tags of one repository a policy brought; those that were removed again do not count."""

    brought: int = 0
    #: Those of them that vanished from the source.
    vanished: int = 0
    #: Those of the vanished ones whose targets are kept for now.
    kept: int = 0

    def plus(self, brought: int = 0, vanished: int = 0, kept: int = 0) -> "Tally":
        """Return the tally with so many more."""
        return Tally(self.brought + brought, self.vanished + vanished, self.kept + kept)


def tallies(state: StateView, repository: Repository) -> dict[str, Tally]:
    """Return, by policy, how much was brought from a repository."""
    value = state.get(_tallies_key(repository))
    return {} if value is None else {name: Tally(*counts) for name, counts in value["policies"].items()}


def note_brought(draft: Draft, source: Reference, policy: str, brought: Brought) -> None:
    """Note that a policy with deletions brings a tag that is there to a target, wherever it brought it before."""
    known, is_listed = _read(draft, source)
    if policy not in known:
        _count(draft, source.repository, {policy: Tally(brought=1)})
    _write(draft, source, {**known, policy: brought}, is_listed=is_listed)


def note_vanished(draft: Draft, source: Reference) -> None:
    """Note that a tag is not in the source any more."""
    known, is_listed = _read(draft, source)
    if not known:
        return
    _count(draft, source.repository, dict.fromkeys(known, Tally(vanished=1)))
    if not is_listed:
        append_name(draft, _vanished_list(source.repository), source.tag)
        _write(draft, source, known, is_listed=True)


def note_returned(draft: Draft, source: Reference) -> None:
    """Note that a tag that had vanished is in the source again."""
    known, is_listed = _read(draft, source)
    if known:
        _count(draft, source.repository, {name: Tally(0, -1, -item.is_kept) for name, item in known.items()})
        _write(draft, source, {name: replace(item, is_kept=False) for name, item in known.items()}, is_listed=is_listed)


def count_vanished(state: StateView, repository: Repository) -> int:
    """Return how many tags wait to be settled; some of them may have returned."""
    return left_names(state, _vanished_list(repository))


def take_vanished(
    draft: Draft, repository: Repository, count: int
) -> Iterator[tuple[Reference, Mapping[str, Brought]]]:
    """Yield up to ``count`` tags that vanished, each with what policies brought; they do not wait any more."""
    for name in take_names(draft, _vanished_list(repository), count):
        source = Reference(repository, name)
        known, _ = _read(draft, source)
        _write(draft, source, known, is_listed=False)
        yield source, known


def keep(draft: Draft, source: Reference, known: Mapping[str, Brought], kept: Mapping[str, Brought]) -> None:
    """Note what of a vanished tag waits on; what is not among it is removed."""
    _count(
        draft,
        source.repository,
        {
            name: Tally(0, 0, kept[name].is_kept - item.is_kept) if name in kept else Tally(-1, -1, -item.is_kept)
            for name, item in known.items()
        },
    )
    if kept:
        append_name(draft, _vanished_list(source.repository), source.tag)
    _write(draft, source, kept, is_listed=bool(kept))


def _count(draft: Draft, repository: Repository, more: Mapping[str, Tally]) -> None:
    known = tallies(draft, repository)
    for name, tally in more.items():
        known[name] = known.get(name, Tally()).plus(tally.brought, tally.vanished, tally.kept)
    written = {name: [one.brought, one.vanished, one.kept] for name, one in known.items() if one.brought}
    draft.put(_tallies_key(repository), {"policies": written} if written else None)


def _read(state: StateView, source: Reference) -> tuple[dict[str, Brought], bool]:
    value = state.get(_brought_key(source))
    if value is None:
        return {}, False
    known = {
        name: Brought(Reference.parse(target), digest, hops, is_kept)
        for name, (target, digest, hops, is_kept) in value["policies"].items()
    }
    return known, value["is_listed"]


def _write(draft: Draft, source: Reference, known: Mapping[str, Brought], *, is_listed: bool) -> None:
    written = {name: [str(item.target), item.digest, item.hops, item.is_kept] for name, item in known.items()}
    draft.put(_brought_key(source), {"policies": written, "is_listed": is_listed} if written else None)


def _brought_key(source: Reference) -> str:
    return f"brought {source}"


def _tallies_key(repository: Repository) -> str:
    return f"tallies {repository}"


def _vanished_list(repository: Repository) -> str:
    return f"vanished {repository}"
