"""The log in memory: for tests, simulations and judging files without a broker. Keeps the promises of EventLog."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Self

from streams.log import Append, LogRecord, Position, ReadInBatches, lost_tail, refuse_oversized
from streams.topics import TOPICS, partition_for
from towline.errors import LogUnavailableError, TopicMismatchError

BeforeAppend = Callable[[Append], Awaitable[None]]
"""Called before each record is stored: may wait, or raise LogUnavailableError in place of the broker."""

_BATCH_RECORDS = 500


class MemoryLog(ReadInBatches):
    """Topics as lists.

    ``topics`` has the number of partitions of each; by default the whole catalogue with ``partitions`` each. The times
    of records are those of ``clock_ms``, or count the appends, so that equal runs have equal records.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        partitions: int = 12,
        before_append: BeforeAppend | None = None,
        clock_ms: Iterator[int] | None = None,
    ) -> None:
        self._counts = dict(topics) if topics is not None else dict.fromkeys(TOPICS, partitions)
        self._records: dict[tuple[str, int], list[LogRecord]] = {
            (topic, partition): [] for topic, number in self._counts.items() for partition in range(number)
        }
        self._low: dict[tuple[str, int], int] = dict.fromkeys(self._records, 0)
        self._clock_ms = clock_ms or count(1)
        self._grown = asyncio.Condition()
        self._closed = False
        self.before_append = before_append

    async def append(self, record: Append) -> Position:
        """See EventLog."""
        refuse_oversized([record])
        self._check_open()
        partition = self._place(record)
        if self.before_append is not None:
            await self.before_append(record)
        async with self._grown:
            stored = self._records[record.topic, partition]
            position = Position(record.topic, partition, self._low[record.topic, partition] + len(stored))
            now = next(self._clock_ms)
            made = now if record.timestamp_ms is None else record.timestamp_ms
            stored.append(LogRecord(*position, record.key, record.value, record.headers, made))
            self._grown.notify_all()
        return position

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        """See EventLog. When the hook refuses one record the others are tried all the same, as a broker would."""
        refuse_oversized(records)
        results = [await self._attempt(record) for record in records]
        for result in results:
            if isinstance(result, LogUnavailableError):
                raise result
        return [result for result in results if isinstance(result, Position)]

    async def _attempt(self, record: Append) -> Position | LogUnavailableError:
        try:
            return await self.append(record)
        except LogUnavailableError as error:
            return error

    async def partitions(self, topic: str) -> int:
        """See EventLog."""
        self._check_open()
        try:
            return self._counts[topic]
        except KeyError:
            raise TopicMismatchError(f"topic {topic} does not exist") from None

    async def low_watermark(self, topic: str, partition: int) -> int:
        """See EventLog."""
        self._stored(topic, partition)
        return self._low[topic, partition]

    async def high_watermark(self, topic: str, partition: int) -> int:
        """See EventLog."""
        return len(self._stored(topic, partition)) + self._low[topic, partition]

    def remove_before(self, topic: str, partition: int, offset: int) -> None:
        """Forget the records before ``offset``, as a broker's retention does."""
        stored, low = self._stored(topic, partition), self._low[topic, partition]
        del stored[: max(0, offset - low)]
        self._low[topic, partition] = max(low, offset)

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        """See EventLog."""
        end = min(stop, await self.high_watermark(topic, partition))
        position = start
        while position < end:
            batch = [record for record in self._from(topic, partition, position) if record.offset < end]
            if not batch:
                return
            yield batch
            position = batch[-1].offset + 1

    async def follow(self, topic: str, starts: Mapping[int, int]) -> AsyncGenerator[LogRecord, None]:
        """See EventLog."""
        positions = dict(starts)
        for partition, start in starts.items():
            if start > await self.high_watermark(topic, partition):
                raise lost_tail(topic, partition, start)
        while True:
            batch = [record for partition in positions for record in self._from(topic, partition, positions[partition])]
            for record in batch:
                yield record
                positions[record.partition] = record.offset + 1
            async with self._grown:
                self._check_open()
                if not any(self._from(topic, partition, positions[partition]) for partition in positions):
                    await self._grown.wait()

    async def close(self) -> None:
        """See EventLog."""
        async with self._grown:
            self._closed = True
            self._grown.notify_all()

    async def __aenter__(self) -> Self:
        return self

    def _from(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        first = max(0, offset - self._low[topic, partition])
        return self._stored(topic, partition)[first : first + _BATCH_RECORDS]

    def _place(self, record: Append) -> int:
        partitions = self._counts.get(record.topic, 0)
        if record.partition is not None:
            self._stored(record.topic, record.partition)
            return record.partition
        if not partitions:
            raise TopicMismatchError(f"topic {record.topic} does not exist")
        return partition_for(record.key or b"", partitions)

    def _stored(self, topic: str, partition: int) -> list[LogRecord]:
        self._check_open()
        try:
            return self._records[topic, partition]
        except KeyError:
            raise TopicMismatchError(f"topic {topic} has no partition {partition}") from None

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailableError("the log is closed")
