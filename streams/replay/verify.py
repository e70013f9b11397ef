"""``replay verify``: are the recorded decisions, byte for byte, what the log leads to?

Each partition of the log is folded and compared with the same partition of the decisions, by id. A decision that was
written twice by a worker that crashed or was replaced counts once, if its bytes are the same; one that stands behind
later ones, because it was written again, counts as late.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from schemas.references import Repository
from streams.folding import Folded, fold
from streams.log import LogRecord, ReadableLog
from streams.replay.matching import Matcher, Verification, identity_of
from streams.replay.packed import PackedState
from streams.replay.snapshots import state_before
from streams.replay.spans import EVERYTHING, Part, Span, part_of
from streams.topics import DECISIONS, EVENTS, partition_for, repository_key
from towline import limits
from towline.errors import UnusableInputError

#: How often an evaluator that is a little behind is asked again.
_POLL_SECONDS = 0.1

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared, and how."""

    span: Span = EVERYTHING
    #: Only the decisions of this repository.
    repository: Repository | None = None
    #: An evaluator that is behind is given so long to catch up.
    wait_seconds: float = 0.0
    #: The partitions and offsets that the evaluator sets aside.
    quarantined: Collection[tuple[int, int]] = frozenset()
    #: Where snapshots are looked for that save folding what comes before the span; None: nowhere.
    snapshots: Path | None = None


async def verify(
    log: ReadableLog,
    comparison: Comparison = Comparison(),
    *,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> Verification:
    """Compare all partitions that are asked for, one after the other; ``progress`` counts events.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    result, done = Verification(), 0
    sizes = await sizes_of(log, comparison)
    total = sum(sizes.values())
    for partition, size in sizes.items():
        found = await verify_partition(log, partition, comparison, lambda count: progress(done + count, total))  # noqa: B023 - called at once
        result.add(found)
        done += size
        progress(done, total)
    return result


async def sizes_of(log: ReadableLog, comparison: Comparison) -> dict[int, int]:
    """Return the partitions that a comparison reads, each with the number of its events.

    Raises:
        LogUnavailableError: the log cannot be reached.
        MisuseError: there is no such partition.
    """
    count = await log.partitions(EVENTS)
    wanted = comparison.span.partitions(count)
    if comparison.repository is not None:
        home = partition_for(repository_key(comparison.repository), count)
        wanted = [number for number in wanted if number == home]
    return {
        number: await log.high_watermark(EVENTS, number) - await log.low_watermark(EVENTS, number) for number in wanted
    }


async def verify_partition(
    log: ReadableLog, partition: int, comparison: Comparison, progress: Callable[[int], None]
) -> Verification:
    """Compare one partition; ``progress`` is told how many of its events were folded.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    part = await part_of(log, partition, comparison.span)
    partitions = await log.partitions(EVENTS)
    return await _Run(log, comparison, partition=partition, partitions=partitions, part=part, progress=progress).run()


class _Run:
    def __init__(
        self,
        log: ReadableLog,
        comparison: Comparison,
        *,
        partition: int,
        partitions: int,
        part: Part,
        progress: Callable[[int], None],
    ) -> None:
        self._log = log
        self._partition = partition
        self._partitions = partitions
        self._comparison = comparison
        self._part = part
        self._progress = progress
        self._key = None if comparison.repository is None else repository_key(comparison.repository)
        self._result = Verification()
        self._matcher = Matcher(partition, self._result)
        #: Records that stand aside before the decisions are read again for them; doubles while that explains them all.
        self._aside_count = limits.replay_aside_count // 16
        self._first = 0
        #: Those that stand aside and were looked for before.
        self._strays: set[str] = set()

    async def run(self) -> Verification:
        """Compare the partition's events with its decisions."""
        events = self._events()
        start = self._first = await self._log.low_watermark(DECISIONS, self._partition)
        deadline = asyncio.get_running_loop().time() + self._comparison.wait_seconds
        while True:
            stop = await self._log.high_watermark(DECISIONS, self._partition)
            async for batch in self._log.read_batches(DECISIONS, self._partition, start, stop):
                await self._meet(batch, events)
            start = stop
            while await anext(events, False):
                pass
            if not self._matcher.is_waiting or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
        await self._look_back()
        self._matcher.end()
        return self._result

    async def _events(self) -> AsyncIterator[bool]:
        """Fold batch after batch, and expect what comes of it; yields True."""
        state, start = await state_before(
            self._log,
            self._partition,
            self._part.start,
            self._comparison.snapshots,
            refused=self._result.refused.append,
        )
        folded = start - await self._log.low_watermark(EVENTS, self._partition)
        async for batch in self._log.read_batches(EVENTS, self._partition, start, self._part.stop):
            for record in batch:
                self._fold(state, record)
            folded += len(batch)
            self._progress(folded)
            yield True

    def _fold(self, state: PackedState, record: LogRecord) -> None:
        is_compared = record.offset >= self._part.start
        self._result.events += is_compared
        if (record.partition, record.offset) in self._comparison.quarantined:
            self._result.unusable += is_compared
            return
        try:
            folded = fold(state, record, self._partitions)
        except UnusableInputError:
            self._result.unusable += is_compared
            return
        state.apply(folded.changes)
        if is_compared and folded.step.decisions:
            self._expect(record.offset, folded)

    def _expect(self, offset: int, folded: Folded) -> None:
        for decision, append in zip(folded.step.decisions, folded.decisions, strict=True):
            if self._key is None or append.key == self._key:
                self._matcher.expect(decision.id, offset, append.value)

    async def _meet(self, batch: list[LogRecord], events: AsyncIterator[bool]) -> None:
        matcher = self._matcher
        for record in batch:
            if not self._is_meant(record):
                continue
            while not matcher.is_waiting and await anext(events, False):
                pass
            is_met = matcher.meet(record)
            while not is_met and not matcher.is_looking_far and await anext(events, False):
                is_met = matcher.meet(record)
            if not is_met:
                matcher.set_aside(record)
                if len(matcher.aside) - len(self._strays) >= self._aside_count:
                    await self._look_back()

    def _is_meant(self, record: LogRecord) -> bool:
        if self._key is not None and record.key != self._key:
            return False
        return self._part.is_of_event(record)

    async def _look_back(self) -> None:
        """Read the decisions again up to those that stand aside: they may repeat what was met long ago."""
        aside = self._matcher.aside
        fresh = {identity for identity in aside if identity not in self._strays}
        if not fresh:
            return
        places = {record.offset for identity in fresh for record in aside[identity]}
        async for batch in self._log.read_batches(DECISIONS, self._partition, self._first, max(places)):
            for record in batch:
                if record.offset not in places and self._is_meant(record) and identity_of(record) in fresh:
                    self._matcher.repeated(record)
        self._strays = set(aside)
        if not self._strays:
            self._aside_count = min(self._aside_count * 2, limits.replay_aside_count)
        while len(aside) > limits.replay_aside_count:
            _, records = aside.popitem(last=False)
            for record in records:
                self._matcher.refuse(record)
