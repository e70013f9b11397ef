"""``replay state``: what repositories had at a moment, since when, by whom, and what waited.

A moment cuts each partition of the log before its first event that was recorded later: see
:mod:`streams.replay.window`. Partitions are folded whole, from the beginning: what a worker had in its table then.
"""

from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import (
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferSkipped,
)
from schemas.policies import Policy
from schemas.references import Frozen, Reference, Repository
from streams.folding import Quarantined, read_event
from streams.log import LogRecord, Position, ReadableLog
from streams.replay.recorded import read_decision
from streams.replay.window import Progress, id_of, time_of
from streams.topics import DECISIONS, EVENTS, partition_for, repository_key
from towline.errors import UnusableInputError
from towline.policy.check.routes import Route
from towline.policy.index import policies_in_force
from towline.policy.patterns import match
from towline.policy.state.tags import TagState, tag_of
from towline.policy.state.values import RevisionState
from towline.policy.step import MemoryState, Step

_UNLISTED: Final = "not listed any more"
#: How an image came to be under a tag, or went; by the event that told.
_WAYS: Final[dict[type[Frozen], str]] = {
    ImagePushed: "pushed",
    ImageObserved: "found",
    TransferCompleted: "transferred",
    TransferSkipped: "transferred",
    ImageDeleted: "deleted",
    TagsListed: _UNLISTED,
    TagRemoved: "removed",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """A verdict that waited."""

    policy: str
    target: str | None
    #: What it waited for.
    reason: str
    since: str
    due_at: str | None
    event_id: str


@dataclass(frozen=True, slots=True)
class TagAt:
    """What one tag had at the moment."""

    reference: str
    #: None when the tag was gone.
    digest: str | None
    since: str
    #: ``pushed``, ``found``, ``transferred``, ``deleted``, ``not listed any more`` or ``removed``.
    how: str
    #: Who did it, or asked for it by hand; None when a policy did, or nobody can know.
    actor: str | None
    #: Who pushed the image that all this began with.
    pushed_by: str | None
    policy: str | None
    #: The revision under which that was decided.
    revision: int | None
    #: Where it came from.
    source: str | None
    event_id: str
    position: str
    decision_id: str | None
    #: The event on which that was decided.
    decided_on: str | None = None
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionAt:
    """Where a moment is in one partition."""

    partition: int
    #: The last offset that belongs to it; None when there is none.
    offset: int | None
    #: When that event was recorded.
    time: str | None
    revision: int


@dataclass(slots=True)
class StateAt:
    """The state at a moment."""

    at: str
    partitions: list[PartitionAt] = field(default_factory=list)
    revision: int = 0
    #: The digest of the policy set in force.
    policies_digest: str = ""
    policies: list[Policy] = field(default_factory=list)
    tags: list[TagAt] = field(default_factory=list)
    #: Repositories that were asked for and of which the log knew nothing then.
    unknown: list[str] = field(default_factory=list)

    def policies_about(self, repositories: Collection[Repository]) -> list[Policy]:
        """Return the policies that have one of some repositories as a source, or perhaps as a target."""
        return [policy for policy in self.policies if any(_is_about(policy, one) for one in repositories)]


def _is_about(policy: Policy, repository: Repository) -> bool:
    route = Route(policy.source, policy.target)
    return match(policy.source, repository) is not None or match(route.ends, repository) is not None


async def state_at(
    log: ReadableLog,
    at: str,
    repositories: Collection[Repository] = (),
    *,
    quarantined: Quarantined = frozenset(),
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> StateAt:
    """Return the state of some repositories, or of all, at a moment.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    count = await log.partitions(EVENTS)
    chosen = {partition_for(repository_key(one), count) for one in repositories} if repositories else set(range(count))
    lows = {one: await log.low_watermark(EVENTS, one) for one in sorted(chosen)}
    highs = {one: await log.high_watermark(EVENTS, one) for one in sorted(chosen)}
    total, done = sum(highs.values()) - sum(lows.values()), 0
    found, tags, seen = StateAt(at), list[TagAt](), set[Repository]()
    for partition, low in lows.items():
        fold = _Fold(frozenset(repositories))
        async for record in _until(log, partition, (low, highs[partition]), at):
            progress(done := done + 1, total)
            fold.take(record, count, is_set_aside=(partition, record.offset) in quarantined)
        tags += fold.tags()
        seen |= fold.seen
        _note_partition(found, fold, partition)
    found.tags = [one async for one in _with_decisions(log, sorted(tags, key=lambda one: one.reference), count)]
    found.unknown = sorted(str(one) for one in repositories if one not in seen)
    return found


async def _until(log: ReadableLog, partition: int, offsets: tuple[int, int], at: str) -> AsyncIterator[LogRecord]:
    async for batch in log.read_batches(EVENTS, partition, *offsets):
        for record in batch:
            if time_of(record) > at:
                return
            yield record


def _note_partition(found: StateAt, fold: "_Fold", partition: int) -> None:
    known = RevisionState.read(fold.state)
    found.partitions.append(PartitionAt(partition, fold.offset, fold.time, known.revision))
    if known.revision > found.revision:
        found.revision, found.policies_digest = known.revision, known.digest
        found.policies = list(policies_in_force(fold.state).by_name.values())


class _Fold:
    """One partition, folded to the moment, with how each tag came to be what it is."""

    def __init__(self, repositories: frozenset[Repository]) -> None:
        self._repositories = repositories
        self._origins: dict[Reference, TagAt] = {}
        self._holds: dict[tuple[Reference, str], Hold] = {}
        self.state = MemoryState()
        self.offset: int | None = None
        self.time: str | None = None
        #: Repositories of which an event told something about a tag.
        self.seen: set[Repository] = set()

    def take(self, record: LogRecord, partitions: int, *, is_set_aside: bool) -> None:
        self.offset, self.time = record.offset, time_of(record)
        if is_set_aside:
            return
        try:
            event = read_event(record, partitions)
        except UnusableInputError:
            return
        step = self.state.step(event)
        self._note_origins(step, event, record)
        self._note_holds(step)

    def _is_wanted(self, repository: Repository) -> bool:
        return not self._repositories or repository in self._repositories

    def _note_origins(self, step: Step, event: Envelope[Frozen], record: LogRecord) -> None:
        for change in step.changes:
            reference = tag_of(change.key)
            if reference is None or change.value is None or not self._is_wanted(reference.repository):
                continue
            if not change.value["updated_at"]:
                continue  # A hint tells nothing of what the tag has.
            self.seen.add(reference.repository)
            digest, known = change.value["digest"], self._origins.get(reference)
            if known is None or known.digest != digest:
                self._origins[reference] = _origin(reference, digest, event, record)
            elif isinstance(event.data, TransferCompleted) and known.policy is None:
                # The registry told of our copy before its outcome was recorded.
                self._origins[reference] = replace(_origin(reference, digest, event, record), since=known.since)

    def _note_holds(self, step: Step) -> None:
        for decision in step.decisions:
            made = decision.data
            if made.verdict == "hold" and made.policy is not None and self._is_wanted(made.source.repository):
                target = None if made.target is None else str(made.target)
                self._holds[made.source, made.policy] = Hold(
                    made.policy, target, made.reason, decision.time, made.due_at, made.event_id
                )

    def tags(self) -> Iterator[TagAt]:
        """Yield what each tag has, and the holds that are open."""
        for reference, origin in self._origins.items():
            pending = TagState.read(self.state, reference).pending
            holds = [
                hold
                for name, item in sorted(pending.items())
                if item.verdict == "hold" and (hold := self._holds.get((reference, name))) is not None
            ]
            yield replace(origin, holds=tuple(holds))


def _origin(reference: Reference, digest: str | None, event: Envelope[Frozen], record: LogRecord) -> TagAt:
    data = event.data
    moved = data if isinstance(data, TransferCompleted | TransferSkipped | TagRemoved) else None
    actor = getattr(data, "actor", None)
    return TagAt(
        reference=str(reference),
        digest=digest,
        since=event.time,
        how=_WAYS.get(type(data), _UNLISTED),  # Ticks go on with long listings.
        actor=actor,
        pushed_by=actor if moved is None else moved.pushed_by,
        policy=None if moved is None else moved.policy,
        revision=None,
        source=None if moved is None else str(moved.source),
        event_id=event.id,
        position=str(Position(record.topic, record.partition, record.offset)),
        decision_id=None if moved is None else moved.decision_id,
    )


async def _with_decisions(log: ReadableLog, tags: list[TagAt], count: int) -> AsyncIterator[TagAt]:
    """Yield the tags with what the decisions tell that brought images there."""
    wanted: dict[int, set[str]] = {}
    for one in tags:
        if one.decision_id is not None and one.source is not None:
            key = repository_key(Reference.parse(one.source).repository)
            wanted.setdefault(partition_for(key, count), set()).add(one.decision_id)
    decisions: dict[str, Decision] = {}
    for partition, ids in sorted(wanted.items()):
        low, high = await log.low_watermark(DECISIONS, partition), await log.high_watermark(DECISIONS, partition)
        async for record in log.read(DECISIONS, partition, low, high):
            if id_of(record) in ids and (decision := read_decision(record)) is not None:
                decisions.setdefault(decision.id, decision.data)
    for one in tags:
        made = decisions.get(one.decision_id or "")
        yield one if made is None else replace(one, revision=made.revision, actor=made.actor, decided_on=made.event_id)
