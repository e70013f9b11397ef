"""The one shell around every agent: what it takes in is never lost, whatever dies in between.

For each partition it keeps one task with one order of work: guard, handle, effects, table, acknowledgement. A record is
acknowledged only after the broker has its effects and the table knows its offset. A failure that retries do not
mend stops the process without acknowledging; the next one starts from the table and the log.
"""

from collections.abc import Callable, Iterable, Sequence

from agents.partition_state import PartitionState
from agents.partition_worker import Acknowledge, Handler, Internal, PartitionWorker, Work
from agents.table import Table
from streams.log import EventLog, LogRecord
from towline.failpoints import Failpoints


class Shell:
    """Runs a handler over the partitions that this process owns."""

    def __init__(
        self,
        handler: Handler,
        table: Table,
        log: EventLog,
        failpoints: Failpoints,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._handler = handler
        self._table = table
        self._log = log
        self._failpoints = failpoints
        self._on_failure = on_failure
        self._workers: dict[int, PartitionWorker] = {}
        self._closed = False

    def owns(self, partition: int) -> bool:
        """Tell whether this process has taken over a partition."""
        worker = self._workers.get(partition)
        return worker is not None and worker.is_open

    async def take_over(self, partitions: Iterable[int]) -> None:
        """Begin work on partitions, before their first record: unfinished work goes on without waiting for new."""
        if not self._closed:
            for partition in partitions:
                self._worker(partition)

    async def accept(self, records: Sequence[LogRecord], acknowledge: Acknowledge) -> None:
        """Queue records of one partition, in their order; returns when there was room.

        The acknowledgement is that of the last record: it is called when all effects of all of them are safe.
        """
        if self._closed:
            return
        partition, last = records[0].partition, records[-1]
        worker = self._worker(partition)
        for record in records:
            if await self._failpoints.hit(f"{self._handler.name}.fetched"):
                continue
            await worker.queue.put(Work(record, acknowledge if record is last else None))
            if self._workers.get(partition) is not worker:
                return  # Given up while we waited for room: its next owner reads them again.

    async def submit(self, partition: int, internal: Internal) -> None:
        """Queue a change of a partition's state that no record brings; dropped when the partition was given up."""
        worker = self._workers.get(partition)
        if worker is not None:
            await worker.queue.put(Work(None, None, internal))

    async def give_up(self, partitions: Iterable[int]) -> None:
        """Stop work on partitions at once. What is not acknowledged will be read again by their next owner."""
        for partition in list(partitions):
            worker = self._workers.pop(partition, None)
            if worker is not None:
                await worker.stop()
                await self._handler.closed(partition)

    async def close(self) -> None:
        """Stop work on all partitions, for good: what still comes is not acknowledged."""
        self._closed = True
        await self.give_up(self._workers)

    def _worker(self, partition: int) -> "PartitionWorker":
        worker = self._workers.get(partition)
        if worker is None:
            state = PartitionState(self._table, partition, self._handler.name, self._failpoints)
            worker = PartitionWorker(self._handler, state, self._log, self._failpoints, self._on_failure)
            self._workers[partition] = worker
        return worker
