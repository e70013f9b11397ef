"""What the transferrer remembers across restarts: the order of the log for each target tag, and what ended last."""

import pytest

from agents.table import MemoryTable
from streams.memory_log import MemoryLog
from tests.support.builders import command
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, until
from tests.unit.agents.transferring import Copies, ended, start, worker, write
from towline import limits

#: Enough for one target tag that the order of their ids is hardly the order of the log.
COMMANDS = [command("local/dev/app:1", "local/qa/app:1", f"image {number}") for number in range(8)]
IDS = [item.id for item in COMMANDS]


async def test_after_a_crash_the_copy_under_way_is_made_again_and_of_those_that_waited_the_latest() -> None:
    log, table, held = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies(waiting=True)
    await write(log, COMMANDS[0])
    first = worker(log, table, held)
    await start(first)
    await until(lambda: held.running == 1, "the first copy")
    await write(log, *COMMANDS[1:])
    await first.drain()
    await first.shell.close()
    copies = Copies()
    second = worker(log, table, copies, committed=first.acknowledged)
    await start(second)

    async def all_ended() -> bool:
        return len(await ended(log)) == len(IDS)

    await eventually(all_ended, seconds=20, what="all outcomes")
    await second.shell.close()
    assert sorted(IDS) != IDS
    assert copies.started == [IDS[0], IDS[-1]]
    assert await ended(log) == IDS


async def test_after_a_restart_the_commands_that_ended_last_are_still_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ended_command_count", len(IDS))
    log, table, copies = MemoryLog(partitions=PARTITIONS), MemoryTable(), Copies()

    def remembered() -> set[str]:
        keys = (key.decode() for part in table.parts.values() for key, value in part.items() if b'"ended"' in value)
        return {key.removeprefix("command ") for key in keys if key.startswith("command ")}

    before = [command("local/dev/app:1", f"local/qa/app:{number}", "image") for number in range(8)]
    await write(log, *before)
    first = worker(log, table, copies)
    await start(first)
    await until(lambda: remembered() == {item.id for item in before}, "all ended")
    await first.shell.close()
    later = [command("local/dev/app:1", f"local/qa/app:{number}", "later") for number in range(4)]
    await write(log, *later)
    second = worker(log, table, copies, committed=first.acknowledged)
    await start(second)
    expected = {*(item.id for item in before[4:]), *(item.id for item in later)}
    await until(lambda: len(copies.started) == 12 and remembered() >= {item.id for item in later}, "the later ones")
    await second.shell.close()
    assert remembered() == expected
