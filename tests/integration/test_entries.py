"""Entries of a table's changelog: whole batches, in their order."""

from collections.abc import AsyncIterator

import pytest

from streams.kafka_log import KafkaLog
from tests.support.brokers import BrokerUnderTest
from tests.support.logs import LogUnderTest, kafka_log
from towline import limits
from towline.errors import LogError

pytestmark = pytest.mark.kafka


@pytest.fixture
async def under_test(broker: BrokerUnderTest) -> AsyncIterator[LogUnderTest]:
    async with kafka_log(broker.bootstrap) as log:
        yield log


async def entries_in(under_test: LogUnderTest, partition: int) -> list[tuple[bytes | None, bytes | None]]:
    end = await under_test.log.high_watermark(under_test.topic, partition)
    read = under_test.log.read(under_test.topic, partition, 0, end)
    return [(record.key, record.value) async for record in read]


def log_of(under_test: LogUnderTest) -> KafkaLog:
    assert isinstance(under_test.log, KafkaLog)
    return under_test.log


async def test_entries_and_tombstones_stand_in_their_order_and_the_last_offset_is_told(
    under_test: LogUnderTest,
) -> None:
    log, topic = log_of(under_test), under_test.topic
    first = [(b"a", b"1"), (b"b", None), (b"a", b"2")]
    assert await log.append_entries(topic, 1, first) == 2
    assert await log.append_entries(topic, 1, [(b"c", b"3")]) == 3
    assert await entries_in(under_test, 1) == [*first, (b"c", b"3")]


async def test_more_than_a_batch_takes_is_in_order_all_the_same(under_test: LogUnderTest) -> None:
    entries: list[tuple[bytes, bytes | None]] = [(b"%d" % n, b"%d" % n * 20_000) for n in range(40)]
    entries.insert(20, (b"larger than a batch", bytes(400 * 1024)))
    assert await log_of(under_test).append_entries(under_test.topic, 0, entries) == len(entries) - 1
    assert await entries_in(under_test, 0) == entries


async def test_an_entry_beyond_the_limit_is_refused_and_nothing_is_written(under_test: LogUnderTest) -> None:
    entries = [(b"small", b"1"), (b"large", bytes(limits.record_bytes))]
    with pytest.raises(LogError, match="exceeds the limit"):
        await log_of(under_test).append_entries(under_test.topic, 0, entries)
    assert await entries_in(under_test, 0) == []
