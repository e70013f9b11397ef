"""More commands than a worker holds in memory: the others wait in the log, and every one ends once and in order."""

import asyncio

import pytest

from agents.command_runner import CommandRunner
from agents.table import MemoryTable
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import TransferCompleted
from streams.memory_log import MemoryLog
from streams.topics import partition_for, repository_key
from tests.support.builders import command, completed
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.transferring import Copies, ended, start, worker, write
from towline import limits

BOUND = 4
#: Many of one partition, for tags that each have three; the order of their ids is hardly the order of the log.
COMMANDS = [command("local/dev/app:1", f"local/qa/app:{tag}", f"{tag} {turn}") for turn in range(3) for tag in range(8)]
IDS = [item.id for item in COMMANDS]
LATEST = IDS[-8:]
HOME = partition_for(repository_key(COMMANDS[0].data.target.repository), PARTITIONS)


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "waiting_command_count", BOUND)


def in_memory(run: Run) -> int:
    assert isinstance(run.handler, CommandRunner)
    pool = run.handler.pool
    return len(pool._running) + sum(map(len, pool._waiting.values()))


class Watched(Copies):
    """Looks, with each copy that begins, at how many commands the worker holds."""

    run: Run | None = None
    most_held = 0

    async def __call__(self, command_id: str, copy: CopyImage):  # type: ignore[no-untyped-def]  # the base's
        assert self.run is not None
        self.most_held = max(self.most_held, in_memory(self.run))
        return await super().__call__(command_id, copy)


async def all_ended(log: MemoryLog) -> None:
    async def so() -> bool:
        return len(await ended(log)) >= len(IDS)

    await eventually(so, seconds=20, what="an end for every command")


def by_tag(ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    tags = {item.id: item.data.target.tag for item in COMMANDS}
    for id_ in ids:
        found.setdefault(tags[id_], []).append(id_)
    return found


def assert_each_once_and_the_latest_last(ends: list[str], started: list[str]) -> None:
    assert sorted(ends) == sorted(IDS)
    assert by_tag(ends) == by_tag(IDS), "the ends of each tag are in the order of the log"
    assert {ids[-1] for ids in by_tag(started).values()} == set(LATEST)


async def test_what_is_beyond_the_bound_waits_in_the_log_and_is_carried_out_when_there_is_room() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Watched()
    await write(log, *COMMANDS)
    copies.run = worker(log, MemoryTable(), copies)
    await start(copies.run)
    await all_ended(log)
    await copies.run.shell.close()
    assert_each_once_and_the_latest_last(await ended(log), copies.started)
    assert 1 < copies.most_held <= BOUND


async def test_a_worker_that_is_full_holds_no_more_whatever_still_comes() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    await write(log, *COMMANDS[:10])
    run = worker(log, MemoryTable(), copies)
    await start(run)
    await until(lambda: copies.running == BOUND, "as many copies as fit")
    await write(log, *COMMANDS[10:])
    await run.drain()
    assert in_memory(run) == BOUND
    copies.go.set()
    await all_ended(log)
    await run.shell.close()
    assert_each_once_and_the_latest_last(await ended(log), copies.started)


async def test_what_comes_while_others_wait_in_the_log_comes_after_them() -> None:
    """Also when one has just ended, and there is room for a single one."""
    log, first_go, go = MemoryLog(partitions=PARTITIONS), asyncio.Event(), asyncio.Event()
    started: list[str] = []

    async def copy(command_id: str, command: CopyImage) -> TransferCompleted:
        started.append(command_id)
        await (first_go if command_id == IDS[0] else go).wait()
        return completed(command_id, command)

    early, late = COMMANDS[:8], COMMANDS[8:]
    await write(log, *early)
    run = worker(log, MemoryTable(), copy)
    await start(run)
    await until(lambda: len(started) == BOUND, "as many copies as fit")
    first_go.set()

    async def one_ended() -> bool:
        return await ended(log) == [IDS[0]] and in_memory(run) == BOUND - 1

    await eventually(one_ended, seconds=20, what="the first end")
    await write(log, *late)
    await run.drain()
    assert in_memory(run) == BOUND - 1
    go.set()
    await all_ended(log)
    await run.shell.close()
    assert_each_once_and_the_latest_last(await ended(log), started)


async def test_after_a_crash_no_more_is_held_either_and_nothing_is_lost_or_made_twice() -> None:
    log, table, held = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies(waiting=True)
    await write(log, *COMMANDS)
    first = worker(log, table, held)
    await start(first)
    await until(lambda: held.running == BOUND, "as many copies as fit")
    await first.shell.close()
    copies = Watched()
    copies.run = worker(log, table, copies, committed=first.acknowledged)
    await start(copies.run)
    await all_ended(log)
    await copies.run.shell.close()
    assert set(held.started) <= set(copies.started), "what was under way is carried out again"
    assert_each_once_and_the_latest_last(await ended(log), copies.started)
    assert copies.most_held <= BOUND


async def test_a_command_that_is_written_again_while_its_first_waits_in_the_log_is_carried_out_once() -> None:
    log, copies = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    repeated: list[Envelope[CopyImage]] = COMMANDS[:8]
    await write(log, *(item for item in repeated for _ in range(2)))
    run = worker(log, MemoryTable(), copies)
    await start(run)
    await until(lambda: copies.running == BOUND, "as many copies as fit")
    copies.go.set()
    await until(lambda: len(copies.started) == len(repeated) and in_memory(run) == 0, "all of them")
    await run.shell.close()
    assert sorted(copies.started) == sorted(item.id for item in repeated)
    assert sorted(await ended(log)) == sorted(copies.started), "one superseded itself"


@pytest.mark.parametrize("hit", [1, 2, 4])
@pytest.mark.parametrize("site", ["table_written", "outcome_acked"])
async def test_a_crash_at_any_step_leaves_each_command_one_end(site: str, hit: int) -> None:
    log, table, doomed = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies()
    await write(log, *COMMANDS)
    first = worker(log, table, doomed, failpoints=f"transferrer.{site}:raise@{hit}")
    await start(first)
    await until(lambda: bool(first.failures), "the failpoint")
    await first.shell.close()
    second = worker(log, table, Copies(), committed=first.acknowledged)
    await start(second)
    await all_ended(log)
    await second.shell.close()
    assert second.failures == []
    assert sorted(await ended(log)) == sorted(IDS)
