"""``replay verify`` in events a second, against a bare aiokafka read of the same events with ``orjson.loads``."""

import asyncio
import time

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.catalogue import encode
from streams.folding import fold
from streams.kafka_log import KafkaLog
from streams.log import Append, LogRecord
from streams.provision import create_topics
from streams.replay.verify import verify
from streams.topics import EVENTS
from tests.support.brokers import own_broker
from tests.support.builders import appends_of, policy, published, pushed, rule
from towline.policy.step import MemoryState
from towline.settings import KafkaSettings

EVENTS_COUNT = 40_000
POLICIES = 200
PARTITIONS = 4


def replay_vs_read(runs: int) -> list[float]:
    """Return the ratio of the rates, both measured in turn within each run."""
    with own_broker() as broker:
        return asyncio.run(_measure(KafkaSettings(bootstrap=broker.bootstrap, partitions=PARTITIONS), runs))


async def _measure(settings: KafkaSettings, runs: int) -> list[float]:
    await create_topics(settings)
    async with KafkaLog(settings) as log:
        await _write(log)
        ratios = []
        for _ in range(runs):
            read = await _read_seconds(settings)
            start = time.perf_counter()
            result = await verify(log)
            replay = time.perf_counter() - start
            assert result.is_identical
            assert result.events >= EVENTS_COUNT
            ratios.append(read / replay)
        return ratios


async def _write(log: KafkaLog) -> None:
    """Write events of 200 policies, and the decisions that follow from them."""
    policies = [
        policy(f"p{n}", f"local/dev/app{n}", f"local/qa/app{n}", rule("ends-with", "-stable")) for n in range(POLICIES)
    ]
    events = [published(*policies)]
    events += [pushed(f"local/dev/app{n % POLICIES}:{n % 7}-stable", f"image {n}") for n in range(EVENTS_COUNT)]
    states = [MemoryState() for _ in range(PARTITIONS)]
    offsets = [0] * PARTITIONS
    appends: list[Append] = []
    for event in events:
        for append in appends_of(event, PARTITIONS):
            partition = append.partition or 0
            record = LogRecord(EVENTS, partition, offsets[partition], append.key, encode(event), (), 0)
            offsets[partition] += 1
            folded = fold(states[partition], record, PARTITIONS)
            states[partition].apply(folded.changes)
            appends += [append, *folded.decisions]
    for start in range(0, len(appends), 5000):
        await log.append_all(appends[start : start + 5000])


async def _read_seconds(settings: KafkaSettings) -> float:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(EVENTS, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        left = sum(ends.values())
        start = time.perf_counter()
        while left:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).values():
                for record in records:
                    orjson.loads(record.value)
                left -= len(records)
        return time.perf_counter() - start
    finally:
        await consumer.stop()
