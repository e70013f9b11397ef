"""Logs for contract tests: the same promises on every implementation."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.kafka_log import KafkaLog
from streams.log import Append, EventLog
from streams.memory_log import MemoryLog
from towline import limits
from towline.settings import KafkaSettings

PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class LogUnderTest:
    """A log and an empty topic of ``PARTITIONS`` partitions in it."""

    log: EventLog
    topic: str

    def record(self, value: bytes, *, partition: int | None = 0, key: bytes | None = b"key") -> Append:
        return Append(self.topic, key, value, partition)

    async def values(self, partition: int, start: int, stop: int) -> list[bytes | None]:
        return [record.value async for record in self.log.read(self.topic, partition, start, stop)]


@asynccontextmanager
async def memory_log() -> AsyncIterator[LogUnderTest]:
    async with MemoryLog({"topic": PARTITIONS}) as log:
        yield LogUnderTest(log, "topic")


@asynccontextmanager
async def kafka_log(bootstrap: str, *, replication: int = 1) -> AsyncIterator[LogUnderTest]:
    topic = f"contract.{uuid.uuid4().hex}"
    await make_topic(bootstrap, topic, replication=replication)
    async with KafkaLog(KafkaSettings(bootstrap=bootstrap)) as log:
        yield LogUnderTest(log, topic)


async def make_topic(
    bootstrap: str, topic: str, *, partitions: int = PARTITIONS, replication: int = 1, **settings: str
) -> None:
    """Create a topic; ``settings`` are those of Kafka with ``_`` in place of ``.``."""
    configs = {"retention.ms": "-1", "max.message.bytes": str(limits.record_bytes)}
    configs |= {name.replace("_", "."): value for name, value in settings.items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        await admin.start()
        answer = await admin.create_topics([NewTopic(topic, partitions, replication, topic_configs=configs)])
    finally:
        await admin.close()
    assert [error[1] for error in answer.topic_errors] == [0], answer
