"""The log on Kafka: one producer, and a reader without a group for each iteration. Keeps the promises of EventLog."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer

from streams import kafka_watermarks
from streams.kafka_entries import Entry, entry_batches
from streams.kafka_errors import translated
from streams.kafka_options import producer_options
from streams.kafka_reader import KafkaReader
from streams.log import Append, LogRecord, Position, lost_tail, refuse_oversized
from streams.topics import partition_for
from towline import limits
from towline.errors import LogUnavailableError, TopicMismatchError
from towline.settings import KafkaSettings

#: A new topic reaches the brokers one after the other: a topic is missing only when it stays so.
_TOPIC_ATTEMPTS: Final = 5
_TOPIC_BACKOFF_SECONDS: Final = 0.2


class KafkaLog:
    """The log on the broker of ``settings``. Connects when entered."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, int] = {}
        self._readers: set[KafkaReader] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            SettingsError: no broker is set.
            LogUnavailableError: the broker does not answer.
        """
        options = producer_options(self._settings)
        producer = AIOKafkaProducer(**options)
        try:
            with translated(f"connect to {self._settings.bootstrap}"):
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def close(self) -> None:
        """See EventLog."""
        producer, self._producer = self._producer, None
        for reader in list(self._readers):
            await reader.stop()
        if producer is not None:
            await producer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def append(self, record: Append) -> Position:
        """See EventLog."""
        return (await self.append_all([record]))[0]

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        """See EventLog."""
        refuse_oversized(records)
        if not records:
            return []
        places = [await self._place(record) for record in records]
        producer = self._connected()
        futures: list[asyncio.Future[Any]] = []
        try:
            with translated("append"):
                async with asyncio.timeout(limits.append_timeout_seconds):
                    for record, partition in zip(records, places, strict=True):
                        futures.append(
                            await producer.send(
                                record.topic,
                                record.value,
                                record.key,
                                partition=partition,
                                headers=list(record.headers),
                            )
                        )
                    # One after the other: all are on their way, and to wait for one costs less than for a set of one.
                    sent = [await future for future in futures]
        finally:
            _abandon(futures)
        return [Position(metadata.topic, metadata.partition, metadata.offset) for metadata in sent]

    async def append_entries(self, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        """Write keys with their values, or None for a tombstone, to a partition that nobody else writes to.

        They go in batches of their own, which costs a tenth of sending each: nothing is to be gathered with others.

        Returns the offset of the last, once every in-sync replica has all of them; they are in their order.

        Raises:
            LogError: one is larger than ``limits.record_bytes``; then none is written.
            LogUnavailableError: not all were acknowledged in time; a beginning of them may or may not be in the log.
        """
        producer, futures = self._connected(), list[asyncio.Future[Any]]()
        batches = entry_batches(producer, entries)
        try:
            with translated(f"append to {topic}"):
                async with asyncio.timeout(limits.append_timeout_seconds):
                    for batch in batches:
                        futures.append(await producer.send_batch(batch, topic, partition=partition))
                    await asyncio.wait(futures)
                places = [future.result() for future in futures]
        finally:
            _abandon(futures)
        return int(places[-1].offset + batches[-1].record_count() - 1)

    async def partitions(self, topic: str) -> int:
        """See EventLog."""
        client = self._connected().client
        for attempt in range(_TOPIC_ATTEMPTS if topic not in self._partitions else 0):
            if attempt:
                await asyncio.sleep(_TOPIC_BACKOFF_SECONDS)
            with translated(f"look for topic {topic}"):
                # All topics, since asking for one by name would create it on a broker that allows this.
                known = (await client.fetch_all_metadata()).partitions_for_topic(topic)
            if known:
                self._partitions[topic] = len(known)
                break
        if topic not in self._partitions:
            raise TopicMismatchError(f"topic {topic} does not exist: towline topics create")
        return self._partitions[topic]

    async def low_watermark(self, topic: str, partition: int) -> int:
        """See EventLog."""
        await self._check(topic, partition)
        with translated(f"find the start of {topic} partition {partition}"):
            async with asyncio.timeout(limits.append_timeout_seconds):
                return await kafka_watermarks.low_watermark(self._connected().client, topic, partition)

    async def high_watermark(self, topic: str, partition: int) -> int:
        """See EventLog."""
        await self._check(topic, partition)
        with translated(f"find the end of {topic} partition {partition}"):
            async with asyncio.timeout(limits.append_timeout_seconds):
                return await kafka_watermarks.high_watermark(self._connected().client, topic, partition)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncGenerator[LogRecord, None]:
        """See EventLog."""
        async with aclosing(self.read_batches(topic, partition, start, stop)) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        """See EventLog."""
        end = min(stop, await self.high_watermark(topic, partition))
        if start >= end:
            return
        async with self._reading(topic, {partition: start}) as reader:
            position, silent_since = start, monotonic()
            while position < end:
                batch = await reader.batch()
                before, position = position, await reader.position(partition)
                if position > end:
                    batch = [record for record in batch if record.offset < end]
                if batch:
                    yield batch
                if position > before:
                    # Only now: how long the records were worked on is not the log's silence.
                    silent_since = monotonic()
                elif monotonic() - silent_since > limits.append_timeout_seconds:
                    raise LogUnavailableError(f"read {topic}: nothing came for {limits.append_timeout_seconds} s")

    async def follow(self, topic: str, starts: Mapping[int, int]) -> AsyncGenerator[LogRecord, None]:
        """See EventLog."""
        for partition, start in starts.items():
            # The embedded broker lets a fetch beyond the end wait for ever.
            if start > await self.high_watermark(topic, partition):
                raise lost_tail(topic, partition, start)
        async with self._reading(topic, starts) as reader:
            while True:
                for record in await reader.batch():
                    yield record

    @asynccontextmanager
    async def _reading(self, topic: str, starts: Mapping[int, int]) -> AsyncIterator[KafkaReader]:
        reader = KafkaReader(self._settings, topic, starts)
        self._readers.add(reader)
        try:
            async with reader:
                yield reader
        finally:
            self._readers.discard(reader)

    async def _place(self, record: Append) -> int:
        if record.partition is None:
            known = self._partitions.get(record.topic) or await self.partitions(record.topic)
            return partition_for(record.key or b"", known)
        await self._check(record.topic, record.partition)
        return record.partition

    async def _check(self, topic: str, partition: int) -> None:
        if not 0 <= partition < await self.partitions(topic):
            raise TopicMismatchError(f"topic {topic} has no partition {partition}")

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise LogUnavailableError("the log is closed")
        return self._producer


def _abandon(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Let futures that nobody waits for any more end without a complaint."""
    for future in futures:
        if not future.cancel() and not future.cancelled():
            future.exception()
