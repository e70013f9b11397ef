"""The projection on every log: what is read from a broker is what is read from memory."""

from pathlib import Path

import pytest

from streams.kafka_log import KafkaLog
from streams.kafka_read_log import KafkaReadLog
from streams.log import Append
from streams.projection.projection import Projection
from streams.projection.records import Records
from streams.projection.rows import PROJECTED
from streams.provision import create_topics
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import at, completed, policy, published, pushed, ticked
from tests.support.checkers import all_records
from tests.support.projections import at_once, everything, read_file
from tests.support.world import PARTITIONS, World
from towline.settings import KafkaSettings

POLICIES = published(policy("to-qa", "first/dev/app", "first/qa/app"), policy("on", "first/qa/app", "second/app"))


async def history(tags: int) -> World:
    world = World()
    await world.record(POLICIES)
    for number in range(tags):
        await world.record(pushed(f"first/dev/app:v{number}", f"{number}", time=at(number)), ticked(number + 1))
        await world.end(f"first/qa/app:v{number}", completed)
    return world


async def copied(world: World, log: KafkaLog) -> None:
    """Bring what a log in memory has into one on a broker."""
    for topic in PROJECTED:
        records = await all_records(world.log, topic)
        await log.append_all([Append(topic, one.key, one.value or b"", one.partition) for one in records])


def without_marks(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    # The broker keeps the time of the producer, which is in the mark.
    return rows | {"positions": [row[:-1] for row in rows["positions"]]}


@pytest.mark.kafka
async def test_what_is_read_from_a_broker_is_what_is_read_from_memory(
    module_broker: BrokerUnderTest, tmp_path: Path
) -> None:
    path, world = tmp_path / "projection.sqlite", await history(5)
    kafka = KafkaSettings(bootstrap=module_broker.bootstrap, partitions=PARTITIONS)
    await create_topics(kafka)
    async with KafkaLog(kafka) as log, KafkaReadLog(kafka) as read_only, Projection(read_only, path) as projection:
        await projection.catch_up()
        assert (await projection.ask(everything))["records"] == []
        await copied(world, log)
        await projection.catch_up()
        assert without_marks(await projection.ask(everything)) == without_marks(await at_once(world.log))
        # Nothing is new: one record is looked at, and nothing changes.
        before = read_file(path)
        await projection.catch_up()
        assert read_file(path) == before
        for partition in range(PARTITIONS):
            await log.append(Append(PROJECTED[0], b"x", b"none of ours", partition))
        await projection.catch_up()
        assert read_file(path)["records"] == before["records"]
        assert (await projection.ask(Records.positions))[PROJECTED[0]] == [
            await log.high_watermark(PROJECTED[0], partition) for partition in range(PARTITIONS)
        ]
