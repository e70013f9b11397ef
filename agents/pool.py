"""The pool: commands carried out beside the stream, a bounded number at a time, in order within each queue."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from schemas.references import Frozen

CommandT = TypeVar("CommandT", bound=Frozen)


@dataclass(frozen=True, slots=True)
class Job(Generic[CommandT]):
    """An accepted command, and the partition that it came from."""

    partition: int
    #: Where the command stands in its partition.
    offset: int
    command_id: str
    command: CommandT
    #: Jobs of equal queues run one after the other.
    queue: Hashable
    #: An earlier life may have begun it: what it wrote then is there.
    may_have_begun: bool = False


class JobPool(Generic[CommandT]):
    """Runs jobs, up to ``at_a_time`` of them; those of one queue in the order in which they were added.

    ``run`` gets a job, and the last one that waits behind it in its queue when it begins.
    """

    def __init__(
        self,
        run: Callable[[Job[CommandT], Job[CommandT] | None], Awaitable[None]],
        on_failure: Callable[[BaseException], None],
        *,
        at_a_time: int,
    ) -> None:
        self._run = run
        self._on_failure = on_failure
        self._at_a_time = at_a_time
        self._waiting: dict[Hashable, deque[Job[CommandT]]] = {}
        self._running: dict[Hashable, tuple[Job[CommandT], asyncio.Task[None]]] = {}
        #: Queues with work and none under way, first come first served.
        self._ready: deque[Hashable] = deque()

    def add(self, *jobs: Job[CommandT]) -> None:
        """Queue jobs; none of them begins before all are there."""
        for job in jobs:
            waiting = self._waiting.setdefault(job.queue, deque())
            waiting.append(job)
            if len(waiting) == 1 and job.queue not in self._running:
                self._ready.append(job.queue)
        self._start()

    async def drop(self, partition: int) -> None:
        """Forget the jobs of a partition and cancel those under way; returns when they have ended."""
        for queue, waiting in list(self._waiting.items()):
            kept = deque(job for job in waiting if job.partition != partition)
            if kept:
                self._waiting[queue] = kept
            else:
                del self._waiting[queue]
        self._ready = deque(queue for queue in self._ready if queue in self._waiting)
        tasks = [task for job, task in self._running.values() if job.partition == partition]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        while self._ready and len(self._running) < self._at_a_time:
            queue = self._ready.popleft()
            waiting = self._waiting[queue]
            job = waiting.popleft()
            last = waiting[-1] if waiting else None
            if not waiting:
                del self._waiting[queue]
            task = asyncio.create_task(self._one(job, last), name=f"job-{queue}")
            self._running[queue] = (job, task)
            # Not in the task itself: one that is cancelled before its first step never runs a line.
            task.add_done_callback(partial(self._ended, queue))

    async def _one(self, job: Job[CommandT], last: Job[CommandT] | None) -> None:
        try:
            await self._run(job, last)
        except Exception as error:
            self._on_failure(error)

    def _ended(self, queue: Hashable, _: asyncio.Task[None]) -> None:
        del self._running[queue]
        if queue in self._waiting:
            self._ready.append(queue)
        self._start()
