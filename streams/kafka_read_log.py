"""Reading the log on Kafka: a client that asks, and a reader without a group for each iteration. It never produces."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Self

from aiokafka.client import AIOKafkaClient

from streams import kafka_watermarks
from streams.kafka_errors import translated
from streams.kafka_options import client_options
from streams.kafka_reader import KafkaReader
from streams.log import LogRecord, ReadInBatches, lost_tail
from towline import limits
from towline.errors import LogUnavailableError, TopicMismatchError
from towline.settings import KafkaSettings

#: A new topic reaches the brokers one after the other: a topic is missing only when it stays so.
_TOPIC_ATTEMPTS: Final = 5
_TOPIC_BACKOFF_SECONDS: Final = 0.2


class KafkaReadLog(ReadInBatches):
    """The log on the broker of ``settings``, read only: a principal that may do nothing but read is enough.

    Connects when entered.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaClient | None = None
        self._partitions: dict[str, int] = {}
        self._readers: set[KafkaReader] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            SettingsError: no broker is set.
            LogUnavailableError: the broker does not answer.
        """
        client = AIOKafkaClient(**client_options(self._settings))
        try:
            with translated(f"connect to {self._settings.bootstrap}"):
                await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        self._client = client

    async def close(self) -> None:
        """See ReadableLog."""
        client, self._client = self._client, None
        await self._stop_readers()
        if client is not None:
            await client.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def partitions(self, topic: str) -> int:
        """See ReadableLog."""
        client = self._connected()
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
            hidden = f", or {who} may not see it: towline topics acls" if (who := self._settings.username) else ""
            raise TopicMismatchError(f"topic {topic} does not exist: towline topics create{hidden}")
        return self._partitions[topic]

    async def low_watermark(self, topic: str, partition: int) -> int:
        """See ReadableLog."""
        await self._check(topic, partition)
        with translated(f"find the start of {topic} partition {partition}"):
            async with asyncio.timeout(limits.append_timeout_seconds):
                return await kafka_watermarks.low_watermark(self._connected(), topic, partition)

    async def high_watermark(self, topic: str, partition: int) -> int:
        """See ReadableLog."""
        await self._check(topic, partition)
        with translated(f"find the end of {topic} partition {partition}"):
            async with asyncio.timeout(limits.append_timeout_seconds):
                return await kafka_watermarks.high_watermark(self._connected(), topic, partition)

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        """See ReadableLog."""
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
        """See ReadableLog."""
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

    async def _check(self, topic: str, partition: int) -> None:
        if not 0 <= partition < await self.partitions(topic):
            raise TopicMismatchError(f"topic {topic} has no partition {partition}")

    async def _stop_readers(self) -> None:
        for reader in list(self._readers):
            await reader.stop()

    def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            raise LogUnavailableError("the log is closed")
        return self._client
