"""The transferrer on a log in memory: commands are safe before they are carried out, and each ends once."""

import pytest

from agents.table import MemoryTable
from schemas.catalogue import decode, encode
from schemas.commands import CopyImage
from schemas.events import TransferCompleted, TransferSkipped
from schemas.references import Reference
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.routing import event_append
from streams.topics import COMMANDS, DEADLETTERS, EVENTS, partition_for, repository_key
from tests.support.builders import command, completed, outcome
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, until
from tests.unit.agents.transferring import ONE, Copies, ended, start, worker, write
from towline import limits


async def test_a_command_is_acknowledged_before_its_copy_ends() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    await write(log, ONE)
    run = worker(log, MemoryTable(), copies)
    await start(run)
    assert len(run.acknowledged) == 1
    assert await ended(log) == []
    await until(lambda: copies.running == 1, "the copy")
    copies.go.set()

    async def has_ended() -> bool:
        return await ended(log) == [ONE.id]

    await eventually(has_ended, seconds=20, what="the outcome")
    await run.shell.close()


async def test_a_copy_that_a_crash_interrupts_is_driven_again_by_the_next_owner() -> None:
    log, table, copies = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies(waiting=True)
    await write(log, ONE)
    first = worker(log, table, copies)
    await start(first)
    await until(lambda: copies.running == 1, "the copy")
    await first.shell.close()
    assert copies.cancelled == [ONE.id]
    again = Copies()
    second = worker(log, table, again)
    await second.shell.take_over(range(PARTITIONS))

    async def has_ended() -> bool:
        return await ended(log) == [ONE.id]

    await eventually(has_ended, seconds=20, what="the outcome")
    assert again.started == [ONE.id]
    await second.shell.close()


async def test_a_command_whose_outcome_is_in_the_log_is_not_carried_out_again() -> None:
    log, table, copies = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies(waiting=True)
    await write(log, ONE)
    first = worker(log, table, copies)
    await start(first)
    await until(lambda: copies.running == 1, "the copy")
    await first.shell.close()
    # The first owner wrote the outcome and died before the table knew it.
    await log.append(event_append(outcome(completed(ONE.id, ONE.data))))
    again = Copies()
    second = worker(log, table, again)
    await start(second)
    await until(lambda: all(map(second.shell.owns, range(PARTITIONS))), "all partitions taken over")
    await second.shell.close()
    assert again.started == []
    assert await ended(log) == [ONE.id]


async def test_a_command_that_the_evaluator_repeats_is_carried_out_once() -> None:
    log, table, copies = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies()
    await write(log, ONE)
    run = worker(log, table, copies)
    await start(run)

    async def has_ended() -> bool:
        return await ended(log) == [ONE.id]

    await eventually(has_ended, seconds=20, what="the outcome")
    await write(log, ONE, command("local/dev/app:1", "local/qa/app:2", "one"))
    await run.drain()
    await until(lambda: len(copies.started) == 2, "the other command")
    await run.shell.close()
    assert copies.started.count(ONE.id) == 1


async def test_of_the_copies_that_wait_for_one_target_tag_the_latest_is_made_and_all_end_in_the_order_of_the_log() -> (
    None
):
    log, copies = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    first, *later = (command("local/dev/app:1", "local/qa/app:1", f"image {number}") for number in range(10))
    beside = command("local/dev/app:1", "local/qa/app:2", "image")
    await write(log, first)
    run = worker(log, MemoryTable(), copies)
    await start(run)
    await until(lambda: copies.running == 1, "the first copy")
    await write(log, *later, beside)
    await run.drain()
    await until(lambda: copies.running == 2, "the copy to the other tag")
    assert await ended(log) == []
    copies.go.set()

    async def all_ended() -> bool:
        return [item for item in await ended(log) if item != beside.id] == [first.id, *(item.id for item in later)]

    await eventually(all_ended, seconds=20, what="all outcomes in order")
    await run.shell.close()
    assert copies.started == [first.id, beside.id, later[-1].id]
    outcomes = [decode(record.value or b"").data for record in await all_records(log, EVENTS)]
    skipped = [item for item in outcomes if isinstance(item, TransferSkipped)]
    assert [item.command_id for item in skipped] == [item.id for item in later[:-1]]
    assert {item.superseded_by for item in skipped} == {later[-1].id}
    assert all(later[-1].id in (item.reason or "") for item in skipped)


async def test_commands_that_come_together_are_superseded_before_any_of_them_begins() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies()
    older, latest = (command("local/dev/app:1", "local/qa/app:1", name) for name in ("older", "latest"))
    await write(log, older, latest)
    home = partition_for(repository_key(latest.data.target.repository), PARTITIONS)
    run = worker(log, MemoryTable(), copies)
    await run.shell.take_over(range(PARTITIONS))
    await run.deliver_together([record async for record in log.read(COMMANDS, home, 0, 2)])

    async def all_ended() -> bool:
        return await ended(log) == [older.id, latest.id]

    await eventually(all_ended, seconds=20, what="both outcomes")
    await run.shell.close()
    assert copies.started == [latest.id]


async def test_no_more_copies_run_at_a_time_than_the_limit() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    count = limits.parallel_transfer_count * 2
    await write(log, *(command("local/dev/app:1", f"local/qa/app:{number}", "one") for number in range(count)))
    run = worker(log, MemoryTable(), copies)
    await start(run)
    await until(lambda: copies.running == limits.parallel_transfer_count, "the first copies")
    copies.go.set()

    async def all_ended() -> bool:
        return len(await ended(log)) == count

    await eventually(all_ended, seconds=20, what="all outcomes")
    await run.shell.close()
    assert copies.most_running == limits.parallel_transfer_count


async def test_a_bug_in_a_copy_stops_the_worker_and_the_command_stays_pending() -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    await write(log, ONE)

    async def buggy(command_id: str, copy: CopyImage) -> TransferCompleted:
        raise ZeroDivisionError(command_id, copy)

    run = worker(log, table, buggy)
    await start(run)
    await until(lambda: bool(run.failures), "the failure")
    await run.shell.close()
    assert isinstance(run.failures[0], ZeroDivisionError)
    copies = Copies()
    second = worker(log, table, copies)
    await second.shell.take_over(range(PARTITIONS))
    await until(lambda: copies.started == [ONE.id], "the command driven again")
    await second.shell.close()


async def test_only_the_last_ended_commands_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ended_command_count", 3)
    log, table, copies = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies()
    await write(log, *(command("local/dev/app:1", f"local/qa/app:{number}", "image") for number in range(8)))
    run = worker(log, table, copies)
    await start(run)

    def remembered() -> int:
        return sum(key.startswith(b"command ") for part in table.parts.values() for key in part)

    await until(lambda: len(copies.started) == 8 and remembered() == 3, "three remembered")
    await run.shell.close()


async def test_what_is_no_command_is_a_dead_letter_and_the_next_is_carried_out() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies()
    key = repository_key(Reference.parse("local/qa/app:1").repository)
    await log.append(Append(COMMANDS, key, b"{"))
    await log.append(Append(COMMANDS, key, encode(outcome(completed(ONE.id, ONE.data)))))
    await write(log, ONE)
    run = worker(log, MemoryTable(), copies)
    await start(run)
    await until(lambda: copies.started == [ONE.id], "the command")
    await run.shell.close()
    assert len(await all_records(log, DEADLETTERS)) == 2
