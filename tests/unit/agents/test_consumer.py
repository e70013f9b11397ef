"""Runs of records out of Faust's consumer: nothing is left out, and nothing is committed that nobody acknowledged."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from agents.consumer import RunConsumer, RunMessage, RunScheduler
from streams.topics import EVENTS
from towline import limits

CHANGELOG = "towline-evaluate-state-changelog"


def fetched(topic: str, partition: int, count: int, first: int = 0) -> tuple[TP, list[Any]]:
    return TP(topic, partition), [
        SimpleNamespace(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp=1_700_000_000_123,
            timestamp_type=0,
            headers=(("dialect", b"harbor"), ("empty", None)),
            key=b"key",
            value=b"value %d" % offset,
            checksum=None,
            serialized_key_size=3,
            serialized_value_size=7,
        )
        for offset in range(first, first + count)
    ]


@pytest.fixture
def consumer() -> Any:
    # Made without its app: of the consumer, these need nothing but its books.
    made: Any = object.__new__(RunConsumer)
    made.app = SimpleNamespace(consumer_generation_id=7)
    made._acked, made._acked_index = defaultdict(list), defaultdict(set)
    return made


def test_they_are_the_methods_that_faust_calls() -> None:
    for name in ("_to_message", "_new_offset", "_add_gap"):
        assert hasattr(driver.Consumer, name), name


def test_a_fetch_comes_in_runs_of_bounded_length_that_hold_all_of_it_in_order() -> None:
    size = limits.batch_record_count
    records = dict([fetched(EVENTS, 0, 2 * size + 1), fetched(EVENTS, 1, 3, first=10)])
    runs: dict[TP, list[Any]] = defaultdict(list)
    for tp, run in RunScheduler().iterate(records):
        assert 0 < len(run) <= size
        runs[tp] += run
    assert runs == records


def test_partitions_take_turns() -> None:
    size = limits.batch_record_count
    records = dict([fetched(EVENTS, 0, 3 * size), fetched(EVENTS, 1, 3 * size)])
    assert [tp.partition for tp, _ in RunScheduler().iterate(records)] == [0, 1, 0, 1, 0, 1]


def test_a_changelog_comes_record_by_record(consumer: Any) -> None:
    tp, records = fetched(CHANGELOG, 0, 2)
    found = [consumer._to_message(*item) for item in RunScheduler().iterate({tp: records})]
    assert [(message.offset, message.value) for message in found] == [(0, b"value 0"), (1, b"value 1")]


def test_a_message_stands_for_its_run_and_counts_as_its_last_record(consumer: Any) -> None:
    tp, records = fetched(EVENTS, 5, 3, first=40)
    message = consumer._to_message(tp, records)
    assert isinstance(message, RunMessage)
    assert (message.tp, message.offset, message.generation_id) == (tp, 42, 7)
    assert [(record.partition, record.offset, record.value) for record in message.records] == [
        (5, 40, b"value 40"),
        (5, 41, b"value 41"),
        (5, 42, b"value 42"),
    ]
    assert message.records[0].headers == (("dialect", b"harbor"), ("empty", b""))
    assert message.records[0].timestamp_ms == 1_700_000_000_123


@pytest.mark.parametrize("runs", [[0, 199, 240], [0], [17]])
def test_what_is_committed_is_the_end_of_what_was_acknowledged(consumer: Any, runs: list[int]) -> None:
    """A first run of one record, then one of many: by Faust's own books a gap, and nothing would be committed again."""
    tp = TP(EVENTS, 0)
    assert consumer._new_offset(tp) is None
    for last in runs:
        consumer._acked[tp].append(last)
        consumer._acked_index[tp].add(last)
        assert consumer._new_offset(tp) == last + 1
        assert consumer._new_offset(tp) is None, "committed twice"
    assert not consumer._acked_index[tp], "the books grow without end"
