"""``audit completeness``: every offset has what it leads to or a reason, and what is missing is named and written."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.references import Repository
from streams.audit.completeness import NOT_REACHED, Completeness, Missing, Wanted, check_completeness
from streams.cli import app, completeness
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.reemission import re_emit
from streams.replay.verify import Comparison, verify
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS, TOPICS
from tests.support.builders import policy, published, pushed, record_events, rule_on
from tests.support.checkers import all_records
from tests.support.facts import scanned
from tests.support.world import in_place_of_kafka
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY

SCANNED = policy("scanned", "local/scanned/app", "local/scanned-qa/app", rule_on("vulnerability_critical", "<=", "0"))


@pytest.fixture
async def log() -> MemoryLog:
    """A log that an evaluator has worked through: with facts that travelled, and what it could not use."""
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    await record_events(log, *HISTORY, partitions=PARTITIONS)
    await life(log, table)
    await record_events(log, *AFTER_PUBLICATION, partitions=PARTITIONS)
    await log.append(Append(EVENTS, b"x", b"{", 0))
    await record_events(log, published(SCANNED, revision=2), partitions=PARTITIONS)
    media_type = "application/vnd.oci.image.manifest.v1+json"
    await record_events(
        log,
        pushed("local/scanned/app:1", "scanned", media_type=media_type),
        scanned("local/scanned/app", "scanned"),
        pushed("local/scanned/app:2", "not scanned", media_type=media_type),
        partitions=PARTITIONS,
    )
    await life(log, table)
    return log


async def life(log: MemoryLog, table: MemoryTable) -> None:
    run = Run(log, table)
    await run.drain()
    assert run.failures == []
    await run.shell.close()


async def without(log: MemoryLog, is_lost: Callable[[LogRecord], bool]) -> MemoryLog:
    """Return a log with the same records but some."""
    other = MemoryLog(partitions=PARTITIONS)
    for topic in TOPICS:
        for record in await all_records(log, topic):
            if not is_lost(record):
                await other.append(Append(topic, record.key, record.value or b"", record.partition, record.headers))
    return other


async def last_but_one(log: MemoryLog, topic: str) -> LogRecord:
    """Return a record of the topic behind which its partition has another."""
    records = await all_records(log, topic)
    return next(one for one, other in pairwise(records) if one.partition == other.partition)


async def test_after_an_evaluator_nothing_is_missing_and_every_offset_has_its_reason(log: MemoryLog) -> None:
    result = await check_completeness(log)
    assert result.is_complete
    assert result.missing == []
    assert result.offsets.total() == len(await all_records(log, EVENTS))
    assert set(result.offsets) == {
        "decided",
        "nothing new: delivered before, or known already",
        "changes no verdict",
        "unusable: a dead letter",
    }
    decided = {decode(record.value or b"").data.event_id for record in await all_records(log, DECISIONS)}  # type: ignore[attr-defined]
    assert result.offsets["decided"] == len(decided)


@pytest.mark.parametrize(
    ("topic", "kind"), [(DECISIONS, "decision"), (COMMANDS, "command"), (DEADLETTERS, "dead letter")]
)
async def test_what_is_missing_is_named_and_written_with_the_same_bytes_once(
    topic: str, kind: str, log: MemoryLog
) -> None:
    lost = (await all_records(log, topic))[0]
    lacking = await without(log, lambda record: record == lost)
    result = await check_completeness(lacking)
    (missing,) = result.missing
    assert not result.is_complete
    assert (missing.kind, missing.id, result.counts[kind]) == (kind, decode(lost.value or b"").id, 1)
    # A dead letter has the time of its record, which is another one in a log that was written anew.
    assert decode(missing.append.value).data == decode(lost.value or b"").data
    assert topic == DEADLETTERS or missing.append.value == lost.value
    before = {topic: len(await all_records(lacking, topic)) for topic in TOPICS}
    assert await re_emit(lacking, result.missing) == 1
    assert {topic: len(await all_records(lacking, topic)) for topic in TOPICS} == before | {topic: before[topic] + 1}
    (again,) = [record for record in await all_records(lacking, topic) if record.value == missing.append.value]
    assert (again.key, again.partition, again.headers) == (lost.key, lost.partition, lost.headers)
    repaired = await check_completeness(lacking)
    assert repaired.is_complete
    assert await re_emit(lacking, repaired.missing) == 0


async def test_offsets_without_a_record_are_told(log: MemoryLog) -> None:
    ends = [await log.high_watermark(EVENTS, number) for number in range(await log.partitions(EVENTS))]
    assert (await check_completeness(log)).beheaded == []
    partition = next(number for number, end in enumerate(ends) if end)
    log.remove_before(EVENTS, partition, 1)
    result = await check_completeness(log)
    assert result.offsets["no record: removed, or Kafka's own"] == 1
    assert result.offsets.total() == sum(ends)
    assert (result.beheaded, result.is_complete) == ([partition], False)


def test_where_the_log_has_lost_its_beginning_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(partitions=1)
    asyncio.run(record_events(log, published(SCANNED), pushed("local/scanned/app:1", "one"), partitions=1))
    asyncio.run(log.append(Append(DECISIONS, b"x", b"{}", 0)))
    log.remove_before(EVENTS, 0, 1)
    in_place_of_kafka(monkeypatch, completeness, log)
    result = CliRunner().invoke(app, ["decisions", "re-emit", "--yes", "--wait-seconds", "0"])
    assert result.exit_code == 3
    assert "nothing was written: the beginning of towline.events, in its partitions 0" in result.output
    assert asyncio.run(log.high_watermark(DECISIONS, 0)) == 1


async def test_a_fact_that_did_not_travel_is_missing(log: MemoryLog) -> None:
    (carried,) = [
        record
        for record in await all_records(log, EVENTS)
        if b'"carried_from":"local/scanned/app:1"' in (record.value or b"")
    ]
    result = await check_completeness(await without(log, lambda record: record == carried))
    (missing,) = [item for item in result.missing if item.kind == "event"]
    assert missing.append.value == carried.value


async def test_after_writing_it_again_the_replay_is_identical_and_tells_what_is_late(log: MemoryLog) -> None:
    lost = await last_but_one(log, DECISIONS)
    lacking = await without(log, lambda record: record == lost)
    assert (await verify(lacking)).missing == 1
    result = await check_completeness(lacking)
    await re_emit(lacking, result.missing)
    again = await verify(lacking)
    assert again.is_identical
    assert again.late == 1


async def test_what_nobody_has_reached_yet_is_neither_missing_nor_waited_for(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(seconds: float) -> None:
        pytest.fail("it waits")

    monkeypatch.setattr("streams.audit.completeness.asyncio.sleep", refuse)
    later = pushed("local/other/thing:2", "another")
    await record_events(log, later, partitions=PARTITIONS)
    result = await check_completeness(log, Wanted(wait_seconds=30))
    assert result.is_complete
    assert result.offsets[NOT_REACHED] == 1


async def test_a_worker_that_is_writing_is_given_its_chance(log: MemoryLog) -> None:
    lost = (await all_records(log, COMMANDS))[0]
    lacking = await without(log, lambda record: record == lost)
    asked = 0
    ends = lacking.high_watermark

    async def high_watermark(topic: str, partition: int) -> int:
        nonlocal asked
        asked += topic == COMMANDS
        if asked == 2 * PARTITIONS + 1:  # Not before it was looked for once.
            asked += 1
            await lacking.append(Append(COMMANDS, lost.key, lost.value or b"", lost.partition))
        return await ends(topic, partition)

    lacking.high_watermark = high_watermark  # type: ignore[method-assign]
    result = await check_completeness(lacking, Wanted(wait_seconds=30))
    assert result.is_complete
    assert asked > 2 * PARTITIONS


async def test_of_a_repository_only_what_is_about_it_counts(log: MemoryLog) -> None:
    lost = (await all_records(log, DECISIONS))[0]
    lacking = await without(log, lambda record: record == lost)
    assert lost.key is not None
    mine, other = Repository.parse(lost.key.decode()), Repository.parse("local/scanned/app")
    assert mine != other
    found: Completeness = await check_completeness(lacking, Wanted(repository=mine))
    (missing,) = found.missing
    assert isinstance(missing, Missing)
    assert (await check_completeness(lacking, Wanted(repository=other))).is_complete
    assert (await check_completeness(lacking, Wanted(repository=other))).offsets["decided"] == 3


async def test_a_quarantined_event_needs_its_dead_letter_and_nothing_else(log: MemoryLog) -> None:
    decision = (await all_records(log, DECISIONS))[0]
    event_id = decode(decision.value or b"").data.event_id  # type: ignore[attr-defined]
    (place,) = {
        (record.partition, record.offset) for record in await all_records(log, EVENTS) if decode_id(record) == event_id
    }
    result = await check_completeness(log, Wanted(quarantined={place}))
    assert "dead letter" in result.counts
    assert result.offsets["in quarantine: a dead letter"] == 1
    assert not (await verify(log, Comparison(quarantined={place}))).is_identical


def decode_id(record: LogRecord) -> str:
    try:
        return decode(record.value or b"").id
    except ValueError:
        return ""


async def test_beyond_the_bound_missing_records_are_counted(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towline.limits.missing_count", 1)
    lacking = await without(log, lambda record: record.topic == COMMANDS)
    result = await check_completeness(lacking)
    assert result.counts["command"] == len({record.value for record in await all_records(log, COMMANDS)})
    assert 0 < len(result.missing) <= PARTITIONS < result.counts["command"]
