"""The shell around the evaluator, on a log in memory: what it takes in is decided once by id, whatever dies."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from agents import partition_state
from agents.partition_state import JOURNAL_KEY, PartitionState, StateMismatchError
from agents.partition_worker import Handler
from agents.table import Entry, MemoryTable
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.topics import DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import appends_of, pushed, record_events
from tests.support.checkers import all_records, check_all, check_determinism, check_exactly_once_by_id, check_order
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run, TearingTable, until, without_waits
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY
from towline import limits
from towline.errors import LogError, LogUnavailableError
from towline.failpoints import Failpoints

STEPS = ("decided", "effects_acked", "journal_written", "table_written", "acked")


async def written_log() -> MemoryLog:
    log = MemoryLog(partitions=PARTITIONS)
    await record_events(log, *HISTORY, *AFTER_PUBLICATION, partitions=PARTITIONS)
    return log


async def finish(log: MemoryLog, table: MemoryTable, committed: list[tuple[int, int]]) -> Run:
    """Let a new process do what is left."""
    successor = Run(log, table, committed=committed)
    await successor.shell.take_over(range(PARTITIONS))
    await until(lambda: all(map(successor.shell.owns, range(PARTITIONS))), "all partitions taken over")
    await successor.drain()
    assert successor.failures == []
    await successor.shell.close()
    return successor


async def decision_values(log: MemoryLog) -> set[bytes]:
    return {record.value or b"" for record in await all_records(log, DECISIONS)}


@pytest.fixture
async def undisturbed() -> set[bytes]:
    log = await written_log()
    await finish(log, MemoryTable(), [])
    return await decision_values(log)


async def test_every_event_is_decided_and_the_invariants_hold() -> None:
    log = await written_log()
    run = await finish(log, MemoryTable(), [])
    await check_causality_without_foreign_outcomes(log)
    assert len(run.acknowledged) == len(await all_records(log, EVENTS))


async def check_causality_without_foreign_outcomes(log: MemoryLog) -> None:
    """The history has an arrival from a transfer before its beginning, so causality is not among them."""
    await check_order(log)
    await check_exactly_once_by_id(log)
    await check_determinism(log)


@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
async def test_a_failure_at_any_step_acknowledges_nothing_unsafe_and_repeats_the_same_bytes(
    step: str, hit: int, undisturbed: set[bytes]
) -> None:
    log, table = await written_log(), MemoryTable()
    doomed = Run(log, table, failpoints=f"evaluator.{step}:raise@{hit}")
    await doomed.drain()
    assert doomed.failures, "the failpoint was not reached"
    for partition, offset in doomed.acknowledged:
        state = PartitionState(table, partition, "evaluator", Failpoints())
        await state.open()
        assert state.applied >= offset, "acknowledged, but the table does not know it"
    await doomed.shell.close()
    await finish(log, table, doomed.acknowledged)
    await check_causality_without_foreign_outcomes(log)
    assert await decision_values(log) == undisturbed


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("write", range(6))
async def test_a_table_write_that_is_torn_is_finished_by_the_next_owner(
    write: int, kept: int, undisturbed: set[bytes]
) -> None:
    log, table = await written_log(), TearingTable(tear_at=write, kept=kept)
    doomed = Run(log, table)
    await doomed.drain()
    await doomed.shell.close()
    whole = MemoryTable()
    whole.parts = table.parts
    await finish(log, whole, doomed.acknowledged)
    await check_causality_without_foreign_outcomes(log)
    assert await decision_values(log) == undisturbed


async def test_a_record_that_the_consumer_lost_is_read_from_the_log_before_the_next(undisturbed: set[bytes]) -> None:
    log = await written_log()
    run = Run(log, MemoryTable())
    losing = {(partition, offset) for partition in range(PARTITIONS) for offset in (1, 2)}
    await run.drain(losing=losing)
    await run.shell.close()
    assert run.failures == []
    assert await decision_values(log) == undisturbed


async def test_without_the_guard_a_lost_record_stays_lost(undisturbed: set[bytes]) -> None:
    """The test of the test above."""
    log = await written_log()
    run = Run(log, MemoryTable(), failpoints="shell.guard:drop@1+1000")
    losing = {(partition, offset) for partition in range(PARTITIONS) for offset in (1, 2)}
    await run.drain(losing=losing)
    await run.shell.close()
    assert await decision_values(log) != undisturbed


async def test_a_last_record_that_the_consumer_lost_is_found_without_a_later_one(
    monkeypatch: pytest.MonkeyPatch, undisturbed: set[bytes]
) -> None:
    monkeypatch.setattr(limits, "idle_check_seconds", 0.01)
    log = await written_log()
    run = Run(log, MemoryTable())
    await run.shell.take_over(range(PARTITIONS))

    async def all_decided() -> bool:
        return await decision_values(log) == undisturbed

    await eventually(all_decided, seconds=20, what="decisions on records that were never handed over")
    await run.shell.close()
    assert run.failures == []


async def test_a_record_that_comes_twice_has_no_effect_the_second_time() -> None:
    log, table = await written_log(), MemoryTable()
    await finish(log, table, [])
    before = len(await all_records(log, DECISIONS))
    again = await finish(log, table, [])
    assert len(again.acknowledged) == len(await all_records(log, EVENTS))
    assert len(await all_records(log, DECISIONS)) == before


def overwrite(table: MemoryTable, partition: int) -> None:
    """Do what a worker does that was frozen and wakes up: write an older value over a newer one."""
    key = next(key for key in sorted(table.parts[partition]) if key.startswith(b"tag "))
    entry = orjson.loads(table.parts[partition][key])
    entry["value"]["digest"] = None
    table.parts[partition][key] = orjson.dumps(entry)


async def test_an_entry_that_was_written_over_is_noticed_and_the_partition_is_folded_anew() -> None:
    log, table = await written_log(), MemoryTable()
    run = await finish(log, table, [])
    right = {partition: dict(part) for partition, part in table.parts.items()}
    partition = next(number for number, part in table.parts.items() if any(key.startswith(b"tag ") for key in part))
    overwrite(table, partition)
    with pytest.raises(StateMismatchError):
        await PartitionState(table, partition, "evaluator", Failpoints()).open()
    before = await decision_values(log)
    await record_events(log, pushed("local/dev/app:9-stable", "nine"), partitions=PARTITIONS)
    await finish(log, table, run.acknowledged)
    assert before < await decision_values(log)
    await check_causality_without_foreign_outcomes(log)
    for key, value in right[partition].items():
        if key.startswith(b"tag ") and b":9-stable" not in key:
            assert orjson.loads(table.parts[partition][key])["value"] == orjson.loads(value)["value"]


async def test_a_state_of_another_version_is_not_read_but_folded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    log, expected, table = await written_log(), MemoryTable(), MemoryTable()
    await finish(log, expected, [])
    with monkeypatch.context() as before:
        before.setattr(partition_state, "STATE_FORMAT", 1)
        for partition, part in expected.parts.items():
            state = PartitionState(table, partition, "evaluator", Failpoints())
            await state.open()
            for key in part.keys() - {JOURNAL_KEY}:
                state.put(key.decode(), {"of": "another shape"})
            await state.commit(await log.high_watermark(EVENTS, partition) - 1)
    run = Run(log, table)
    await run.drain()
    await run.shell.close()
    assert run.failures == []
    assert values_of(table.parts) == values_of(expected.parts)


def values_of(parts: dict[int, dict[bytes, bytes]]) -> dict[int, dict[bytes, object]]:
    return {
        number: {key: orjson.loads(value)["value"] for key, value in part.items() if key != JOURNAL_KEY}
        for number, part in parts.items()
    }


async def test_a_log_that_is_shorter_than_the_state_stops_the_worker() -> None:
    table = MemoryTable()
    await finish(await written_log(), table, [])
    younger = MemoryLog(partitions=PARTITIONS)
    await record_events(younger, pushed("local/dev/app:1", "one"), partitions=PARTITIONS)
    run = Run(younger, table)
    await run.drain()
    await run.shell.close()
    assert run.acknowledged == []
    assert isinstance(run.failures[0], LogError)
    assert "belongs to another cluster" in str(run.failures[0])


async def test_a_log_that_is_away_for_a_while_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)
    log = await written_log()
    refusals = iter(range(limits.shell_attempt_count - 1))

    async def away(_: Append) -> None:
        if next(refusals, None) is not None:
            raise LogUnavailableError("away")

    log.before_append = away
    await finish(log, MemoryTable(), [])
    await check_causality_without_foreign_outcomes(log)


async def test_a_log_that_stays_away_stops_the_worker_without_acknowledging(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)
    log = await written_log()

    async def away(_: Append) -> None:
        raise LogUnavailableError("away")

    log.before_append = away
    run = Run(log, MemoryTable())
    await run.drain()
    await run.shell.close()
    assert isinstance(run.failures[0], LogUnavailableError)
    decided_on = {partition for partition, _ in run.acknowledged}
    assert len(decided_on) < PARTITIONS


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the record is empty"),
        (b"{", "JSON"),
        (b'{"specversion":"1.0"}', "id"),
        (b"\xff\xfe", "JSON"),
        (orjson.dumps({"type": "image.pushed"}), "specversion"),
    ],
)
async def test_poison_is_one_dead_letter_with_its_reason_and_what_follows_is_decided(value: bytes, reason: str) -> None:
    log = MemoryLog(partitions=PARTITIONS)
    good = pushed("local/dev/app:1.0", "one")
    await log.append(Append(EVENTS, b"local/dev/app", value))
    await record_events(log, good, partitions=PARTITIONS)
    await finish(log, MemoryTable(), [])
    (letter,) = await all_records(log, DEADLETTERS)
    assert reason in orjson.loads(letter.value or b"")["data"]["reason"]
    (decision,) = await all_records(log, DECISIONS)
    assert orjson.loads(decision.value or b"")["data"]["event_id"] == good.id
    await check_all(log)


async def test_an_event_where_it_does_not_belong_is_a_dead_letter() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    event = pushed("local/dev/app:1.0", "one")
    (right,) = appends_of(event, PARTITIONS)
    wrong = ((right.partition or 0) + 1) % PARTITIONS
    await log.append(Append(EVENTS, right.key, right.value, wrong))
    await finish(log, MemoryTable(), [])
    (letter,) = await all_records(log, DEADLETTERS)
    assert f"belongs into partition {right.partition}, not {wrong}" in (letter.value or b"").decode()
    assert await all_records(log, DECISIONS) == []


class Buggy:
    """A handler with a bug."""

    name = "evaluator"
    topic = EVENTS

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:  # noqa: ARG002 - a Handler's
        raise ZeroDivisionError(record.offset)

    async def opened(self, state: PartitionState) -> None: ...

    async def committed(self, state: PartitionState) -> None: ...

    async def closed(self, partition: int) -> None: ...


async def test_a_bug_stops_the_worker_and_the_event_is_not_acknowledged() -> None:
    log = await written_log()
    buggy: Handler = Buggy()
    run = Run(log, MemoryTable(), handler=buggy)
    await run.drain()
    await run.shell.close()
    assert isinstance(run.failures[0], ZeroDivisionError)
    assert run.acknowledged == []


async def test_a_partition_that_is_given_up_leaves_its_work_to_the_next_owner(undisturbed: set[bytes]) -> None:
    log, table = await written_log(), MemoryTable()
    run = Run(log, table, failpoints=",".join(f"evaluator.{step}:hang@2" for step in STEPS))
    draining = asyncio.create_task(run.drain())
    await until(lambda: bool(table.parts), "some work")
    await run.shell.give_up(range(PARTITIONS))
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    await finish(log, table, run.acknowledged)
    assert await decision_values(log) == undisturbed


async def test_whoever_waits_for_room_goes_on_when_the_partition_is_given_up() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    await record_events(log, pushed("local/dev/app:1", "one"), partitions=PARTITIONS)
    (record,) = await all_records(log, EVENTS)
    run = Run(log, MemoryTable(), failpoints="evaluator.decided:hang@1+1000")
    many = limits.batch_record_count * 4

    async def hand_over() -> None:
        for _ in range(many):
            await run.deliver(record)

    handing = asyncio.create_task(hand_over())
    done, _ = await asyncio.wait([handing], timeout=0.2)
    assert not done, "the queue has no bound"
    await run.shell.give_up([record.partition])
    # What is left goes to the next life of the partition, which hangs as well.
    done, _ = await asyncio.wait([handing], timeout=0.2)
    await run.shell.give_up([record.partition])
    async with asyncio.timeout(10):
        await handing
    await run.shell.close()


async def test_after_it_was_closed_nothing_is_taken_in() -> None:
    log, table = await written_log(), MemoryTable()
    run = Run(log, table)
    await run.shell.close()
    (record, *_) = await all_records(log, EVENTS)
    await run.deliver(record)
    await run.shell.take_over(range(PARTITIONS))
    assert run.acknowledged == []
    assert not run.shell.owns(record.partition)


async def test_the_journal_of_a_batch_is_written_before_its_entries() -> None:
    order: list[bytes] = []

    class Recording(MemoryTable):
        async def write(self, partition: int, entries: Sequence[Entry]) -> None:
            order.extend(key for key, _ in entries)
            await super().write(partition, entries)

    state = PartitionState(Recording(), 0, "evaluator", Failpoints())
    await state.open()
    state.put("a", {"n": 1})
    state.put("b", {"n": 2})
    await state.commit(7)
    assert order == [JOURNAL_KEY, b"a", b"b"]


async def test_records_that_come_together_are_acknowledged_once_and_after_the_last() -> None:
    log, table = await written_log(), MemoryTable()
    run = Run(log, table)
    records = [record for record in await all_records(log, EVENTS) if record.partition == 0]
    assert len(records) > 2
    await run.deliver_together(records)
    await until(lambda: bool(run.acknowledged), "acknowledged")
    await run.shell.close()
    assert run.acknowledged == [(0, records[-1].offset)]
    state = PartitionState(table, 0, "evaluator", Failpoints())
    await state.open()
    assert state.applied == records[-1].offset


async def test_records_that_wait_for_room_are_dropped_when_their_partition_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "batch_record_count", 1)
    log = await written_log()
    run = Run(log, MemoryTable(), failpoints="evaluator.decided:hang@1")
    records = [record for record in await all_records(log, EVENTS) if record.partition == 0]
    assert len(records) > 2 + 2, "all have room: none waits"
    delivering = asyncio.create_task(run.deliver_together(records))
    await until(lambda: run.shell.owns(0), "taken over")
    await run.shell.give_up([0])
    async with asyncio.timeout(20):
        await delivering
    assert not run.shell.owns(0), "a partition that was given up was taken again"
    assert run.acknowledged == []
    await run.shell.close()
