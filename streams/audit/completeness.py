"""``audit completeness``: has every offset of the log what it leads to, or a reason for having nothing?

The log is folded anew. What its events lead to (decisions, commands, dead letters, further events) is looked for by id
in its topic and partition. Memory has about a hundred bytes for each record of these topics.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

from schemas.references import Repository
from streams.deadletters import QUARANTINED, dead_letter
from streams.folding import Folded, fold
from streams.log import Append, LogRecord, ReadableLog
from streams.replay.packed import PackedState
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS, partition_for, repository_key
from towline import limits
from towline.errors import UnusableInputError
from towline.policy.evolve import NEVER_DECIDED

Reason = Literal[
    "decided",
    "its type decides nothing",
    "nothing new: delivered before, or known already",
    "changes no verdict",
    "unusable: a dead letter",
    "in quarantine: a dead letter",
    "not reached yet: is a worker running?",
    "no record: removed, or Kafka's own",
]
"""Why an offset has the decisions that it has, or none."""

NOT_REACHED: Final[Reason] = "not reached yet: is a worker running?"

NO_RECORD: Final[Reason] = "no record: removed, or Kafka's own"

#: What an offset can lead to, by the topic where it is written, as people call it.
KINDS: Final = {DECISIONS: "decision", COMMANDS: "command", DEADLETTERS: "dead letter", EVENTS: "event"}

_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Missing:
    """What an offset leads to and nobody wrote."""

    partition: int
    event_offset: int
    kind: str
    id: str
    #: The record as it is to be written.
    append: Append


@dataclass(slots=True)
class Completeness:
    """What became of every offset of the log."""

    #: By reason, how many offsets.
    offsets: Counter[Reason] = field(default_factory=Counter)
    #: By kind, how many records are missing.
    counts: Counter[str] = field(default_factory=Counter)
    #: The first of them, in the order of the log: ``limits.missing_count`` of each partition at most.
    missing: list[Missing] = field(default_factory=list)
    #: The partitions of which the log does not have the beginning any more: what they lead to cannot be known.
    beheaded: list[int] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, the beginning of the log neither. What is not reached yet is not missing."""
        return not self.counts.total() and not self.beheaded


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked at."""

    #: Only events about this repository, and decisions of it.
    repository: Repository | None = None
    #: The partitions and offsets that the evaluator sets aside.
    quarantined: Collection[tuple[int, int]] = frozenset()
    #: A worker that is writing is given so long to finish.
    wait_seconds: float = 0.0


async def check_completeness(
    log: ReadableLog,
    wanted: Wanted = Wanted(),
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> Completeness:
    """Look for everything that the events of the log, as it is now, lead to.

    What comes after the last event of a partition of which anything is written is not missing: nobody got there yet.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    count = await log.partitions(EVENTS)
    ends = {number: await log.high_watermark(EVENTS, number) for number in range(count)}
    # After the ends are taken: whatever is found was written for what is looked at, or for more.
    written = _Written(log)
    await written.read_on()
    if wanted.repository is not None:
        home = partition_for(repository_key(wanted.repository), count)
        ends = {home: ends[home]}
    total, done, result = sum(ends.values()), 0, Completeness()
    for number, end in ends.items():
        events = await _Partition(log, number, count, wanted).fold(end, written)
        await _settle(events, written, wanted.wait_seconds)
        _add(result, events)
        done += end
        progress(done, total)
    return result


@dataclass(slots=True)
class _Event:
    """An offset, and what it leads to that is not found."""

    offset: int
    reason: Reason
    missing: list[Append]
    is_reached: bool
    is_meant: bool


class _Written:
    """The records that the evaluator wrote, by their ids."""

    def __init__(self, log: ReadableLog) -> None:
        self._log = log
        #: By topic and partition.
        self._ids: dict[tuple[str, int], set[bytes]] = {}
        self._ends: dict[tuple[str, int], int] = {}

    async def read_on(self) -> None:
        """Read what came since the last time."""
        for topic in KINDS:
            for partition in range(await self._log.partitions(topic)):
                place = topic, partition
                start = self._ends.get(place, 0) or await self._log.low_watermark(topic, partition)
                stop = self._ends[place] = await self._log.high_watermark(topic, partition)
                ids = self._ids.setdefault(place, set())
                async for batch in self._log.read_batches(topic, partition, start, stop):
                    ids.update(_brief(record.value) for record in batch)

    def has(self, append: Append, partitions: int) -> bool:
        """Tell whether a record is there."""
        partition = append.partition if append.partition is not None else partition_for(append.key or b"", partitions)
        return _brief(append.value) in self._ids[append.topic, partition]


def _brief(value: bytes | None) -> bytes:
    """Return half of a record's id, which is enough to know it by; of what has none, nothing."""
    try:
        return bytes.fromhex(_id(value))[:16]
    except ValueError:
        return b""


def _id(value: bytes | None) -> str:
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("id")) if isinstance(found, dict) else ""


class _Partition:
    """The fold of one partition, event by event."""

    def __init__(self, log: ReadableLog, partition: int, partitions: int, wanted: Wanted) -> None:
        self._log = log
        self._partition = partition
        self._partitions = partitions
        self._wanted = wanted
        self._key = None if wanted.repository is None else repository_key(wanted.repository)
        self._state = PackedState()

    async def fold(self, end: int, written: _Written) -> "_Events":
        """Return the partition's events, with what of them is not written."""
        events, records = _Events(self._partition, self._partitions), 0
        start = await self._log.low_watermark(EVENTS, self._partition)
        async for batch in self._log.read_batches(EVENTS, self._partition, start, end):
            records += len(batch)
            for record in batch:
                reason, appends, is_meant = self._take(record)
                missing = [append for append in appends if not written.has(append, self._partitions)]
                is_reached = len(missing) < len(appends)
                events.add(_Event(record.offset, reason, missing, is_reached, is_meant))
        if records < end:
            # Of which repository they were, nobody can tell.
            events.offsets[NO_RECORD] += end - records
        events.begins_at = start
        return events

    def _take(self, record: LogRecord) -> tuple[Reason, list[Append], bool]:
        is_meant = self._key is None or record.key == self._key
        if (record.partition, record.offset) in self._wanted.quarantined:
            return "in quarantine: a dead letter", [dead_letter(record, QUARANTINED)], is_meant
        try:
            folded = fold(self._state, record, self._partitions)
        except UnusableInputError as error:
            return "unusable: a dead letter", [dead_letter(record, str(error))], is_meant
        self._state.apply(folded.changes)
        decisions = folded.decisions
        is_meant = is_meant or any(append.key == self._key for append in decisions)
        return _reason(folded), [*decisions, *folded.commands, *folded.events], is_meant


def _reason(folded: Folded) -> Reason:
    if folded.step.decisions:
        return "decided"
    if type(folded.event.data) in NEVER_DECIDED:
        return "its type decides nothing"
    return "changes no verdict" if folded.changes else "nothing new: delivered before, or known already"


class _Events:
    """What is known of a partition's events: counts, and those of which something is not written."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        self.partitions = partitions
        self.furthest = -1
        #: The first offset that the log still has.
        self.begins_at = 0
        self.open: list[_Event] = []
        self.offsets: Counter[Reason] = Counter()

    def add(self, event: _Event) -> None:
        """Take the next event."""
        if event.is_reached:
            self.furthest = event.offset
        if event.missing:
            self.open.append(event)
        elif event.is_meant:
            self.offsets[event.reason] += 1

    def lost(self) -> Iterator[_Event]:
        """Yield the events that somebody got to and of which something is missing."""
        return (event for event in self.open if event.missing and event.offset <= self.furthest)


async def _settle(events: _Events, written: _Written, wait_seconds: float) -> None:
    """Give whoever writes now the time to finish."""
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while any(events.lost()) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        await written.read_on()
        for event in events.open:
            event.missing = [append for append in event.missing if not written.has(append, events.partitions)]


def _add(result: Completeness, events: _Events) -> None:
    told = 0
    for event in events.open:
        if not event.is_meant:
            continue
        is_reached = event.offset <= events.furthest or not event.missing
        result.offsets[event.reason if is_reached else NOT_REACHED] += 1
        for append in event.missing if is_reached else ():
            result.counts[KINDS[append.topic]] += 1
            if told < limits.missing_count:
                told += 1
                result.missing.append(_missing(append, events.partition, event.offset))
    result.offsets.update(events.offsets)
    if events.begins_at:
        result.beheaded.append(events.partition)


def _missing(append: Append, partition: int, offset: int) -> Missing:
    return Missing(partition, offset, KINDS[append.topic], _id(append.value), append)
