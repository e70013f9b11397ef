"""The promises of EventLog, held by the log in memory, and by Kafka's on both brokers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiokafka.partitioner import DefaultPartitioner

from streams.log import Append, LogRecord
from streams.topics import partition_for
from tests.support.logs import PARTITIONS, LogUnderTest, kafka_log, memory_log
from towline import limits
from towline.errors import LogError, LogUnavailableError, TopicMismatchError


@pytest.fixture(params=["memory", "embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def under_test(request: pytest.FixtureRequest) -> AsyncIterator[LogUnderTest]:
    if request.param == "memory":
        made = memory_log()
    elif request.param == "embedded":
        made = kafka_log(request.getfixturevalue("embedded").bootstrap)
    else:
        broker = request.getfixturevalue("broker")
        if broker.kind == "embedded broker":
            pytest.skip("Apache Kafka is not here: make parts")
        made = kafka_log(broker.bootstrap)
    async with made as log:
        yield log


async def test_appends_get_contiguous_offsets_from_zero(under_test: LogUnderTest) -> None:
    positions = [await under_test.log.append(under_test.record(b"%d" % number)) for number in range(5)]

    assert positions == [(under_test.topic, 0, offset) for offset in range(5)]


async def test_what_is_acknowledged_can_be_read_at_its_position(under_test: LogUnderTest) -> None:
    position = await under_test.log.append(under_test.record(b"value", partition=2))

    assert await under_test.values(2, position.offset, position.offset + 1) == [b"value"]


async def test_many_appends_keep_their_order_within_a_partition(under_test: LogUnderTest) -> None:
    records = [under_test.record(b"%d" % number, partition=number % PARTITIONS) for number in range(3000)]
    positions = await under_test.log.append_all(records)

    assert [position.offset for position in positions] == [number // PARTITIONS for number in range(3000)]
    for partition in range(PARTITIONS):
        expected = [b"%d" % number for number in range(partition, 3000, PARTITIONS)]
        assert await under_test.values(partition, 0, 1000) == expected


async def test_nothing_to_append_is_nothing(under_test: LogUnderTest) -> None:
    assert await under_test.log.append_all([]) == []


async def test_a_range_holds_exactly_its_offsets(under_test: LogUnderTest) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(300)])

    assert await under_test.values(0, 120, 125) == [b"120", b"121", b"122", b"123", b"124"]


async def test_batches_hold_the_same_records_as_single_ones(under_test: LogUnderTest) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(1234)])

    batches = [batch async for batch in under_test.log.read_batches(under_test.topic, 0, 7, 1200)]

    assert all(batches)
    assert [record.offset for batch in batches for record in batch] == list(range(7, 1200))


async def test_an_empty_range_ends_at_once(under_test: LogUnderTest) -> None:
    await under_test.log.append(under_test.record(b"value"))

    assert await under_test.values(0, 1, 1) == []
    assert await under_test.values(0, 1, 0) == []


async def test_an_empty_partition_reads_as_nothing(under_test: LogUnderTest) -> None:
    assert await under_test.values(1, 0, 10) == []


async def test_a_range_beyond_the_end_ends_where_the_log_does(under_test: LogUnderTest) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(3)])

    assert await under_test.values(0, 1, 1_000_000) == [b"1", b"2"]
    assert await under_test.values(0, 500, 600) == []


async def test_watermarks_of_an_empty_partition_are_zero(under_test: LogUnderTest) -> None:
    assert await under_test.log.low_watermark(under_test.topic, 1) == 0
    assert await under_test.log.high_watermark(under_test.topic, 1) == 0


async def test_the_high_watermark_counts_every_record_of_the_last_batch(under_test: LogUnderTest) -> None:
    for size in (1, 100, 250):
        await under_test.log.append_all([under_test.record(b"x" * 100) for _ in range(size)])

    assert await under_test.log.high_watermark(under_test.topic, 0) == 351
    assert await under_test.log.low_watermark(under_test.topic, 0) == 0


async def test_a_follower_sees_what_is_there_and_what_comes_later(under_test: LogUnderTest) -> None:
    await under_test.log.append_all([under_test.record(b"%d" % number) for number in range(3)])

    async with aclosing(under_test.log.follow(under_test.topic, {0: 1, 2: 0})) as following:
        early = [await anext(following) for _ in range(2)]
        waiting = asyncio.ensure_future(anext(following))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done, "there is nothing more yet"
        await under_test.log.append(under_test.record(b"unwanted", partition=1))
        await under_test.log.append(under_test.record(b"later", partition=2))
        late = await waiting

    assert [record.value for record in early] == [b"1", b"2"]
    assert (late.value, late.partition, late.offset) == (b"later", 2, 0)


async def test_a_follower_beyond_the_end_is_told_that_records_are_lost(under_test: LogUnderTest) -> None:
    await under_test.log.append(under_test.record(b"only"))

    with pytest.raises(LogError, match="acknowledged are lost"):
        await anext(under_test.log.follow(under_test.topic, {0: 7}))


async def test_headers_keys_and_their_absence_come_back_as_they_went_in(under_test: LogUnderTest) -> None:
    headers = (("dialect", b"distribution"), ("twice", b"1"), ("twice", b"\xff"), ("empty", b""))
    await under_test.log.append(Append(under_test.topic, None, b"", 0, headers))
    await under_test.log.append(Append(under_test.topic, b"\x00key", b"\xffvalue", 0))

    first, second = [record async for record in under_test.log.read(under_test.topic, 0, 0, 2)]

    assert (first.key, first.value, first.headers) == (None, b"", headers)
    assert (second.key, second.value, second.headers) == (b"\x00key", b"\xffvalue", ())
    assert isinstance(first, LogRecord)
    assert first.timestamp_ms > 0


async def test_a_record_of_five_mebibytes_is_accepted(under_test: LogUnderTest) -> None:
    value = b"v" * (5 * 1024 * 1024)
    await under_test.log.append(under_test.record(value))

    assert await under_test.values(0, 0, 1) == [value]


async def test_the_largest_record_allowed_is_accepted(under_test: LogUnderTest) -> None:
    framing = under_test.record(b"").size_bytes
    value = b"v" * (limits.record_bytes - framing - 8)
    await under_test.log.append(under_test.record(value))

    assert await under_test.values(0, 0, 1) == [value]


async def test_a_record_above_the_limit_is_refused_with_its_size_and_nothing_is_written(
    under_test: LogUnderTest,
) -> None:
    large = under_test.record(b"v" * limits.record_bytes)

    with pytest.raises(LogError, match=rf"{large.size_bytes} bytes .* limit of {limits.record_bytes} bytes") as refused:
        await under_test.log.append_all([under_test.record(b"small"), large])

    assert not refused.value.retryable
    assert await under_test.log.high_watermark(under_test.topic, 0) == 0


async def test_a_key_goes_to_the_partition_that_kafka_would_choose(under_test: LogUnderTest) -> None:
    keys = [b"local/dev/team/website", b"k", b"", b"\x80\xff\x7f", *(b"repository-%d" % number for number in range(30))]
    positions = await under_test.log.append_all([under_test.record(b"v", key=key, partition=None) for key in keys])

    everywhere = list(range(PARTITIONS))
    expected = [DefaultPartitioner()(key, everywhere, everywhere) for key in keys]
    assert [position.partition for position in positions] == expected
    assert [partition_for(key, PARTITIONS) for key in keys] == expected


async def test_an_unknown_topic_or_partition_is_a_mismatch_not_an_outage(under_test: LogUnderTest) -> None:
    with pytest.raises(TopicMismatchError, match="no-such-topic"):
        await under_test.log.append(Append("no-such-topic", b"key", b"value"))
    with pytest.raises(TopicMismatchError, match="partition 3"):
        await under_test.log.append(under_test.record(b"value", partition=PARTITIONS))
    with pytest.raises(TopicMismatchError):
        await under_test.log.high_watermark("no-such-topic", 0)
    with pytest.raises(TopicMismatchError):
        await anext(under_test.log.follow(under_test.topic, {PARTITIONS: 0}))


async def test_a_closed_log_is_unavailable(under_test: LogUnderTest) -> None:
    following = under_test.log.follow(under_test.topic, {0: 0})
    waiting = asyncio.ensure_future(anext(following))
    await under_test.log.append(under_test.record(b"seen"))
    await waiting
    await under_test.log.close()
    await under_test.log.close()

    with pytest.raises(LogUnavailableError):
        await under_test.log.append(under_test.record(b"value"))
    with pytest.raises(LogUnavailableError):
        await anext(following)


def test_a_record_without_a_key_needs_a_partition() -> None:
    with pytest.raises(ValueError, match="needs a partition"):
        Append("topic", None, b"value")


def test_partitions_are_those_of_kafkas_java_client() -> None:
    # Hashes taken from the test of the Java client's murmur2.
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, hashed in known.items():
        assert partition_for(key, 2**31) == hashed & 0x7FFFFFFF
