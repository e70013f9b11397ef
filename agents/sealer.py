"""The sealer: commits to the decisions of each partition with signed checkpoints.

The topic of checkpoints is the truth, not the table: a checkpoint counts when it stands there as the first that follows
the one before it. So a sealer takes what is there before it writes, whoever wrote it, and looks again at what it wrote.
Where it cuts depends on clocks; the bytes of a checkpoint depend on nothing but the records, the cut and the key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from agents.background import in_background
from agents.partition_state import PartitionState
from agents.partition_worker import Internal
from agents.retry import retrying
from agents.seal import Seal, SealSource
from schemas.catalogue import encode
from streams.log import Append, EventLog, LogRecord
from streams.metrics import Metrics
from streams.topics import CHECKPOINTS, DECISIONS
from towline import limits
from towline.audit.checkpoints import SealingKey
from towline.audit.leaves import record_leaf
from towline.audit.tail import Leaf
from towline.failpoints import Failpoints

_SEALED: Final = "sealed"

Keep = Callable[[bytes], Awaitable[None]]
"""Called with the bytes of each checkpoint once it counts, at least once."""


class Sealer:
    """The handler of ``towline.decisions``."""

    name = "sealer"
    topic = DECISIONS

    def __init__(
        self,
        log: EventLog,
        key: SealingKey,
        source: SealSource,
        metrics: Metrics,
        failpoints: Failpoints,
        *,
        every_records: int,
        keep: Keep | None = None,
    ) -> None:
        self._log = log
        self._key = key
        self._source = source
        self._metrics = metrics
        self._failpoints = failpoints
        self._every_records = every_records
        self._keep = keep
        self._seals: dict[int, Seal] = {}
        self._open: set[int] = set()
        #: Partitions of which everything is to be sealed now.
        self._due: set[int] = set()
        #: How a change is brought into the order of a partition's work.
        self.submit: Callable[[int, Internal], Awaitable[None]] | None = None

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Take a decision into the tail."""
        leaf = record_leaf(record.key, record.value, record.headers, record.timestamp_ms)
        self._seal(state).new.append(Leaf(leaf, record.offset, record.timestamp_ms))
        return []

    async def opened(self, state: PartitionState) -> None:
        """Read again what was taken and not sealed, and take what others sealed meanwhile."""
        if state.partition not in self._seals:
            first = self._seal(state).tail.last_offset + 1
            while first <= state.applied:
                stop = min(first + limits.heal_record_count, state.applied + 1)
                for record in await retrying(partial(self._range, state.partition, first, stop)):
                    await self.handle(state, record)
                first = stop
        self._open.add(state.partition)
        await self._take_sealed(state, self._seal(state))
        self._tell(state.partition)

    async def committed(self, state: PartitionState) -> None:
        """Seal what is due."""
        seal = self._seals.get(state.partition)
        if seal is None or (seal.waiting < self._every_records and state.partition not in self._due):
            return
        await self._take_sealed(state, seal)
        least = 1 if state.partition in self._due else self._every_records
        while not seal.is_behind and seal.waiting >= least:
            await self._write(state, seal)
        self._due.discard(state.partition)
        self._tell(state.partition)

    async def closed(self, partition: int) -> None:
        """Forget a partition: its next owner reads the topics."""
        self._seals.pop(partition, None)
        self._open.discard(partition)
        self._due.discard(partition)
        self._metrics.unsealed(partition)

    async def seal_all(self) -> None:
        """Have everything sealed that waits, in the order of each partition's work."""
        for number in sorted(self._open):
            if self.submit is not None:
                await self.submit(number, lambda state: self._due.add(state.partition))

    def timer(
        self, every_seconds: float, on_failure: Callable[[BaseException], None]
    ) -> AbstractAsyncContextManager[None]:
        """Let nothing wait for longer than so many seconds, until this is left."""

        async def run() -> None:
            while True:
                await asyncio.sleep(every_seconds)
                await self.seal_all()

        return in_background(run(), "seal timer", on_failure)

    def _seal(self, state: PartitionState) -> Seal:
        if state.partition not in self._seals:
            self._seals[state.partition] = Seal.from_value(state.partition, state.get(_SEALED))
        return self._seals[state.partition]

    async def _take_sealed(self, state: PartitionState, seal: Seal) -> None:
        """Take the checkpoints that are in the topic."""
        async for checkpoint in self._source.following(seal, state.applied):
            if self._keep is not None:
                await self._keep(checkpoint)
        if state.get(_SEALED) != (value := seal.value()):
            state.put(_SEALED, value)

    async def _write(self, state: PartitionState, seal: Seal) -> None:
        checkpoint = seal.tail.checkpoint(seal.partition, self._key, self._every_records)
        key = str(seal.partition).encode()
        append = Append(CHECKPOINTS, key, encode(checkpoint), partition=seal.partition)
        await self._failpoints.hit("sealer.checkpoint_next")
        await retrying(lambda: self._log.append_all([append]))
        await self._failpoints.hit("sealer.checkpoint_acked")
        await self._take_sealed(state, seal)

    async def _range(self, number: int, start: int, stop: int) -> list[LogRecord]:
        return [record async for record in self._log.read(DECISIONS, number, start, stop)]

    def _tell(self, partition: int) -> None:
        seal = self._seals[partition]
        self._metrics.sealed(partition, seal.tail.sealed.size, seal.time)
