"""B01, B03, B04: a broker that dies, hangs or loses a node never loses what it acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka_log import KafkaLog
from streams.log import Append, EventLog, Position
from tests.support.kafka import KafkaNode, apache_kafka, three_nodes
from tests.support.logs import LogUnderTest, kafka_log
from tests.support.parts import kafka_is_here
from tests.support.waiting import eventually
from towline import limits
from towline.errors import LogUnavailableError
from towline.settings import KafkaSettings

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not kafka_is_here(), reason="Apache Kafka is not here: make parts"),
]

WRITERS = 8
SECONDS = 60


class Ledger:
    """Writers that append without a pause, and what became of each record."""

    def __init__(self, under_test: LogUnderTest) -> None:
        self._under_test = under_test
        self._stopping = False
        self.acked: dict[bytes, Position] = {}
        self.refused: set[bytes] = set()

    async def write_until_stopped(self) -> None:
        async with asyncio.TaskGroup() as writers:
            for writer in range(WRITERS):
                writers.create_task(self._write(writer))

    def stop(self) -> None:
        self._stopping = True

    async def _write(self, writer: int) -> None:
        number = 0
        while not self._stopping:
            value = b"%d-%d" % (writer, number)
            number += 1
            try:
                self.acked[value] = await self._under_test.log.append(self._under_test.record(value))
            except LogUnavailableError:
                self.refused.add(value)

    async def more_acked_than(self, number: int) -> None:
        async def reached() -> bool:
            return len(self.acked) > number

        await eventually(reached, seconds=SECONDS, what=f"more than {number} appends are acknowledged")


@pytest.fixture
def node() -> Iterator[KafkaNode]:
    with apache_kafka() as started:
        yield started


@pytest.fixture
async def one_node(node: KafkaNode) -> AsyncIterator[LogUnderTest]:
    async with kafka_log(node.address) as under_test:
        yield under_test


async def content(log: EventLog, topic: str) -> dict[int, bytes | None]:
    end = await log.high_watermark(topic, 0)
    return {record.offset: record.value async for record in log.read(topic, 0, 0, end)}


def assert_nothing_acknowledged_is_lost(ledger: Ledger, stored: dict[int, bytes | None]) -> None:
    lost = {value: position for value, position in ledger.acked.items() if stored.get(position.offset) != value}
    assert not lost
    written = set(stored.values())
    assert written <= set(ledger.acked) | ledger.refused, "nothing is in the log that nobody sent"


async def test_a_broker_killed_amid_appends_keeps_all_that_it_acknowledged(
    node: KafkaNode, one_node: LogUnderTest
) -> None:
    ledger = Ledger(one_node)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.write_until_stopped())
        await ledger.more_acked_than(200)
        await asyncio.to_thread(node.kill)
        before = len(ledger.acked)
        await asyncio.to_thread(node.start)
        await ledger.more_acked_than(before + 200)
        ledger.stop()

    assert_nothing_acknowledged_is_lost(ledger, await content(one_node.log, one_node.topic))


async def test_an_append_to_a_dead_broker_is_refused_in_time_and_works_again_later(
    node: KafkaNode, one_node: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one_node.log.append(one_node.record(b"before"))
    monkeypatch.setattr(limits, "append_timeout_seconds", 2.0)
    await asyncio.to_thread(node.kill)

    with pytest.raises(LogUnavailableError) as refused:
        await one_node.log.append(one_node.record(b"refused"))
    assert refused.value.retryable

    await asyncio.to_thread(node.start)
    monkeypatch.setattr(limits, "append_timeout_seconds", 30.0)
    position = await one_node.log.append(one_node.record(b"after"))
    stored = await content(one_node.log, one_node.topic)
    assert stored[0] == b"before"
    assert stored[position.offset] == b"after"


async def test_a_broker_that_hangs_refuses_in_time_and_serves_again_after(
    node: KafkaNode, one_node: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one_node.log.append(one_node.record(b"before"))
    monkeypatch.setattr(limits, "append_timeout_seconds", 2.0)
    node.pause()
    with pytest.raises(LogUnavailableError):
        await one_node.log.append(one_node.record(b"maybe"))
    with pytest.raises(LogUnavailableError):
        await one_node.log.high_watermark(one_node.topic, 0)
    node.resume()

    monkeypatch.setattr(limits, "append_timeout_seconds", 30.0)
    position = await one_node.log.append(one_node.record(b"after"))
    assert (await content(one_node.log, one_node.topic))[position.offset] == b"after"


async def test_a_follower_goes_on_after_its_broker_was_restarted(node: KafkaNode, one_node: LogUnderTest) -> None:
    following = one_node.log.follow(one_node.topic, {0: 0})
    await one_node.log.append(one_node.record(b"before"))
    assert (await anext(following)).value == b"before"

    await asyncio.to_thread(node.restart)
    position = await one_node.log.append(one_node.record(b"after"))

    async with asyncio.timeout(SECONDS):
        record = await anext(following)
        while record.offset < position.offset:
            record = await anext(following)
    await following.aclose()
    assert record.value == b"after"


async def test_a_reader_of_a_dead_broker_is_told_instead_of_waiting_for_ever(
    node: KafkaNode, one_node: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Large enough that the first fetch does not bring all.
    await one_node.log.append_all([one_node.record(b"v" * 1_000_000) for _ in range(30)])
    reading = one_node.log.read_batches(one_node.topic, 0, 0, 30)
    assert await anext(reading)
    await asyncio.to_thread(node.kill)
    monkeypatch.setattr(limits, "append_timeout_seconds", 2.0)

    with pytest.raises(LogUnavailableError, match="nothing came"):
        [batch async for batch in reading]


async def test_of_three_nodes_one_may_die_amid_appends() -> None:
    with three_nodes() as nodes:
        bootstrap = ",".join(node.address for node in nodes)
        async with kafka_log(bootstrap, replication=3) as under_test:
            ledger = Ledger(under_test)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ledger.write_until_stopped())
                await ledger.more_acked_than(200)
                await asyncio.to_thread(nodes[await leader_of(bootstrap, under_test.topic) - 1].kill)
                await ledger.more_acked_than(len(ledger.acked) + 200)
                ledger.stop()
            assert_nothing_acknowledged_is_lost(ledger, await content(under_test.log, under_test.topic))


async def test_a_log_without_a_broker_says_where_it_looked() -> None:
    with pytest.raises(LogUnavailableError, match=r"127\.0\.0\.1:1"):
        async with KafkaLog(KafkaSettings(bootstrap="127.0.0.1:1")) as log:
            await log.append(Append("topic", b"key", b"value"))


async def leader_of(bootstrap: str, topic: str) -> int:
    """Return the number of the node that leads partition 0."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        await admin.start()
        described = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return int(next(part["leader"] for part in described[0]["partitions"] if part["partition"] == 0))
