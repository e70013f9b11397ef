"""The transferrer: accepts commands, and carries them out beside the stream.

A command is written to the table and acknowledged at once; the copy runs in a bounded pool, in the order of the log for
each target tag. What a crash interrupts is driven again at start, unless its outcome is in the log already.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from agents.outcomes import ended_since, outcome_event
from agents.partition_state import NOTHING_APPLIED, PartitionState
from agents.pool import Job, TransferPool
from agents.retry import retrying
from schemas.catalogue import UnreadableRecordError, decode, encode
from schemas.commands import CopyImage
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from streams.deadletters import dead_letter
from streams.log import Append, EventLog, LogRecord
from streams.routing import event_append
from streams.topics import COMMANDS, EVENTS, partition_for, repository_key
from towline import limits
from towline.failpoints import Failpoints
from towline.policy.state.values import Value

_COMMAND = "command "

CarryOut = Callable[[str, CopyImage], Awaitable[TransferCompleted | TransferSkipped | TransferFailed]]
Submit = Callable[[int, Callable[[PartitionState], None]], Awaitable[None]]


class Transferrer:
    """The handler of ``towline.commands``."""

    name = "transferrer"
    topic = COMMANDS

    def __init__(
        self,
        log: EventLog,
        event_partitions: int,
        carry_out: CarryOut,
        failpoints: Failpoints,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        self._event_partitions = event_partitions
        self._carry_out = carry_out
        self._failpoints = failpoints
        self._accepted: dict[int, list[Job]] = {}
        self._ended: dict[int, list[str]] = {}
        #: For each open partition, the offset from which on no command can have been carried out before: a table that
        #: was lost, or is being rebuilt, does not know which ones were.
        self._certain_from: dict[int, int] = {}
        #: What had ended before, by partition of the commands and of the log; only while that is not certain.
        self._ended_before: dict[tuple[int, int], frozenset[str]] = {}
        #: Where the log's partitions end, asked once for each batch of commands: an older answer is right too.
        self._event_ends: dict[int, int] = {}
        self.pool = TransferPool(self._run, on_failure)
        #: Set by whoever puts the parts together: how an outcome reaches the partition's state.
        self.submit: Submit | None = None

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Stage a command as accepted; a command that is known already changes nothing."""
        try:
            envelope = decode(record.value or b"")
        except UnreadableRecordError as error:
            return [dead_letter(record, str(error))]
        if not isinstance(envelope.data, CopyImage):
            return [dead_letter(record, f"{envelope.subject} is not a command")]
        if state.get(_COMMAND + envelope.id) is None:
            job = Job(record.partition, record.offset, envelope.id, envelope.data)
            if await self._ended_earlier(job, record.offset):
                self._end(job, state)
                return []
            # Its outcome can only stand behind what the log of the target holds now: that bounds the search at start.
            state.put(
                _COMMAND + envelope.id,
                {
                    "command": encode(envelope).decode(),
                    "offset": record.offset,
                    "outcome_since": await self._event_end(self._home(job)),
                },
            )
            self._accepted.setdefault(record.partition, []).append(job)
        return []

    async def opened(self, state: PartitionState) -> None:
        """Drive again what was accepted and has no outcome."""
        pending: dict[str, Job] = {}
        since: dict[int, int] = {}
        ended: dict[str, int] = {}
        for key in state.keys(_COMMAND):
            value = state.get(key) or {}
            if "command" not in value:
                ended[key] = value["offset"]
                continue
            job = _job(state.partition, value)
            pending[job.command_id] = job
            home = self._home(job)
            since[home] = min(since.get(home, value["outcome_since"]), value["outcome_since"])
        for home, start in since.items():
            for command_id in await retrying(partial(ended_since, self._log, home, start)):
                if (before := pending.pop(command_id, None)) is not None:
                    state.put(_COMMAND + command_id, _ended(before))
                    ended[_COMMAND + command_id] = before.offset
        # The table has its keys in the order of ids, which says nothing about when they came.
        self._ended[state.partition] = sorted(ended, key=ended.__getitem__)
        self._accepted.pop(state.partition, None)
        self._certain_from[state.partition] = (
            await retrying(partial(self._log.high_watermark, COMMANDS, state.partition))
            if state.applied == NOTHING_APPLIED
            else 0
        )
        if state.is_changed:
            await state.commit(state.applied)
        for job in sorted(pending.values(), key=lambda job: job.offset):
            self.pool.add(job)

    async def committed(self, state: PartitionState) -> None:
        """Begin what is now safe in the table."""
        self._event_ends.clear()
        certain_from = self._certain_from.get(state.partition)
        if certain_from is None:
            return  # The state is being rebuilt; what is left to do begins when it is open.
        if state.applied + 1 >= certain_from:
            self._forget_before(state.partition)
        for job in self._accepted.pop(state.partition, ()):
            self.pool.add(job)

    async def closed(self, partition: int) -> None:
        """Stop the copies of a partition; its next owner drives them again."""
        self._accepted.pop(partition, None)
        self._ended.pop(partition, None)
        self._certain_from.pop(partition, None)
        self._forget_before(partition)
        await self.pool.drop(partition)

    async def _run(self, job: Job) -> None:
        outcome = await self._carry_out(job.command_id, job.command)
        append = event_append(outcome_event(outcome))
        await retrying(partial(self._log.append, append))
        await self._failpoints.hit("transferrer.outcome_acked")
        if self.submit is not None:
            await self.submit(job.partition, partial(self._end, job))

    def _end(self, job: Job, state: PartitionState) -> None:
        # Ended commands are remembered, so that one that the evaluator emits again after a crash is not carried out
        # again; only the last ones, because it does so at once.
        state.put(_COMMAND + job.command_id, _ended(job))
        ended = self._ended.setdefault(state.partition, [])
        ended.append(_COMMAND + job.command_id)
        while len(ended) > limits.ended_command_count:
            state.put(ended.pop(0), None)

    async def _ended_earlier(self, job: Job, offset: int) -> bool:
        """Tell whether a command that the table does not know has its outcome in the log."""
        certain_from = self._certain_from.get(job.partition)
        if certain_from is not None and offset >= certain_from:
            return False
        place = (job.partition, self._home(job))
        if place not in self._ended_before:
            found = await retrying(partial(ended_since, self._log, place[1]))
            self._ended_before[place] = frozenset(found)
        return job.command_id in self._ended_before[place]

    def _forget_before(self, partition: int) -> None:
        for place in [place for place in self._ended_before if place[0] == partition]:
            del self._ended_before[place]

    def _home(self, job: Job) -> int:
        return partition_for(repository_key(job.command.target.repository), self._event_partitions)

    async def _event_end(self, partition: int) -> int:
        if partition not in self._event_ends:
            self._event_ends[partition] = await retrying(partial(self._log.high_watermark, EVENTS, partition))
        return self._event_ends[partition]


def _ended(job: Job) -> Value:
    return {"ended": True, "offset": job.offset}


def _job(partition: int, value: Value) -> Job:
    envelope = decode(str(value["command"]).encode())
    if not isinstance(envelope.data, CopyImage):
        raise TypeError(f"the table of commands holds {envelope.subject}, which is none")
    return Job(partition, int(value["offset"]), envelope.id, envelope.data)
