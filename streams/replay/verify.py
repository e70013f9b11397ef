"""``replay verify``: are the recorded decisions, byte for byte, what the log leads to?

Each partition of the log is folded from its beginning and compared with the same partition of the decisions. A decision
that was written twice by a worker that crashed or was replaced counts once, if its bytes are the same.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from streams.folding import fold
from streams.log import LogRecord, ReadableLog
from streams.replay.comparison import is_same
from streams.topics import DECISIONS, EVENTS
from towline.errors import UnusableInputError
from towline.policy.step import MemoryState

#: How often an evaluator that is a little behind is asked again.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place of a partition where the record is not what the log leads to."""

    partition: int
    kind: str
    #: The offset of the event in the log, or None for a decision that no event leads to.
    event_offset: int | None
    #: The offset of the decision, or None for one that is missing.
    decision_offset: int | None
    #: The fields that differ, each with what was expected and what is recorded.
    fields: dict[str, tuple[object, object]] = field(default_factory=dict)


@dataclass(slots=True)
class Verification:
    """What was compared, and how it came out."""

    events: int = 0
    decisions: int = 0
    duplicates: int = 0
    #: Decisions that the log leads to and no evaluator has made yet.
    undecided: int = 0
    unusable: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Whether every expected decision is recorded, and nothing else."""
        return not self.differences and self.undecided == 0


@dataclass(frozen=True, slots=True)
class _Expected:
    event_offset: int
    value: bytes


async def verify(
    log: ReadableLog,
    *,
    wait_seconds: float,
    quarantined: Collection[tuple[int, int]] = frozenset(),
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> Verification:
    """Compare all partitions. An evaluator that is behind is given ``wait_seconds`` to catch up.

    ``quarantined`` are the partitions and offsets that the evaluator sets aside.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    result = Verification()
    partitions = await log.partitions(EVENTS)
    ends = [await log.high_watermark(EVENTS, partition) for partition in range(partitions)]
    for partition, end in enumerate(ends):
        await _Comparison(log, partition, partitions, result, quarantined).run(end, wait_seconds)
        progress(sum(ends[: partition + 1]), sum(ends))
    return result


class _Comparison:
    def __init__(
        self,
        log: ReadableLog,
        partition: int,
        partitions: int,
        result: Verification,
        quarantined: Collection[tuple[int, int]],
    ) -> None:
        self._log = log
        self._partition = partition
        self._partitions = partitions
        self._result = result
        self._quarantined = quarantined
        self._state = MemoryState()
        #: Digests of the decisions that were met already, to know a repetition.
        self._met: set[bytes] = set()
        self._waiting: deque[_Expected] = deque()

    async def run(self, end: int, wait_seconds: float) -> None:
        """Compare the partition's events up to ``end`` with its decisions."""
        events = self._events(end)
        start = await self._log.low_watermark(DECISIONS, self._partition)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            stop = await self._log.high_watermark(DECISIONS, self._partition)
            async for batch in self._log.read_batches(DECISIONS, self._partition, start, stop):
                for record in batch:
                    if not await self._meet(record, events):
                        return
            start = stop
            while await self._next(events):
                pass
            if not self._waiting or asyncio.get_running_loop().time() > deadline:
                self._result.undecided += len(self._waiting)
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _events(self, end: int) -> AsyncIterator[list[_Expected]]:
        start = await self._log.low_watermark(EVENTS, self._partition)
        async for batch in self._log.read_batches(EVENTS, self._partition, start, end):
            expected: list[_Expected] = []
            for record in batch:
                self._result.events += 1
                if (record.partition, record.offset) in self._quarantined:
                    self._result.unusable += 1
                    continue
                try:
                    folded = fold(self._state, record, self._partitions)
                except UnusableInputError:
                    self._result.unusable += 1
                    continue
                self._state.apply(folded.changes)
                expected += [_Expected(record.offset, append.value) for append in folded.decisions]
            yield expected

    async def _next(self, events: AsyncIterator[list[_Expected]]) -> bool:
        """Fold on; return False at the end of the events."""
        batch = await anext(events, None)
        if batch is None:
            return False
        self._waiting.extend(batch)
        return True

    async def _meet(self, record: LogRecord, events: AsyncIterator[list[_Expected]]) -> bool:
        """Compare a recorded decision; return False at the first difference."""
        value = record.value or b""
        while not self._waiting and await self._next(events):
            pass
        if self._waiting and is_same(value, self._waiting[0].value):
            expected = self._waiting.popleft().value
            self._met.add(_mark(value))
            if value != expected:
                # Who repeats the decision of an older version after an upgrade writes it as it is written now.
                self._met.add(_mark(expected))
            self._result.decisions += 1
            return True
        if _mark(value) in self._met:
            self._result.duplicates += 1
            return True
        self._result.differences.append(self._difference(record, value))
        return False

    def _difference(self, record: LogRecord, value: bytes) -> Difference:
        if not self._waiting:
            return Difference(self._partition, "no event leads to this decision", None, record.offset)
        expected = self._waiting[0]
        if any(is_same(value, later.value) for later in self._waiting):
            return Difference(self._partition, "a decision is missing", expected.event_offset, record.offset)
        fields = dict(_fields(_json(expected.value), _json(value)))
        return Difference(self._partition, "the decision is another one", expected.event_offset, record.offset, fields)


def _mark(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _json(value: bytes) -> object:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value.decode(errors="replace")


def _fields(expected: object, recorded: object, path: str = "") -> list[tuple[str, tuple[object, object]]]:
    if isinstance(expected, dict) and isinstance(recorded, dict):
        names = sorted({*expected, *recorded})
        return [found for name in names for found in _fields(expected.get(name), recorded.get(name), f"{path}.{name}")]
    return [] if expected == recorded else [(path.lstrip("."), (expected, recorded))]
