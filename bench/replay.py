"""``towline replay verify`` in events a second, against a bare aiokafka read of the same events with ``orjson.loads``.

The command is measured as people run it, with its start and all its processes. ``python -m bench.replay EVENTS RUNS``
measures a log of any size, and tells both rates and the memory.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import orjson
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.memory import Memory, watched
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.folding import fold
from streams.kafka_log import KafkaLog
from streams.log import Append, LogRecord
from streams.provision import create_topics
from streams.replay.packed import PackedState
from streams.topics import EVENTS
from tests.support.brokers import own_broker
from tests.support.builders import appends_of, at, policy, published, pushed, rule
from towline.settings import KafkaSettings, child_environment

EVENTS_COUNT = 100_000
POLICIES = 200
PARTITIONS = 4
_WRITTEN_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: both rates in events a second, and the most memory at one time in MiB."""

    read: float
    replay: float
    memory_mib: float
    largest_process_mib: float

    @property
    def ratio(self) -> float:
        """The rate of replay in parts of that of reading."""
        return self.replay / self.read


def replay_vs_read(runs: int) -> list[float]:
    """Return the ratio of the rates, both measured in turn within each run."""
    return [run.ratio for run in measure(EVENTS_COUNT, runs)]


def measure(events: int, runs: int) -> list[Measured]:
    """Write a log of so many events and their decisions, then read and replay it in turn."""
    with own_broker() as broker, tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
        settings = KafkaSettings(bootstrap=broker.bootstrap, partitions=PARTITIONS)
        asyncio.run(create_topics(settings))
        with ProcessPoolExecutor(min(os.cpu_count() or 1, PARTITIONS), get_context("spawn")) as pool:
            written = sum(pool.map(partial(_write, settings, events), range(PARTITIONS)))
        document = {"kafka": {"bootstrap": settings.bootstrap, "partitions": PARTITIONS}, "data_dir": folder}
        file = Path(folder, "towline.yaml")
        file.write_text(yaml.safe_dump(document))
        return [_run(settings, file, written) for _ in range(runs)]


def _run(settings: KafkaSettings, file: Path, count: int) -> Measured:
    read = asyncio.run(_read_seconds(settings))
    start = time.perf_counter()
    memory = _replay(file, count)
    return Measured(count / read, count / (time.perf_counter() - start), memory.together_mib, memory.largest_mib)


def _replay(file: Path, count: int) -> Memory:
    command = (sys.executable, "-c", "from streams.cli import main; main()", "replay", "verify", "--json")
    with watched(command, child_environment(TOWLINE_SETTINGS=str(file))) as (process, memory):
        output, _ = process.communicate()
    result = json.loads(output)
    assert result["replay"] == "identical", output
    assert result["details"]["events"] == count, "all of the log was folded"
    assert result["details"]["decisions"] == count - PARTITIONS, "each push has its decision"
    return memory


def _write(settings: KafkaSettings, events: int, partition: int) -> int:
    return asyncio.run(_write_partition(settings, events, partition))


async def _write_partition(settings: KafkaSettings, events: int, partition: int) -> int:
    """Write one partition's events, and the decisions that follow from them; return the number of the events."""
    state, written = PackedState(), 0
    waiting: list[Append] = []
    async with KafkaLog(settings) as log:
        for event in _events(events):
            for append in appends_of(event, PARTITIONS):
                if append.partition != partition:
                    continue
                record = LogRecord(EVENTS, partition, written, append.key, append.value, (), 0)
                folded = fold(state, record, PARTITIONS)
                state.apply(folded.changes)
                waiting += [append, *folded.decisions]
                written += 1
            if len(waiting) >= _WRITTEN_AT_ONCE:
                await log.append_all(waiting)
                waiting.clear()
        await log.append_all(waiting)
    return written


def _events(count: int) -> Iterator[Envelope[Frozen]]:
    """Yield a publication of policies, and pushes of new images under a few tags of each of their sources."""
    yield published(
        *(
            policy(f"p{n}", f"local/dev/app{n}", f"local/qa/app{n}", rule("ends-with", "-stable"))
            for n in range(POLICIES)
        )
    )
    for number in range(count):
        reference = f"local/dev/app{number % POLICIES}:{number // POLICIES % 7}-stable"
        yield pushed(reference, f"image {number}", time=at(number))


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


if __name__ == "__main__":
    found = measure(int(sys.argv[1]), int(sys.argv[2]))
    for item in found:
        print(
            json.dumps({"ratio": round(item.ratio, 3), **{name: round(value) for name, value in asdict(item).items()}})
        )
    print(json.dumps({"median_ratio": round(statistics.median(item.ratio for item in found), 3)}))
