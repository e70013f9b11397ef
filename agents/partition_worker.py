"""The work on one partition: guard, handle, effects, table, acknowledgement, in this order and by one task."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from agents.partition_state import PartitionState, StateMismatchError
from agents.retry import retrying
from streams.log import Append, EventLog, LogRecord
from towline import limits
from towline.errors import LogError, TowlineError
from towline.failpoints import Failpoints

_logger = structlog.get_logger(__name__)

Acknowledge = Callable[[], Awaitable[object]]
Internal = Callable[[PartitionState], None]
"""Something that an agent wants written to a partition's state, in the order of its work."""


class Handler(Protocol):
    """What makes an agent: how it takes a record."""

    #: The agent's name; also the beginning of its failpoints.
    name: str
    #: The topic whose partitions it owns.
    topic: str

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Stage the changes of a record and return its effects, which must be the same bytes at every repetition."""
        ...

    async def opened(self, state: PartitionState) -> None:
        """Called when a partition was taken over, before its first record."""
        ...

    async def committed(self, state: PartitionState) -> None:
        """Called after each batch whose changes are in the table."""
        ...

    async def closed(self, partition: int) -> None:
        """Called when a partition was given up."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """A record with its acknowledgement, or a change that no record brings."""

    record: LogRecord | None
    acknowledge: Acknowledge | None
    internal: Internal | None = None


class PartitionWorker:
    """One partition's queue, state and task. Begins at once; ``stop`` ends it, with whatever it had not finished."""

    def __init__(
        self,
        handler: Handler,
        state: PartitionState,
        log: EventLog,
        failpoints: Failpoints,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.queue: asyncio.Queue[Work] = asyncio.Queue(limits.batch_record_count * 2)
        self.is_open = False
        self._handler = handler
        self._state = state
        self._log = log
        self._failpoints = failpoints
        self._on_failure = on_failure
        #: Bytes of the records whose changes are staged.
        self._staged_bytes = 0
        self._task = asyncio.create_task(self._run(), name=f"{handler.name}-{state.partition}")

    async def stop(self) -> None:
        """End the task, and let go of whoever waits for room in the queue."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # Faust hands over the records of all partitions one by one: one that waits here would hold up the others.
        while not self.queue.empty():
            self.queue.get_nowait()

    async def _run(self) -> None:
        try:
            await self._open()
            while True:
                if batch := await self._batch():
                    await self._take(batch)
                else:
                    await self._catch_up()
        except Exception as error:
            self._on_failure(error)

    async def _batch(self) -> list[Work]:
        """Return what is queued, or nothing when nothing came for a while."""
        try:
            async with asyncio.timeout(limits.idle_check_seconds):
                batch = [await self.queue.get()]
        except TimeoutError:
            return []
        while len(batch) < limits.batch_record_count and not self.queue.empty():
            batch.append(self.queue.get_nowait())
        return batch

    async def _open(self) -> None:
        state = self._state
        try:
            await state.open()
        except StateMismatchError as mismatch:
            await self._rebuild(str(mismatch))
        end = await retrying(lambda: self._log.high_watermark(self._handler.topic, state.partition))
        if state.applied >= end:
            raise LogError(
                f"{self._handler.topic}/{state.partition} ends at {end}, but this state has applied {state.applied}: "
                "the log lost records, or the data directory belongs to another cluster"
            )
        await self._handler.opened(state)
        self.is_open = True

    async def _rebuild(self, reason: str) -> None:
        """Fold the log anew up to where the state had been; its effects were acknowledged before that state was."""
        state = self._state
        until = state.newest_offset()
        _logger.warning("rebuilding the state from the log", partition=state.partition, reason=reason, until=until)
        await state.clear()
        await self._heal(until + 1, with_effects=False)

    async def _take(self, batch: list[Work]) -> None:
        effects: list[Append] = []
        applied = self._state.applied
        for work in batch:
            if work.internal is not None:
                work.internal(self._state)
            elif work.record is not None and work.record.offset > applied:
                if work.record.offset > applied + 1 and not await self._failpoints.hit("shell.guard"):
                    # Faust lost what lies between. Finish what came before it, then read the rest from the log.
                    await self._finish(effects, applied)
                    effects = []
                    await self._heal(work.record.offset, with_effects=True)
                if self._is_full_before(work.record):
                    await self._finish(effects, applied)
                    effects = []
                effects += await self._handle(work.record)
                applied = work.record.offset
        await self._failpoints.hit(f"{self._handler.name}.decided")
        await self._finish(effects, applied)
        for work in batch:
            if work.acknowledge is not None:
                await work.acknowledge()
        await self._failpoints.hit(f"{self._handler.name}.acked")

    async def _handle(self, record: LogRecord) -> list[Append]:
        self._staged_bytes += len(record.value or b"")
        try:
            return await self._handler.handle(self._state, record)
        except Exception as error:
            if not isinstance(error, TowlineError):
                # A bug: whoever reads the log has to know what to put into quarantine.
                place = f"{record.partition}/{record.offset}"
                _logger.error("a record stops this worker", topic=record.topic, place=place)
            raise

    def _is_full_before(self, record: LogRecord) -> bool:
        """Tell whether what is staged is to be written first: one journal, itself a record, has to hold it all."""
        entries_bytes = self._state.staged_count * limits.staged_entry_bytes
        staged_bytes = self._staged_bytes + entries_bytes + len(record.value or b"")
        return self._staged_bytes > 0 and staged_bytes > limits.staged_bytes

    async def _finish(self, effects: list[Append], applied: int) -> None:
        if effects:
            await retrying(lambda: self._log.append_all(effects))
        await self._failpoints.hit(f"{self._handler.name}.effects_acked")
        if applied != self._state.applied or self._state.is_changed:
            await self._state.commit(applied)
        self._staged_bytes = 0
        await self._handler.committed(self._state)

    async def _catch_up(self) -> None:
        """Apply what the log has and nobody handed over.

        When Faust loses the last record of a partition, no later one tells of the gap.
        """
        end = await retrying(partial(self._log.high_watermark, self._handler.topic, self._state.partition))
        if end > self._state.applied + 1 and not await self._failpoints.hit("shell.guard"):
            await self._heal(end, with_effects=True)

    async def _heal(self, stop: int, *, with_effects: bool) -> None:
        """Apply what the log has between the applied offset and ``stop``."""
        topic, partition = self._handler.topic, self._state.partition
        first = await retrying(lambda: self._log.low_watermark(topic, partition))
        while self._state.applied + 1 < stop:
            start = max(first, self._state.applied + 1)
            upto = min(stop, start + limits.heal_record_count)
            records = await retrying(partial(self._range, start, upto))
            effects: list[Append] = []
            for record in records:
                if self._is_full_before(record):
                    await self._finish(effects if with_effects else [], record.offset - 1)
                    effects = []
                effects += await self._handle(record)
            # Offsets without a record, such as those that retention removed, are applied by passing them.
            await self._finish(effects if with_effects else [], max(upto, start) - 1)

    async def _range(self, start: int, stop: int) -> list[LogRecord]:
        return [record async for record in self._log.read(self._handler.topic, self._state.partition, start, stop)]
