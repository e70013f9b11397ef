"""Offsets without a record, which only Apache Kafka makes: control records of transactions, and removed ones (A05)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from tests.support.brokers import BrokerUnderTest
from tests.support.logs import LogUnderTest, kafka_log
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka


@pytest.fixture
async def under_test(broker: BrokerUnderTest) -> AsyncIterator[LogUnderTest]:
    if broker.kind == "embedded broker":
        pytest.skip("the embedded broker has neither transactions nor deletion of records: make parts")
    async with kafka_log(broker.bootstrap) as log:
        yield log


async def transact(broker: BrokerUnderTest, topic: str, *values: bytes, commit: bool = True) -> None:
    """Write ``values`` in one transaction, which leaves a control record after them."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=f"for-{topic}")
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, b"key", partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


async def until_ends_at(under_test: LogUnderTest, end: int) -> None:
    """Wait for the control record: the broker writes it after it has answered the producer."""

    async def reached() -> bool:
        return await under_test.log.high_watermark(under_test.topic, 0) == end

    await eventually(reached, seconds=30, what=f"the partition ends at {end}")


async def remove_before(broker: BrokerUnderTest, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "aborted"])
async def test_a_range_that_ends_in_control_records_ends(
    broker: BrokerUnderTest, under_test: LogUnderTest, *, commit: bool
) -> None:
    await transact(broker, under_test.topic, b"0", b"1", commit=commit)
    await until_ends_at(under_test, 3)

    async with asyncio.timeout(30):
        assert await under_test.values(0, 0, 3) == [b"0", b"1"]
        assert await under_test.values(0, 2, 3) == []


async def test_records_around_a_control_record_are_all_read(broker: BrokerUnderTest, under_test: LogUnderTest) -> None:
    await transact(broker, under_test.topic, b"0")
    await until_ends_at(under_test, 2)
    position = await under_test.log.append(under_test.record(b"2"))

    assert position.offset == 2
    assert await under_test.values(0, 0, 3) == [b"0", b"2"]
    assert await under_test.values(0, 1, 2) == []


async def test_removed_offsets_are_passed_over(broker: BrokerUnderTest, under_test: LogUnderTest) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(10)])
    await remove_before(broker, under_test.topic, 6)

    assert await under_test.log.low_watermark(under_test.topic, 0) == 6
    assert await under_test.log.high_watermark(under_test.topic, 0) == 10
    assert await under_test.values(0, 0, 8) == [b"6", b"7"]
    assert await under_test.values(0, 0, 4) == []


async def test_a_partition_whose_records_are_all_removed_reads_as_nothing(
    broker: BrokerUnderTest, under_test: LogUnderTest
) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(5)])
    await remove_before(broker, under_test.topic, 5)

    assert await under_test.log.high_watermark(under_test.topic, 0) == 5
    assert await under_test.values(0, 0, 5) == []


async def test_a_follower_from_a_removed_offset_begins_at_the_first_that_is_kept(
    broker: BrokerUnderTest, under_test: LogUnderTest
) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(10)])
    await remove_before(broker, under_test.topic, 6)

    async with aclosing(under_test.log.follow(under_test.topic, {0: 2})) as following:
        assert [(await anext(following)).offset for _ in range(4)] == [6, 7, 8, 9]


async def test_a_reader_goes_on_when_what_it_reads_is_removed(
    broker: BrokerUnderTest, under_test: LogUnderTest
) -> None:
    # Large enough that the first fetch does not bring all.
    await under_test.log.append_all([under_test.record(b"v" * 1_000_000) for _ in range(30)])

    offsets = list[int]()
    async with aclosing(under_test.log.read_batches(under_test.topic, 0, 0, 30)) as reading:
        async for batch in reading:
            offsets += [record.offset for record in batch]
            await remove_before(broker, under_test.topic, 28)

    assert offsets[-2:] == [28, 29]
    assert offsets == sorted(set(offsets))
    assert len(offsets) < 30
