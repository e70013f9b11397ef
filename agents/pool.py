"""The pool: transfers beside the stream, a bounded number at a time, one at a time for each target tag."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from schemas.commands import CopyImage
from schemas.references import Reference
from towline import limits


@dataclass(frozen=True, slots=True)
class Job:
    """An accepted command, and the partition that it came from."""

    partition: int
    #: Where the command stands in its partition.
    offset: int
    command_id: str
    command: CopyImage


class TransferPool:
    """Runs jobs; those of one target tag in the order in which they were added."""

    def __init__(self, run: Callable[[Job], Awaitable[None]], on_failure: Callable[[BaseException], None]) -> None:
        self._run = run
        self._on_failure = on_failure
        self._waiting: dict[Reference, deque[Job]] = {}
        self._running: dict[Reference, tuple[Job, asyncio.Task[None]]] = {}
        #: Target tags with work and no transfer under way, first come first served.
        self._ready: deque[Reference] = deque()

    def add(self, job: Job) -> None:
        """Queue a job."""
        target = job.command.target
        queue = self._waiting.setdefault(target, deque())
        queue.append(job)
        if len(queue) == 1 and target not in self._running:
            self._ready.append(target)
        self._start()

    async def drop(self, partition: int) -> None:
        """Forget the jobs of a partition and cancel those under way; returns when they have ended."""
        for target, queue in list(self._waiting.items()):
            kept = deque(job for job in queue if job.partition != partition)
            if kept:
                self._waiting[target] = kept
            else:
                del self._waiting[target]
        self._ready = deque(target for target in self._ready if target in self._waiting)
        tasks = [task for job, task in self._running.values() if job.partition == partition]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        while self._ready and len(self._running) < limits.parallel_transfer_count:
            target = self._ready.popleft()
            queue = self._waiting[target]
            job = queue.popleft()
            if not queue:
                del self._waiting[target]
            task = asyncio.create_task(self._one(job), name=f"transfer-{target}")
            self._running[target] = (job, task)
            # Not in the task itself: one that is cancelled before its first step never runs a line.
            task.add_done_callback(partial(self._ended, target))

    async def _one(self, job: Job) -> None:
        try:
            await self._run(job)
        except Exception as error:
            self._on_failure(error)

    def _ended(self, target: Reference, _: asyncio.Task[None]) -> None:
        del self._running[target]
        if target in self._waiting:
            self._ready.append(target)
        self._start()
