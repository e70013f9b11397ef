"""The log on Kafka: what reads it, and one producer. Keeps the promises of EventLog."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.kafka_entries import Entry, entry_batches
from streams.kafka_errors import translated
from streams.kafka_options import producer_options
from streams.kafka_read_log import KafkaReadLog
from streams.log import Append, Position, refuse_oversized
from streams.topics import partition_for
from towline import limits
from towline.errors import LogUnavailableError
from towline.settings import KafkaSettings


class KafkaLog(KafkaReadLog):
    """The log on the broker of ``settings``, to be read and written. Connects when entered."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self._producer: AIOKafkaProducer | None = None

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
        self._producer, self._client = producer, producer.client

    async def close(self) -> None:
        """See ReadableLog."""
        producer, self._producer, self._client = self._producer, None, None
        await self._stop_readers()
        if producer is not None:
            await producer.stop()

    async def append(self, record: Append) -> Position:
        """See EventLog."""
        return (await self.append_all([record]))[0]

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        """See EventLog."""
        refuse_oversized(records)
        if not records:
            return []
        places = [await self._place(record) for record in records]
        producer = self._producing()
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
                                timestamp_ms=record.timestamp_ms,
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
        producer, futures = self._producing(), list[asyncio.Future[Any]]()
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

    async def _place(self, record: Append) -> int:
        if record.partition is None:
            known = self._partitions.get(record.topic) or await self.partitions(record.topic)
            return partition_for(record.key or b"", known)
        await self._check(record.topic, record.partition)
        return record.partition

    def _producing(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise LogUnavailableError("the log is closed")
        return self._producer


def _abandon(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Let futures that nobody waits for any more end without a complaint."""
    for future in futures:
        if not future.cancel() and not future.cancelled():
            future.exception()
