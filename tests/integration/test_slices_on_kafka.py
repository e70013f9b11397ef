"""Slices and exports of a log on Kafka, by the commands; a slice of it is a log on the embedded broker."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.export.check import check
from streams.kafka_log import KafkaLog
from streams.provision import create_topics
from streams.slices.loading import load_slice
from streams.slices.reader import open_slice
from streams.topics import DEADLETTERS, INBOUND, TOPICS
from tests.support import brokers
from tests.support.brokers import BrokerUnderTest
from tests.support.exports import content_of, some_days
from tests.support.slices import everything, sliced
from tests.support.world import PARTITIONS
from towline.settings import KafkaSettings, isolated_environment

pytestmark = pytest.mark.kafka

#: Of towline.inbound the broker says when a record arrived.
TIMED = tuple(topic for topic in TOPICS if topic != INBOUND)


def settings_of(broker: BrokerUnderTest) -> KafkaSettings:
    return KafkaSettings(bootstrap=broker.bootstrap, partitions=PARTITIONS)


@dataclass
class Commands:
    folder: Path

    async def run(self, broker: BrokerUnderTest | None, *arguments: str) -> tuple[int, str]:
        """Run a command; return its exit code and all that it said."""
        given = {"TOWLINE_KAFKA_BOOTSTRAP": broker.bootstrap} if broker else {}
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "towline"),
            *arguments,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=isolated_environment(**given),
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode()

    async def done(self, broker: BrokerUnderTest | None, *arguments: str) -> str:
        """Run a command that must succeed; return what it said."""
        code, said = await self.run(broker, *arguments)
        assert code == 0, said
        return said


@pytest.fixture
async def recorded(fresh_broker: BrokerUnderTest, tmp_path: Path) -> AsyncIterator[KafkaLog]:
    """A log on Kafka with some days of history, loaded from a slice of one in memory."""
    await create_topics(settings_of(fresh_broker))
    world = await some_days(3)
    await sliced(world.log, tmp_path / "memory.jsonl")
    async with KafkaLog(settings_of(fresh_broker)) as log, open_slice(tmp_path / "memory.jsonl") as given:
        await load_slice(log, given)
        assert await everything(log, TIMED) == await everything(world.log, TIMED)
        yield log


async def test_a_slice_of_kafka_is_a_log_on_the_embedded_broker_to_the_byte(
    fresh_broker: BrokerUnderTest, recorded: KafkaLog, tmp_path: Path
) -> None:
    towline = Commands(tmp_path)
    await towline.done(fresh_broker, "replay", "export", "case.jsonl.gz")
    assert "replay: identical" in await towline.done(None, "replay", "verify", "--slice", "case.jsonl.gz")

    with brokers.embedded() as laptop:
        await create_topics(settings_of(laptop))
        assert "records are in the log" in await towline.done(laptop, "replay", "import", "case.jsonl.gz")
        async with KafkaLog(settings_of(laptop)) as log:
            assert await everything(log, TIMED) == await everything(recorded, TIMED)
        assert "replay: identical" in await towline.done(laptop, "replay", "verify")
        code, said = await towline.run(laptop, "replay", "import", "case.jsonl.gz")
        assert (code, "is not empty" in said) == (2, True)


async def test_offsets_that_kafka_keeps_for_itself_stay_gaps(
    fresh_broker: BrokerUnderTest, recorded: KafkaLog, tmp_path: Path
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=fresh_broker.bootstrap, transactional_id="another-producer")
    await producer.start()
    try:
        for _ in range(2):
            async with producer.transaction():
                await producer.send_and_wait(DEADLETTERS, b"{}", partition=0)
    finally:
        await producer.stop()
    end = await recorded.high_watermark(DEADLETTERS, 0)
    await sliced(recorded, tmp_path / "slice.jsonl")

    async with open_slice(tmp_path / "slice.jsonl") as log:
        assert await log.high_watermark(DEADLETTERS, 0) == end
        # The end of each transaction has an offset, and is no record.
        assert log.offsets(DEADLETTERS, 0)[-2:] == [end - 4, end - 2]
        assert await everything(log) == await everything(recorded)


async def test_an_export_of_kafka_is_what_its_manifest_says_and_goes_on(
    fresh_broker: BrokerUnderTest, recorded: KafkaLog, tmp_path: Path
) -> None:
    towline = Commands(tmp_path)
    await towline.done(fresh_broker, "audit", "export", "audit")
    before = content_of(tmp_path / "audit")
    manifest, found = check(tmp_path / "audit")
    assert found == []
    files = [file for file in manifest.files if file.path.endswith(".parquet")]
    assert sum(file.rows for file in files) == len(await everything(recorded, TIMED))

    await towline.done(fresh_broker, "audit", "export", "audit")
    assert content_of(tmp_path / "audit") == before
    assert "as the manifest says" in await towline.done(None, "audit", "export", "audit", "--check")
