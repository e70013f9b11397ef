"""A crash while commands wait that a later one supersedes: the same ends, and the latest decision is what is there."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import RemovalSkipped, TagRemoved, TransferCompleted, TransferSkipped
from schemas.outcomes import Outcome
from schemas.policies import CopyOptions, Overwrite
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, EVENTS, partition_for, repository_key
from tests.support.builders import command, completed, digest, removal
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.transferring import Copies, start, worker, write

FIRST, MIDDLE, LAST = (command("local/dev/app:1", "local/qa/app:1", name) for name in ("first", "middle", "last"))
IDS = [FIRST.id, MIDDLE.id, LAST.id]
SITES = ("decided", "effects_acked", "journal_written", "table_written", "acked", "outcome_acked")


class Target:
    """A target tag: what was written to it, in order."""

    def __init__(self) -> None:
        self.digests: list[str] = []

    async def __call__(self, command_id: str, copy: CopyImage) -> TransferCompleted:
        self.digests.append(copy.digest)
        return completed(command_id, copy)


async def ends(log: MemoryLog) -> dict[str, Outcome]:
    """The first end of each command."""
    found: dict[str, Outcome] = {}
    for record in await all_records(log, EVENTS):
        data = decode(record.value or b"").data
        if isinstance(data, Outcome):
            assert data.command_id not in found, "a second end"
            found[data.command_id] = data
    return found


async def all_ended(log: MemoryLog) -> dict[str, Outcome]:
    async def so() -> bool:
        return set(await ends(log)) == set(IDS)

    await eventually(so, seconds=20, what="an end for each command")
    return await ends(log)


async def interrupted(log: MemoryLog, table: MemoryTable, held: Copies, failpoints: str = "") -> Run:
    """Return a worker that makes the first copy while the others wait."""
    await write(log, FIRST)
    run = worker(log, table, held, failpoints=failpoints)
    await start(run)
    await until(lambda: held.running == 1, "the first copy")
    await write(log, MIDDLE, LAST)
    await run.drain()
    return run


async def test_without_a_crash_the_first_and_the_last_are_made() -> None:
    log, held = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    run = await interrupted(log, MemoryTable(), held)
    held.go.set()
    assert kinds(await all_ended(log)) == [TransferCompleted, TransferSkipped, TransferCompleted]
    assert held.started == [FIRST.id, LAST.id]
    await run.shell.close()


async def started_together(*commands: Envelope[CopyImage]) -> list[str]:
    """Return which of the commands for one target are carried out when all of them wait, in order."""
    log, copies = MemoryLog(partitions=PARTITIONS), Copies()
    await write(log, *commands)
    run = worker(log, MemoryTable(), copies)
    await run.shell.take_over(range(PARTITIONS))
    home = partition_for(repository_key(FIRST.data.target.repository), PARTITIONS)
    await run.deliver_together([record async for record in log.read(COMMANDS, home, 0, len(commands))])
    await all_ended(log)
    await run.shell.close()
    return copies.started


def with_overwrite(envelope: Envelope[CopyImage], overwrite: Overwrite) -> Envelope[CopyImage]:
    return replace(envelope, data=envelope.data.model_copy(update={"options": CopyOptions(overwrite=overwrite)}))


async def test_a_command_that_leaves_a_tag_that_is_there_supersedes_none_before_it() -> None:
    assert await started_together(FIRST, MIDDLE, with_overwrite(LAST, "never")) == IDS


async def test_a_command_that_keeps_no_backup_supersedes_none_that_does() -> None:
    assert await started_together(with_overwrite(FIRST, "backup"), MIDDLE, LAST) == [FIRST.id, LAST.id]


async def test_of_commands_that_all_keep_a_backup_the_last_one_is_enough() -> None:
    commands = [with_overwrite(command, "backup") for command in (FIRST, MIDDLE, LAST)]
    assert await started_together(*commands) == [LAST.id]


FORGOTTEN, FORGOTTEN_AGAIN, OTHER = (
    removal("local/dev/app:1", "local/qa/app:1", image, key=key)
    for image, key in (("first", "once"), ("first", "again"), ("other", "once"))
)

MIDDLE_FORGOTTEN = removal("local/dev/app:1", "local/qa/app:1", "middle")


class Tag:
    """A target tag that copies and removals change."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def copy(self, command_id: str, copy: CopyImage) -> TransferCompleted:
        self.done.append(command_id)
        return completed(command_id, copy)

    async def remove(self, command_id: str, command: RemoveTag) -> TagRemoved:
        self.done.append(command_id)
        return TagRemoved(**command.outcome_members(command_id))


@pytest.mark.parametrize(
    ("orders", "carried_out"),
    [
        pytest.param([FIRST, FORGOTTEN], [FIRST, FORGOTTEN], id="a removal supersedes no copy of the same"),
        pytest.param([MIDDLE, FORGOTTEN], [MIDDLE, FORGOTTEN], id="nor one of another digest"),
        pytest.param([FORGOTTEN, LAST], [LAST], id="a copy supersedes a removal"),
        pytest.param([FORGOTTEN, FIRST, FORGOTTEN_AGAIN], [FIRST, FORGOTTEN_AGAIN], id="the latest wins"),
        pytest.param([FORGOTTEN, FORGOTTEN_AGAIN], [FORGOTTEN_AGAIN], id="a removal of the same supersedes one"),
        pytest.param([FORGOTTEN, OTHER], [FORGOTTEN, OTHER], id="a removal of another digest supersedes none"),
        pytest.param(
            [FORGOTTEN, with_overwrite(LAST, "never")],
            [FORGOTTEN, with_overwrite(LAST, "never")],
            id="a copy that leaves what is there comes after what removes it",
        ),
        pytest.param(
            [with_overwrite(FIRST, "backup"), FORGOTTEN],
            [with_overwrite(FIRST, "backup"), FORGOTTEN],
            id="a copy that keeps a backup is made before a removal",
        ),
    ],
)
async def test_of_copies_and_removals_of_one_tag_the_latest_decision_wins(
    orders: Sequence[Envelope[Any]], carried_out: Sequence[Envelope[Any]]
) -> None:
    log, tag = MemoryLog(partitions=PARTITIONS), Tag()
    await write(log, *orders)
    run = worker(log, MemoryTable(), tag.copy, remove=tag.remove)
    await run.shell.take_over(range(PARTITIONS))
    home = partition_for(repository_key(FIRST.data.target.repository), PARTITIONS)
    await run.deliver_together([record async for record in log.read(COMMANDS, home, 0, len(orders))])

    async def so() -> bool:
        return len(await ends(log)) == len(orders)

    await eventually(so, seconds=20, what="an end for each command")
    await run.shell.close()
    assert tag.done == [order.id for order in carried_out]
    found = await ends(log)
    for order in orders:
        if order.id not in tag.done:
            left = found[order.id]
            assert isinstance(left, RemovalSkipped if isinstance(order.data, RemoveTag) else TransferSkipped)
            assert left.superseded_by == orders[-1].id


class Kept:
    """A target tag as a registry keeps it: a removal of what it does not have leaves it."""

    def __init__(self, before: str | None) -> None:
        self.digest = before

    async def copy(self, command_id: str, copy: CopyImage) -> TransferCompleted:
        self.digest = copy.digest
        return completed(command_id, copy)

    async def remove(self, command_id: str, command: RemoveTag) -> TagRemoved | RemovalSkipped:
        if self.digest != command.digest:
            return RemovalSkipped(**command.outcome_members(command_id), reason="not ours to remove")
        self.digest = None
        return TagRemoved(**command.outcome_members(command_id))


async def one_by_one(before: str | None, orders: Sequence[Envelope[Any]]) -> str | None:
    """Return what the tag has when every command is carried out."""
    kept = Kept(before)
    for order in orders:
        act: Any = kept.remove if isinstance(order.data, RemoveTag) else kept.copy
        await act(order.id, order.data)
    return kept.digest


@pytest.mark.parametrize("before", [None, FIRST.data.digest, digest("before")])
async def test_whatever_is_superseded_the_tag_ends_as_if_nothing_were(before: str | None) -> None:
    """A copy that a person asked for must not be lost for the removal of something else."""
    home = partition_for(repository_key(FIRST.data.target.repository), PARTITIONS)
    for orders in permutations([FIRST, MIDDLE, FORGOTTEN, MIDDLE_FORGOTTEN], 3):
        log, kept = MemoryLog(partitions=PARTITIONS), Kept(before)
        await write(log, *orders)
        run = worker(log, MemoryTable(), kept.copy, remove=kept.remove)
        await run.shell.take_over(range(PARTITIONS))
        await run.deliver_together([record async for record in log.read(COMMANDS, home, 0, len(orders))])

        async def so(log: MemoryLog = log, count: int = len(orders)) -> bool:
            return len(await ends(log)) == count

        await eventually(so, seconds=20, what="an end for each command")
        await run.shell.close()
        assert kept.digest == await one_by_one(before, orders), [order.data for order in orders]


def kinds(found: dict[str, Outcome]) -> list[type[Outcome]]:
    return [type(found[id_]) for id_ in IDS]


async def test_a_crash_while_they_wait_leads_to_the_same_ends() -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    run = await interrupted(log, table, Copies(waiting=True))
    await run.shell.close()
    target = Target()
    second = worker(log, table, target, committed=run.acknowledged)
    await start(second)
    # The first was under way when the crash came: its tag may be there, and what follows from it must be told.
    assert kinds(await all_ended(log)) == [TransferCompleted, TransferSkipped, TransferCompleted]
    assert target.digests == [FIRST.data.digest, LAST.data.digest]
    await second.shell.close()


@pytest.mark.parametrize("hit", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("site", SITES)
async def test_a_crash_at_any_step_ends_each_command_once_and_leaves_the_latest_decision(site: str, hit: int) -> None:
    log, table, target = MemoryLog(partitions=PARTITIONS), MemoryTable(), Target()
    await write(log, FIRST, MIDDLE)
    run = worker(log, table, target, failpoints=f"transferrer.{site}:raise@{hit}")
    await start(run)
    await write(log, LAST)
    await run.drain()
    await until(lambda: bool(run.failures) or run.is_settled(), "the failpoint, or all delivered")
    await run.shell.close()
    second = worker(log, table, target, committed=run.acknowledged)
    await start(second)
    found = await all_ended(log)
    await second.shell.close()
    assert second.failures == []
    assert target.digests[-1] == LAST.data.digest
    assert isinstance(found[LAST.id], TransferCompleted)
    for one, outcome in found.items():
        if isinstance(outcome, TransferSkipped):
            assert outcome.superseded_by in IDS[IDS.index(one) + 1 :]
        else:
            assert outcome.digest in target.digests


async def test_a_superseded_end_in_the_log_stays_the_end_when_the_table_was_lost() -> None:
    log, held = MemoryLog(partitions=PARTITIONS), Copies(waiting=True)
    run = await interrupted(log, MemoryTable(), held)
    held.go.set()
    before = await all_ended(log)
    await run.shell.close()
    target = Target()
    second = worker(log, MemoryTable(), target)
    await start(second)
    await until(lambda: len(second.acknowledged) == len(IDS), "all commands read again")
    await second.shell.close()
    assert target.digests == []
    assert await ends(log) == before
