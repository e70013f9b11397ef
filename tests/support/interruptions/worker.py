"""The transferrer over a log in memory, life after life, and what it may begin in each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.outcomes import Outcome
from schemas.references import Reference
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, EVENTS
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.agents.transferring import worker, write

CarryOut = Callable[[str, CopyImage], Awaitable[Outcome]]


class Lives:
    """One worker after the other on the same log and table."""

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out
        self._log, self._table = MemoryLog(partitions=PARTITIONS), MemoryTable()
        self._run: Run | None = None
        self._next = [0] * PARTITIONS
        self._news = asyncio.Event()
        self._deaths: list[int] = []
        #: The commands of this round in the order of the log, and what each ended with.
        self.commands: dict[str, CopyImage] = {}
        self.ends: dict[str, list[Outcome]] = {}
        #: What was begun in the life that lasts, and what is under way.
        self._begun: set[str] = set()
        self._under_way: set[Reference] = set()
        #: The first command of each target that had no end when this life began: an earlier life may have begun it.
        self._first: set[str] = set()

    def kill(self, steps: int) -> None:
        """Stop the worker when the event loop went round so many times, and start another one."""
        self._deaths.append(steps)
        self._news.set()

    async def end_all(self, commands: Sequence[Envelope[CopyImage]]) -> None:
        """Write commands, and return when each has an end."""
        self.commands = {item.id: item.data for item in commands}
        self.ends = {item.id: [] for item in commands}
        self._begun, self._first = set(), set()
        self._deaths.clear()
        starts = {number: await self._log.high_watermark(EVENTS, number) for number in range(PARTITIONS)}
        await write(self._log, *commands)
        following = asyncio.create_task(self._follow(starts))
        try:
            await self._deliver(self._run or await self._start())
            while self._deaths or not all(self.ends.values()):
                if self._deaths:
                    await self._die(self._deaths.pop(0))
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def close(self) -> None:
        """Stop the worker."""
        if self._run is not None:
            run, self._run = self._run, None
            await run.shell.close()
            assert run.failures == []
            for partition, offset in run.acknowledged:
                self._next[partition] = max(self._next[partition], offset + 1)

    async def _die(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await self.close()
        firsts: dict[Reference, str] = {}
        for command_id, command in self.commands.items():
            if not self.ends[command_id]:
                firsts.setdefault(command.target, command_id)
        self._begun, self._first = set(), set(firsts.values())
        await self._deliver(await self._start())

    async def _start(self) -> Run:
        self._run = worker(self._log, self._table, self._begin)
        await self._run.shell.take_over(range(PARTITIONS))
        return self._run

    async def _deliver(self, run: Run) -> None:
        """Hand over what is not acknowledged; what came together comes together."""
        for partition in range(PARTITIONS):
            end = await self._log.high_watermark(COMMANDS, partition)
            records = [record async for record in self._log.read(COMMANDS, partition, self._next[partition], end)]
            if records:
                await run.deliver_together(records)

    async def _follow(self, starts: dict[int, int]) -> None:
        async for record in self._log.follow(EVENTS, starts):
            outcome = decode(record.value or b"").data
            assert isinstance(outcome, Outcome)
            self.ends[outcome.command_id].append(outcome)
            self._news.set()

    async def _begin(self, command_id: str, command: CopyImage) -> Outcome:
        self._check_beginning(command_id, command)
        self._begun.add(command_id)
        self._under_way.add(command.target)
        try:
            return await self._carry_out(command_id, command)
        finally:
            self._under_way.remove(command.target)

    def _check_beginning(self, command_id: str, command: CopyImage) -> None:
        assert command_id in self.commands, "a command of an earlier round is carried out again"
        assert not self.ends[command_id], "a command is carried out again after its end"
        assert command_id not in self._begun, "a command is carried out twice in one life"
        assert command.target not in self._under_way, "two commands for one target tag are under way"
        last_id, last = [item for item in self.commands.items() if item[1].target == command.target][-1]
        assert command_id in {last_id, *self._first} or not supersedes(last, command), "a later one supersedes it"


def supersedes(later: CopyImage, earlier: CopyImage) -> bool:
    """Tell whether a command makes an earlier one for the same target needless."""
    if later.options.overwrite == "never":
        return False
    return later.options.overwrite == "backup" or earlier.options.overwrite != "backup"
