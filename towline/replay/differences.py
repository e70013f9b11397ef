"""How two histories of the same window differ, in what happens to images: not in ids, which name a revision.

An *act* is what becomes of a digest under a target tag, whoever wants it there, and on which event. Verdicts that do
not act are compared by policy, source tag and digest, as they are at the end of the window.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.decisions import Decision
from schemas.envelope import Envelope
from towline.policy.conflicts import is_conflict

ACTS: Final = frozenset({"promote", "mirror", "remove"})


class Made(NamedTuple):
    """What is kept of a decision."""

    policy: str
    #: As decided; ``conflict`` for a denial because another digest is wanted for the same target tag.
    verdict: str
    source: str
    digest: str
    #: None when the policy could not say where it would go.
    target: str | None
    time: str
    event_id: str
    reason: str


class ActKey(NamedTuple):
    """What becomes of a digest under a target tag."""

    is_removal: bool
    digest: str
    target: str


class VerdictKey(NamedTuple):
    """A policy on an image under a tag."""

    policy: str
    source: str
    digest: str


@dataclass(slots=True)
class History:
    """What was decided in a window, as far as it can be told apart from another history."""

    #: The first decision for each act.
    acts: dict[ActKey, Made] = field(default_factory=dict)
    #: Acts that were decided where the target had the digest already: they changed nothing.
    idle: set[ActKey] = field(default_factory=set)
    #: The last verdict of each enforced policy on each image under a tag.
    verdicts: dict[VerdictKey, Made] = field(default_factory=dict)
    #: The same of policies in shadow, whose decisions are recorded only.
    shadows: dict[VerdictKey, Made] = field(default_factory=dict)
    decisions: int = 0

    def add(self, decision: Envelope[Decision], *, is_idle: bool) -> None:
        """Add the next decision of a partition. Those of different partitions may come in any order.

        ``is_idle``: its target had the digest already.
        """
        data = decision.data
        self.decisions += 1
        if data.policy is None:
            return
        target = None if data.target is None else str(data.target)
        made = Made(
            data.policy,
            "conflict" if is_conflict(data) else data.verdict,
            str(data.source),
            data.digest,
            target,
            decision.time,
            data.event_id,
            data.reason,
        )
        key = VerdictKey(made.policy, made.source, made.digest)
        if data.mode != "enforce":
            self.shadows[key] = made
            return
        self.verdicts[key] = made
        if data.verdict in ACTS and target is not None:
            act = ActKey(data.verdict == "remove", data.digest, target)
            if is_idle:
                self.idle.add(act)
                return
            known = self.acts.setdefault(act, made)
            if (made.time, made.source, made.policy) < (known.time, known.source, known.policy):
                self.acts[act] = made

    def has(self, act: ActKey) -> bool:
        """Tell whether an act was decided, whether or not it changed something."""
        return act in self.acts or act in self.idle


@dataclass(frozen=True, slots=True)
class Change:
    """One image under one tag of which something else becomes."""

    source: str
    digest: str
    #: Where it goes, went, or would go.
    target: str | None
    #: When it was, or would have been, decided; and on which event.
    time: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TagChange:
    """An image that goes to the same repository under other tags."""

    source: str
    digest: str
    recorded: tuple[str, ...]
    proposed: tuple[str, ...]


@dataclass(slots=True)
class PolicyChanges:
    """What of one policy comes out otherwise."""

    policy: str
    newly_promoted: list[Change] = field(default_factory=list)
    no_longer_promoted: list[Change] = field(default_factory=list)
    changed_tags: list[TagChange] = field(default_factory=list)
    new_holds: list[Change] = field(default_factory=list)
    released_holds: list[Change] = field(default_factory=list)
    new_conflicts: list[Change] = field(default_factory=list)
    new_denials: list[Change] = field(default_factory=list)
    newly_removed: list[Change] = field(default_factory=list)
    no_longer_removed: list[Change] = field(default_factory=list)


#: The kinds of changes, in the order in which people are told of them.
KINDS: Final = tuple(name for name in PolicyChanges.__slots__ if name != "policy")


def compare(recorded: History, proposed: History) -> list[PolicyChanges]:
    """Return what comes out otherwise in the proposed history, by policies' names; only those with changes."""
    found: dict[str, PolicyChanges] = {}
    _compare_acts(found, recorded, proposed)
    for verdict, kind in (("hold", "new_holds"), ("conflict", "new_conflicts"), ("deny", "new_denials")):
        for made in _only(proposed, recorded, verdict):
            _note(found, kind, made)
    for made in _only(recorded, proposed, "hold"):
        _note(found, "released_holds", made)
    for changes in found.values():
        for kind in KINDS:
            getattr(changes, kind).sort(key=str)
    return [found[name] for name in sorted(found)]


def _compare_acts(found: dict[str, PolicyChanges], recorded: History, proposed: History) -> None:
    gained = [made for key, made in proposed.acts.items() if not recorded.has(key)]
    lost = [made for key, made in recorded.acts.items() if not proposed.has(key)]
    before, after = _by_place(lost), _by_place(gained)
    for place in before.keys() & after.keys():
        tags = (tuple(sorted(str(made.target) for made in some[place])) for some in (before, after))
        made = after[place][0]
        changes = found.setdefault(made.policy, PolicyChanges(made.policy))
        changes.changed_tags.append(TagChange(made.source, made.digest, *tags))
    for some, other, promoted, removed in (
        (gained, before, "newly_promoted", "newly_removed"),
        (lost, after, "no_longer_promoted", "no_longer_removed"),
    ):
        for made in some:
            if made.verdict == "remove":
                _note(found, removed, made)
            elif _place(made) not in other:
                _note(found, promoted, made)


def _note(found: dict[str, PolicyChanges], kind: str, made: Made) -> None:
    change = Change(made.source, made.digest, made.target, made.time, made.event_id, made.reason)
    getattr(found.setdefault(made.policy, PolicyChanges(made.policy)), kind).append(change)


_Place = tuple[str, str, str]


def _by_place(some: list[Made]) -> Mapping[_Place, list[Made]]:
    found: dict[_Place, list[Made]] = {}
    for made in some:
        if made.verdict != "remove":
            found.setdefault(_place(made), []).append(made)
    return found


def _place(made: Made) -> _Place:
    return made.source, made.digest, str(made.target).rpartition(":")[0]


def _only(one: History, other: History, verdict: str) -> Iterator[Made]:
    """Yield where an enforced policy ends with a verdict in one history and not in the other."""
    for key, made in one.verdicts.items():
        known = other.verdicts.get(key)
        if made.verdict == verdict and (known is None or known.verdict != verdict):
            yield made
