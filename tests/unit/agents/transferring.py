"""The transferrer over the log in memory, with copies that a test lets go."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agents.partition_worker import Handler
from agents.table import Table
from agents.transferrer import Work, make_transferrer
from schemas.catalogue import decode, encode
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import TransferCompleted
from schemas.outcomes import Outcome
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, EVENTS, repository_key
from tests.support.builders import command, completed
from tests.support.checkers import all_records
from tests.unit.agents.harness import PARTITIONS, Place, Run
from towline.failpoints import Failpoints
from towline.registry import CopyProgress, RemovalOutcome, TransferOutcome

CarryOut = Callable[[str, CopyImage], Awaitable[TransferOutcome]]
Remove = Callable[[str, RemoveTag], Awaitable[RemovalOutcome]]


class Copies:
    """Stands in for the copy engine: copies wait until they are let go."""

    def __init__(self, *, waiting: bool = False) -> None:
        self.started: list[str] = []
        self.running = 0
        self.most_running = 0
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        if not waiting:
            self.go.set()

    async def __call__(self, command_id: str, copy: CopyImage) -> TransferCompleted:
        self.started.append(command_id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(command_id)
            raise
        finally:
            self.running -= 1
        return completed(command_id, copy)


async def _no_removal(command_id: str, command: RemoveTag) -> RemovalOutcome:
    raise AssertionError(f"nobody said how to remove {command.target} for {command_id}")


def worker(
    log: MemoryLog,
    table: Table,
    carry_out: CarryOut,
    failpoints: str = "",
    committed: Sequence[Place] = (),
    *,
    remove: Remove = _no_removal,
) -> Run:
    """Return a worker that copies as ``carry_out`` says, which tells nobody how far it is."""

    async def copy(command_id: str, command: CopyImage, _: CopyProgress) -> TransferOutcome:
        return await carry_out(command_id, command)

    return working(log, table, Work(copy=copy, remove=remove), failpoints, committed)


def working(log: MemoryLog, table: Table, work: Work, failpoints: str = "", committed: Sequence[Place] = ()) -> Run:
    failures: list[BaseException] = []
    transferrer = make_transferrer(log, PARTITIONS, work, Failpoints(failpoints), failures.append)
    handler: Handler = transferrer
    run = Run(log, table, handler=handler, failpoints=failpoints, committed=committed)
    run.failures = failures
    run.shell._on_failure = failures.append
    transferrer.submit = run.shell.submit
    return run


async def write(log: MemoryLog, *commands: Envelope[CopyImage] | Envelope[RemoveTag]) -> None:
    for item in commands:
        await log.append(Append(COMMANDS, repository_key(item.data.target.repository), encode(item)))


async def start(run: Run) -> None:
    """Take over all partitions and deliver what is there."""
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()


async def ended(log: MemoryLog) -> list[str]:
    """The command of each outcome in the log, repetitions too."""
    data = [decode(record.value or b"").data for record in await all_records(log, EVENTS)]
    return [item.command_id for item in data if isinstance(item, Outcome)]


ONE = command("local/dev/app:1", "local/qa/app:1", "one")
