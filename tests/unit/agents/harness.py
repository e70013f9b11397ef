"""A shell over the log in memory: what Faust does around it, without Faust.

Like Faust's consumer it reads each partition in order, and after a restart goes on behind what was acknowledged.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

import pytest

from agents.evaluator import Evaluator
from agents.partition_worker import Handler
from agents.shell import Shell
from agents.table import Entry, MemoryTable, Table
from streams.log import EventLog, LogRecord
from streams.metrics import Metrics
from towline import limits
from towline.failpoints import Failpoints

PARTITIONS = 3
_DEADLINE_SECONDS = 20.0

Place = tuple[int, int]
"""A partition and an offset."""


async def until(condition: Callable[[], bool], what: str) -> None:
    """Let the tasks of this process run until ``condition`` holds; nothing else can change it."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not so: {what}"
        await asyncio.sleep(0)


def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make retries immediate; their number stays."""
    monkeypatch.setattr(limits, "backoff_first_seconds", 0.0)
    monkeypatch.setattr(limits, "backoff_last_seconds", 0.0)


class Run:
    """One life of a worker process."""

    def __init__(
        self,
        log: EventLog,
        table: Table,
        *,
        handler: Handler | None = None,
        failpoints: str = "",
        committed: Sequence[Place] = (),
    ) -> None:
        self.acknowledged: list[Place] = []
        self.failures: list[BaseException] = []
        self._log = log
        self.handler = handler or Evaluator(PARTITIONS, Metrics([]))
        self.shell = Shell(self.handler, table, log, Failpoints(failpoints), self.failures.append)
        self._delivered: set[Place] = set()
        self._next: dict[int, int] = {}
        for place, offset in sorted(committed):
            if offset == self._next.get(place, 0):
                self._next[place] = offset + 1

    async def deliver(self, record: LogRecord) -> None:
        """Hand one record to the shell."""
        await self.deliver_together([record])

    async def deliver_together(self, records: Sequence[LogRecord]) -> None:
        """Hand records of one partition to the shell at once, with one acknowledgement."""
        place = (records[-1].partition, records[-1].offset)
        self._delivered.add(place)
        await self.shell.accept(records, partial(self._acknowledge, place))

    async def drain(self, *, losing: Collection[Place] = ()) -> None:
        """Deliver what the topic holds, and what comes of it, until all is acknowledged or the worker failed.

        Records at ``losing`` never come out of the consumer.
        """
        while await self._deliver_new(losing) and not self.failures:
            await until(self.is_settled, "all acknowledged, or a failure")

    def is_settled(self) -> bool:
        """Tell whether nothing more is to be expected."""
        return bool(self.failures) or self._delivered <= set(self.acknowledged)

    async def _deliver_new(self, losing: Collection[Place]) -> bool:
        delivered = False
        for partition in range(PARTITIONS):
            start = self._next.get(partition, 0)
            end = await self._log.high_watermark(self.handler.topic, partition)
            self._next[partition] = max(start, end)
            async for record in self._log.read(self.handler.topic, partition, start, end):
                if (partition, record.offset) not in losing:
                    delivered = True
                    await self.deliver(record)
        return delivered

    async def _acknowledge(self, place: Place) -> None:
        self.acknowledged.append(place)


class TornError(Exception):
    """The process died inside a write."""


class TearingTable(MemoryTable):
    """A table whose write number ``tear_at`` gets only its first ``kept`` entries before the process dies."""

    def __init__(self, tear_at: int = -1, kept: int = 0) -> None:
        super().__init__()
        self.writes: list[int] = []
        self._tear_at = tear_at
        self._kept = kept

    async def write(self, partition: int, entries: Sequence[Entry]) -> None:
        self.writes.append(len(entries))
        if len(self.writes) - 1 == self._tear_at:
            await super().write(partition, entries[: self._kept])
            raise TornError
        await super().write(partition, entries)
