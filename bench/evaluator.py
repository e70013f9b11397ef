"""The evaluator worker in events a second, against a hand-written loop that does the same work (``bench.loop``).

Both run as a process of their own on the same Apache Kafka, in turn, over the same events. Their clock begins with the
first records that they append and ends with the last, so that start-up and recovery are not in it.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.policies import Policy
from streams.kafka_log import KafkaLog
from streams.log import Append
from streams.provision import create_topics
from streams.topics import COMMANDS, DECISIONS
from tests.support.builders import appends_of, policy, published, pushed, rule
from tests.support.kafka import apache_kafka
from towline.settings import KafkaSettings, child_environment

EVENTS_COUNT = 20_000
POLICIES = 240
PARTITIONS = 12
DEADLINE_SECONDS = 120.0
POLL_SECONDS = 0.02
#: The loop's own topic, as the evaluator's table has one.
CHANGELOG = "bench.changelog"


def evaluator_vs_loop(runs: int) -> list[float]:
    """Return the ratio of the rates, both measured in turn within each run."""
    with apache_kafka(quick_start=False) as broker, tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
        settings = KafkaSettings(bootstrap=broker.address, partitions=PARTITIONS)
        return asyncio.run(_measure(settings, Path(folder), runs))


async def _measure(settings: KafkaSettings, folder: Path, runs: int) -> list[float]:
    await create_topics(settings)
    await _create_changelog(settings)
    document = {"kafka": {"bootstrap": settings.bootstrap, "partitions": PARTITIONS}, "worker": {"tick_seconds": 3600}}
    (folder / "towline.yaml").write_text(yaml.safe_dump(document))
    environment = child_environment(TOWLINE_SETTINGS=str(folder / "towline.yaml"), TOWLINE_DATA_DIR=str(folder))
    evaluator = ("-m", "agents", "evaluate")
    loop = ("-m", "bench.loop", str(settings.bootstrap), str(PARTITIONS), CHANGELOG)
    ratios = []
    async with KafkaLog(settings) as log, _watching(settings) as watcher:
        await log.append_all(appends_of(published(*_policies()), PARTITIONS))
        for run in range(runs):
            await _write_events(log, run)
            ours = await _rate(evaluator, watcher, environment)
            ratios.append(ours / await _rate(loop, watcher, environment))
    return ratios


async def _create_changelog(settings: KafkaSettings) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(CHANGELOG, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})])
    finally:
        await client.close()


def _policies() -> Sequence[Policy]:
    # Without an initial evaluation, so that no command comes but those of the pushes.
    return [
        policy(f"p{n}", f"local/dev/app{n}", f"local/qa/app{n}", rule("ends-with", "-stable"), initial_evaluation=False)
        for n in range(POLICIES)
    ]


async def _write_events(log: KafkaLog, run: int) -> None:
    """Write pushes of new tags; nine of ten are promoted, the others denied."""
    appends: list[Append] = []
    for number in range(EVENTS_COUNT):
        kind = "nightly" if number % 10 == 0 else "stable"
        event = pushed(f"local/dev/app{number % POLICIES}:{run}.{number}-{kind}", f"image {run} {number}")
        appends += appends_of(event, PARTITIONS)
    for start in range(0, len(appends), 5000):
        await log.append_all(appends[start : start + 5000])


@asynccontextmanager
async def _watching(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _appended(watcher: AIOKafkaConsumer) -> int:
    places = [TopicPartition(topic, number) for topic in (DECISIONS, COMMANDS) for number in range(PARTITIONS)]
    return sum((await watcher.end_offsets(places)).values())


async def _rate(command: Sequence[str], watcher: AIOKafkaConsumer, environment: dict[str, str]) -> float:
    """Run a process over the events that it has not seen; return the records that it appended a second."""
    before = await _appended(watcher)
    expected = before + EVENTS_COUNT + EVENTS_COUNT * 9 // 10
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            first = await _beyond(before + 1, watcher, process)
            start = time.perf_counter()
            await _beyond(expected, watcher, process)
            return (expected - first) / (time.perf_counter() - start)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _beyond(count: int, watcher: AIOKafkaConsumer, process: asyncio.subprocess.Process) -> int:
    """Wait until so many records are there; return how many there are."""
    while (appended := await _appended(watcher)) < count:
        assert process.returncode is None, "the process ended before its work"
        await asyncio.sleep(POLL_SECONDS)
    return appended
