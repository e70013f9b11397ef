"""Commands that wait in the log, because enough of their partition wait in memory already.

Of each partition the pool holds a bounded number of jobs, the oldest ones. What comes beyond is in the table and in the
log, and is read from there when half of them are gone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from agents.partition_state import PartitionState
from agents.pool import Job, JobPool
from agents.retry import retrying
from schemas.catalogue import UnreadableRecordError, decode
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import COMMANDS
from towline import limits

CommandT = TypeVar("CommandT", bound=Frozen)


class Backlog(Generic[CommandT]):
    """What of each partition is in the pool, and from where on it is in the log alone.

    ``pending`` returns the job of a command, by its id, that the table holds as accepted at this offset.
    """

    def __init__(
        self,
        log: EventLog,
        pool: JobPool[CommandT],
        pending: Callable[[PartitionState, str, int], Job[CommandT] | None],
    ) -> None:
        self._log = log
        self._pool = pool
        self._pending = pending
        #: How many jobs of each partition are in the pool.
        self._loaded: dict[int, int] = {}
        #: The offset from which on a partition's commands are in the log alone.
        self._left_from: dict[int, int] = {}

    def add(self, partition: int, jobs: Sequence[Job[CommandT]]) -> None:
        """Bring jobs, the next ones of their partition, into the pool as far as there is room."""
        room = 0 if partition in self._left_from else limits.waiting_command_count - self._loaded.get(partition, 0)
        taken, left = jobs[:room], jobs[room:]
        if left:
            self._left_from.setdefault(partition, left[0].offset)
        self._loaded[partition] = self._loaded.get(partition, 0) + len(taken)
        self._pool.add(*taken)

    def leave(self, partition: int, offset: int) -> None:
        """Leave in the log what a partition has from an offset on."""
        self._left_from[partition] = offset

    def returned(self, partition: int) -> None:
        """Note that a job that had left the pool before its end is in it again."""
        self._loaded[partition] = self._loaded.get(partition, 0) + 1

    def ended(self, partition: int) -> None:
        """Note that one of a partition's jobs has ended, or left the pool."""
        # A partition that was given up and taken over meanwhile begins to count anew.
        self._loaded[partition] = max(self._loaded.get(partition, 0) - 1, 0)

    async def refill(self, state: PartitionState) -> None:
        """Bring the next jobs of a partition into the pool, when half of it is free.

        Raises:
            LogUnavailableError: the log cannot be read now.
        """
        partition = state.partition
        room = limits.waiting_command_count - self._loaded.get(partition, 0)
        if partition not in self._left_from or room * 2 < limits.waiting_command_count:
            return
        jobs = await retrying(partial(self._next, state, room + 1))
        del self._left_from[partition]
        self.add(partition, jobs)

    def close(self, partition: int) -> None:
        """Forget a partition."""
        self._loaded.pop(partition, None)
        self._left_from.pop(partition, None)

    async def _next(self, state: PartitionState, count: int) -> list[Job[CommandT]]:
        jobs: list[Job[CommandT]] = []
        start = self._left_from[state.partition]
        async for record in self._log.read(COMMANDS, state.partition, start, state.applied + 1):
            try:
                command_id = decode(record.value or b"").id
            except UnreadableRecordError:
                continue  # It was a dead letter when it came.
            if (job := self._pending(state, command_id, record.offset)) is not None:
                jobs.append(job)
            if len(jobs) == count:
                break
        return jobs
