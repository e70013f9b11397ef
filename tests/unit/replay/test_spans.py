"""A part of the log is compared as the whole is: by time, by place, by repository, with and without snapshots."""

from itertools import pairwise
from pathlib import Path

import pytest

from schemas.catalogue import decode
from schemas.references import Repository
from streams.log import LogRecord
from streams.memory_log import MemoryLog
from streams.replay.snapshots import write_snapshot
from streams.replay.spans import Place, Span
from streams.replay.verify import Comparison, verify
from streams.topics import EVENTS, repository_key
from tests.support.builders import at, pushed, record_events
from tests.support.checkers import all_records
from tests.unit.agents.harness import PARTITIONS
from tests.unit.replay.test_verify import altered, decided_log, invented, written
from towline.errors import MisuseError


async def events_of(log: MemoryLog, partition: int) -> list[LogRecord]:
    return [record for record in await all_records(log, EVENTS) if record.partition == partition]


async def test_ranges_by_place_add_up_to_the_whole() -> None:
    log, decisions = await decided_log()
    await written(decisions, log)
    for partition in range(PARTITIONS):
        end = await log.high_watermark(EVENTS, partition)
        cuts = sorted({0, 1, end // 2, end - 1, end})
        parts = [
            await verify(log, Comparison(Span(Place(partition, start), Place(partition, stop))))
            for start, stop in pairwise(cuts)
        ]
        assert all(part.is_identical for part in parts)
        assert sum(part.events for part in parts) == end
        assert sum(part.decisions for part in parts) == sum(item.partition == partition for item in decisions)


async def test_of_a_range_only_what_its_events_lead_to_is_compared() -> None:
    log, decisions = await decided_log()
    target = decisions[-1]
    event_id = decode(target.value).data.event_id  # type: ignore[attr-defined]
    changed = [*decisions[:-1], altered(target, reason="because"), invented(target, event_id)]
    await written(changed, log)
    partition = target.partition or 0
    (offset,) = {
        record.offset for record in await events_of(log, partition) if event_id.encode() in (record.value or b"")
    }
    before = await verify(log, Comparison(Span(stop=Place(partition, offset))))
    assert before.is_identical
    assert before.events == offset
    it = await verify(log, Comparison(Span(Place(partition, offset), Place(partition, offset + 1))))
    assert (it.events, it.changed, it.unexpected) == (1, 1, 1)


async def test_a_range_by_time_begins_and_ends_with_what_was_recorded_then() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    events = [pushed("local/dev/app:1", f"image {second}", time=at(second)) for second in range(10)]
    await record_events(log, *events, partitions=PARTITIONS)
    result = await verify(log, Comparison(Span(at(3), at(7))))
    assert result.events == 4
    assert result.undecided == 4
    assert (await verify(log, Comparison(Span(at(9))))).events == 1
    assert (await verify(log, Comparison(Span(stop=at(0))))).events == 0


async def test_of_a_repository_only_its_decisions_are_compared() -> None:
    log, decisions = await decided_log()
    by_key = [
        item.__class__(
            item.topic, repository_key(decode(item.value).data.source.repository), item.value, item.partition
        )  # type: ignore[attr-defined]
        for item in decisions
    ]
    other = decode(by_key[0].value).data.source.repository  # type: ignore[attr-defined]
    await written([altered(by_key[0], reason="because"), *by_key[1:]], log)
    assert (await verify(log, Comparison(repository=other))).changed == 1
    names = {item.key.decode() for item in by_key if item.key} - {str(other)}
    results = [await verify(log, Comparison(repository=Repository.parse(name))) for name in names]
    assert all(result.is_identical for result in results)
    mine = sum(item.key == repository_key(other) for item in by_key)
    assert sum(result.decisions for result in results) == len(decisions) - mine


async def test_a_range_that_begins_at_a_snapshot_comes_out_the_same(tmp_path: Path) -> None:
    log, decisions = await decided_log()
    await written(decisions, log)
    for partition in range(PARTITIONS):
        end = await log.high_watermark(EVENTS, partition)
        await write_snapshot(log, partition, end // 2, tmp_path)
        span = Span(Place(partition, end // 2 + 1))
        with_it = await verify(log, Comparison(span, snapshots=tmp_path))
        assert with_it == await verify(log, Comparison(span))
        assert with_it.is_identical


async def test_places_that_cannot_be_are_refused() -> None:
    with pytest.raises(MisuseError, match="cannot end in another"):
        Span(Place(0, 1), Place(1, 1))
    log = MemoryLog(partitions=PARTITIONS)
    with pytest.raises(MisuseError, match="no partition 7"):
        await verify(log, Comparison(Span(Place(7, 0))))
