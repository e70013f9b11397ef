"""The transferrer dies, or loses its table: every command still ends once, and none is carried out after it ended."""

import orjson
import pytest

from agents.partition_state import JOURNAL_KEY, PartitionState, StateMismatchError
from agents.table import MemoryTable
from streams.memory_log import MemoryLog
from streams.topics import EVENTS, partition_for, repository_key
from tests.support.builders import command
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.transferring import Copies, ended, start, worker, write
from towline.failpoints import Failpoints

#: Two for one target tag, and one beside them.
COMMANDS = (
    command("local/dev/app:1", "local/qa/app:1", "one"),
    command("local/dev/app:1", "local/qa/app:1", "two"),
    command("local/dev/tool:1", "local/qa/tool:1", "one"),
)
IDS = sorted(item.id for item in COMMANDS)
SITES = ("decided", "effects_acked", "journal_written", "table_written", "acked", "outcome_acked")


async def all_ended(log: MemoryLog) -> None:
    async def so() -> bool:
        return set(await ended(log)) == set(IDS)

    await eventually(so, seconds=20, what="an outcome for every command")


def pending(table: MemoryTable) -> int:
    """How many commands the table holds that have not ended."""
    entries = (entry for part in table.parts.values() for key, entry in part.items() if key != JOURNAL_KEY)
    return sum(b'"command"' in entry for entry in entries)


async def stop(run: Run) -> None:
    await run.shell.close()
    assert run.failures == []


@pytest.mark.parametrize("hit", [1, 2])
@pytest.mark.parametrize("site", SITES)
async def test_a_failure_at_any_step_leaves_every_command_one_outcome(site: str, hit: int) -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    await write(log, *COMMANDS)
    doomed = worker(log, table, Copies(), failpoints=f"transferrer.{site}:raise@{hit}")
    await start(doomed)
    await until(lambda: bool(doomed.failures), "the failpoint")
    await doomed.shell.close()
    for partition, offset in doomed.acknowledged:
        state = PartitionState(table, partition, "transferrer", Failpoints())
        await state.open()
        assert state.applied >= offset, "acknowledged, but the table does not know it"
    second = worker(log, table, Copies(), committed=doomed.acknowledged)
    await start(second)
    await all_ended(log)
    await stop(second)
    assert sorted(await ended(log)) == IDS


async def finished(log: MemoryLog, table: MemoryTable) -> Run:
    """Return a worker that carried out everything and was stopped in peace."""
    await write(log, *COMMANDS)
    run = worker(log, table, Copies())
    await start(run)
    await all_ended(log)
    await until(lambda: pending(table) == 0, "the table knows all that ended")
    await stop(run)
    return run


async def test_a_table_that_was_written_over_is_rebuilt_without_carrying_anything_out_again() -> None:
    log, table = MemoryLog(partitions=PARTITIONS), MemoryTable()
    before = await finished(log, table)
    home = partition_for(repository_key(COMMANDS[0].data.target.repository), PARTITIONS)
    part = table.parts[home]
    journal = orjson.loads(part[JOURNAL_KEY])["entries"]
    del part[next(key for key in part if key.startswith(b"command ") and key.decode() not in journal)]
    with pytest.raises(StateMismatchError):
        await PartitionState(table, home, "transferrer", Failpoints()).open()
    copies = Copies()
    second = worker(log, table, copies, committed=before.acknowledged)
    await start(second)
    await until(lambda: all(map(second.shell.owns, range(PARTITIONS))), "all partitions taken over")
    await stop(second)
    assert copies.started == []
    assert sorted(await ended(log)) == IDS


async def test_a_table_that_was_lost_carries_nothing_out_again() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    before = await finished(log, MemoryTable())
    copies = Copies()
    second = worker(log, MemoryTable(), copies)
    await start(second)
    await until(lambda: len(second.acknowledged) == len(before.acknowledged), "all commands read again")
    await stop(second)
    assert copies.started == []
    assert len(await all_records(log, EVENTS)) == len(IDS)
