"""Reading from the log what the consumer lost: bounded, over removed offsets, and for every agent alike."""

from collections.abc import AsyncGenerator

import pytest

from agents.intake import Intake
from agents.partition_state import PartitionState
from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.decisions import Decision
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.topics import DEADLETTERS, DECISIONS, EVENTS, INBOUND
from tests.support.builders import appends_of, pushed
from tests.support.checkers import all_records, check_determinism, records
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.dialects.deliveries import structured
from towline import limits
from towline.failpoints import Failpoints

STEPS = ("fetched", "decided", "effects_acked", "journal_written", "table_written", "acked")
PUSHES = [pushed("local/dev/app:1", f"image {number}") for number in range(20)]
HOME = appends_of(PUSHES[0], PARTITIONS)[0].partition or 0


class CountingLog(MemoryLog):
    """Notes how much is read at a time."""

    def __init__(self) -> None:
        super().__init__(partitions=PARTITIONS)
        self.ranges: list[tuple[int, int]] = []

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncGenerator[LogRecord, None]:
        self.ranges.append((start, stop))
        async for record in super().read(topic, partition, start, stop):
            yield record


async def hand_over_only_the_last(log: MemoryLog, table: MemoryTable) -> None:
    run = Run(log, table)
    *_, last = await records(log, EVENTS, HOME)
    await run.deliver(last)
    await until(run.is_settled, "the last record acknowledged")
    await run.shell.close()
    assert run.failures == []


async def decided_events(log: MemoryLog) -> list[str]:
    found = [decode(record.value or b"").data for record in await all_records(log, DECISIONS)]
    return [decision.event_id for decision in found if isinstance(decision, Decision)]


async def test_a_long_gap_is_healed_a_bounded_number_of_records_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "heal_record_count", 3)
    log = CountingLog()
    await log.append_all([append for push in PUSHES for append in appends_of(push, PARTITIONS)])
    await hand_over_only_the_last(log, MemoryTable())
    whole, *healing = log.ranges
    assert whole == (0, 20), "the test itself looks for the last"
    assert healing == [(start, min(start + 3, 19)) for start in range(0, 19, 3)]
    assert await decided_events(log) == [push.id for push in PUSHES]
    await check_determinism(log)


async def test_offsets_that_are_no_more_are_passed_and_the_rest_is_applied() -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    await log.append_all([append for push in PUSHES for append in appends_of(push, PARTITIONS)])
    log.remove_before(EVENTS, HOME, 12)
    await hand_over_only_the_last(log, table)
    assert await decided_events(log) == [push.id for push in PUSHES[12:]]
    state = PartitionState(table, HOME, "evaluator", Failpoints())
    await state.open()
    assert state.applied == 19


async def inbound_log() -> MemoryLog:
    log = MemoryLog(partitions=PARTITIONS)
    delivery = structured()
    headers = tuple((name, value.encode()) for name, value in delivery.headers.items())
    for number in range(6):
        partition = number % PARTITIONS
        await log.append(Append(INBOUND, None, delivery.body, partition, headers))
        await log.append(Append(INBOUND, None, b"{", partition))
    return log


@pytest.mark.parametrize("hit", [1, 2])
@pytest.mark.parametrize("step", STEPS)
async def test_the_intake_dies_at_any_step_and_every_record_becomes_its_events_or_a_letter(step: str, hit: int) -> None:
    log, table = await inbound_log(), MemoryTable()
    doomed = Run(log, table, handler=Intake(), failpoints=f"intake.{step}:raise@{hit}")
    if step == "fetched":
        with pytest.raises(Exception, match=r"intake\.fetched"):
            await doomed.drain()
    else:
        await doomed.drain()
        assert doomed.failures, "the failpoint was not reached"
    await doomed.shell.close()
    second = Run(log, table, handler=Intake(), committed=doomed.acknowledged)
    await second.drain()
    await second.shell.close()
    assert second.failures == []
    inputs = {(record.partition, record.offset) for record in await all_records(log, INBOUND)}
    assert {*doomed.acknowledged, *second.acknowledged} == inputs
    letters = {record.value for record in await all_records(log, DEADLETTERS)}
    assert len(letters) == 6
    events = [record.value or b"" for record in await all_records(log, EVENTS)]
    # One event was sent six times; what a crash repeats has the same bytes for the same record.
    assert len({decode(value).id for value in events}) == 1
    assert 6 <= len(events) <= 12
    assert len(set(events)) <= 6
