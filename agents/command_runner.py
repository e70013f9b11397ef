"""What all agents have in common that carry out commands, beside the stream.

A command is written to the table and acknowledged at once; the work runs in a bounded pool, in the order of the log
within each queue. What a crash interrupts is driven again at start, unless its end is in the log already. What still
waits when a later command of its queue is there may end by that alone: the latest decision wins.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from agents.backlog import Backlog
from agents.ended import EndedBefore
from agents.outcomes import end_id, ends_since
from agents.partition_state import NOTHING_APPLIED, PartitionState
from agents.pool import Job, JobPool
from agents.retry import retrying
from schemas.catalogue import COMMAND_TYPES, UnreadableRecordError, decode, encode, type_of
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.deadletters import dead_letter
from streams.log import Append, EventLog, LogRecord
from streams.routing import event_append
from streams.topics import COMMANDS, EVENTS, partition_for
from towline import limits
from towline.failpoints import Failpoints
from towline.policy.state.values import Value

_COMMAND = "command "

CommandT = TypeVar("CommandT", bound=Frozen)
Record = Callable[[Sequence[Envelope[Frozen]]], Awaitable[None]]
"""Brings events into the log, in their order, and returns when all of them are acknowledged."""
Submit = Callable[[int, Callable[[PartitionState], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Duty(Generic[CommandT]):
    """Which commands an agent carries out, and how."""

    #: The agent's name.
    name: str
    commands: tuple[type[CommandT], ...]
    #: The types of events of which one ends each command.
    ends: tuple[type[Frozen], ...]
    #: The key in the log of the event that ends a command.
    key: Callable[[CommandT], bytes]
    #: Commands of equal queues are carried out one after the other.
    queue: Callable[[CommandT], Hashable]
    #: Does it, with what it records on the way, and returns the event that ends it; None: it has not ended, and whoever
    #: says so sees to it that it is carried out again.
    carry_out: Callable[[str, CommandT, Record], Awaitable[Envelope[Frozen] | None]]
    #: Returns the event that ends a command because of a later one of its queue, by id and command both; None when
    #: both are to be carried out.
    superseded: Callable[[str, CommandT, str, CommandT], Envelope[Frozen] | None]
    at_a_time: int
    #: Whether the dead letters of what is no command at all are this agent's: one agent's of the topic.
    rejects: bool = False


class CommandRunner(Generic[CommandT]):
    """The handler of ``towline.commands`` for one duty. Commands of other duties are none of its business."""

    topic = COMMANDS

    def __init__(
        self,
        duty: Duty[CommandT],
        log: EventLog,
        event_partitions: int,
        failpoints: Failpoints,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.name = duty.name
        self._duty = duty
        self._log = log
        self._event_partitions = event_partitions
        self._failpoints = failpoints
        self._accepted: dict[int, list[Job[CommandT]]] = {}
        self._ended: dict[int, list[str]] = {}
        self._ended_before = EndedBefore(log, duty.ends)
        #: Where the log's partitions end, asked once for each batch of commands: an older answer is right too.
        self._event_ends: dict[int, int] = {}
        self.pool = JobPool(self._run, on_failure, at_a_time=duty.at_a_time)
        self._backlog = Backlog(log, self.pool, self._pending)
        #: Set by whoever puts the parts together: how an end reaches the partition's state.
        self.submit: Submit | None = None

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Stage a command as accepted; a command that is known already changes nothing."""
        try:
            envelope = decode(record.value or b"")
        except UnreadableRecordError as error:
            return self._reject(record, str(error))
        if type_of(envelope.data) not in COMMAND_TYPES:
            return self._reject(record, f"{envelope.subject} is not a command")
        if isinstance(envelope.data, self._duty.commands) and state.get(_COMMAND + envelope.id) is None:
            job = self._job(record.partition, record.offset, envelope.id, envelope.data)
            if await self._ended_before.has(record.partition, record.offset, self._home(job), envelope.id):
                self._end(job, state)
                return []
            # Its end can only stand behind what the log of the target holds now: that bounds the search at start.
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
        """Drive again what was accepted and has no end."""
        pending: dict[str, tuple[int, str]] = {}
        since: dict[int, int] = {}
        ended: dict[str, int] = {}
        for key, value in state.items(_COMMAND):
            if "command" not in value:
                ended[key] = value["offset"]
                continue
            job = self._kept_job(state.partition, value)
            pending[end_id(job.command_id)] = job.offset, job.command_id
            home = self._home(job)
            since[home] = min(since.get(home, value["outcome_since"]), value["outcome_since"])
        for home, start in since.items():
            for event_id in await retrying(partial(ends_since, self._log, home, self._duty.ends, start)):
                if (before := pending.pop(event_id, None)) is not None:
                    offset, command_id = before
                    state.put(_COMMAND + command_id, _ended(offset))
                    ended[_COMMAND + command_id] = offset
        # The table has its keys in the order of ids, which says nothing about when they came.
        self._ended[state.partition] = sorted(ended, key=ended.__getitem__)
        self._accepted.pop(state.partition, None)
        await self._ended_before.open(state.partition, knows_nothing=state.applied == NOTHING_APPLIED)
        if state.is_changed:
            await state.commit(state.applied)
        self._drive_again(state, sorted(pending.values()))

    async def committed(self, state: PartitionState) -> None:
        """Begin what is now safe in the table."""
        self._event_ends.clear()
        if not self._ended_before.is_open(state.partition):
            return  # The state is being rebuilt; what is left to do begins when it is open.
        self._ended_before.passed(state.partition, state.applied)
        self._backlog.add(state.partition, self._accepted.pop(state.partition, []))
        await self._backlog.refill(state)

    async def closed(self, partition: int) -> None:
        """Stop the work of a partition; its next owner drives it again."""
        self._accepted.pop(partition, None)
        self._ended.pop(partition, None)
        self._ended_before.close(partition)
        self._backlog.close(partition)
        await self.pool.drop(partition)

    async def _run(self, job: Job[CommandT], last: Job[CommandT] | None) -> None:
        end = None
        if last is not None and not job.may_have_begun:
            end = self._duty.superseded(job.command_id, job.command, last.command_id, last.command)
        if end is None:
            end = await self._duty.carry_out(job.command_id, job.command, self._record)
        if end is not None:
            await self._tell_end(job, end)

    async def _tell_end(self, job: Job[CommandT], end: Envelope[Frozen]) -> None:
        await self._record([end])
        await self._failpoints.hit(f"{self.name}.outcome_acked")
        if self.submit is not None:
            await self.submit(job.partition, partial(self._finish, job))

    async def _record(self, events: Sequence[Envelope[Frozen]]) -> None:
        for start in range(0, len(events), limits.batch_record_count):
            appends = [event_append(event) for event in events[start : start + limits.batch_record_count]]
            await retrying(partial(self._log.append_all, appends))

    def _finish(self, job: Job[CommandT], state: PartitionState) -> None:
        self._backlog.ended(state.partition)
        self._end(job, state)

    def _end(self, job: Job[CommandT], state: PartitionState) -> None:
        # Ended commands are remembered, so that one that the evaluator emits again after a crash is not carried out
        # again; only the last ones, because it does so at once.
        state.put(_COMMAND + job.command_id, _ended(job.offset))
        ended = self._ended.setdefault(state.partition, [])
        ended.append(_COMMAND + job.command_id)
        while len(ended) > limits.ended_command_count:
            state.put(ended.pop(0), None)

    def _reject(self, record: LogRecord, reason: str) -> list[Append]:
        return [dead_letter(record, reason)] if self._duty.rejects else []

    def _job(self, partition: int, offset: int, command_id: str, command: CommandT) -> Job[CommandT]:
        return Job(partition, offset, command_id, command, self._duty.queue(command))

    def _kept_job(self, partition: int, value: Value) -> Job[CommandT]:
        envelope = decode(str(value["command"]).encode())
        if not isinstance(envelope.data, self._duty.commands):
            raise TypeError(f"the table of {self.name} holds {envelope.subject}, which is no command of its")
        return self._job(partition, int(value["offset"]), envelope.id, envelope.data)

    def _pending(self, state: PartitionState, command_id: str, offset: int) -> Job[CommandT] | None:
        value = state.get(_COMMAND + command_id) or {}
        return self._kept_job(state.partition, value) if "command" in value and value["offset"] == offset else None

    def _drive_again(self, state: PartitionState, pending: Sequence[tuple[int, str]]) -> None:
        # Only the first ones of a partition were in the pool of an earlier life, and no more than are in this one's.
        count = limits.waiting_command_count
        jobs = [self._pending(state, command_id, offset) for offset, command_id in pending[:count]]
        self._backlog.add(state.partition, _again([job for job in jobs if job is not None]))
        if len(pending) > count:
            self._backlog.leave(state.partition, pending[count][0])

    def _home(self, job: Job[CommandT]) -> int:
        return partition_for(self._duty.key(job.command), self._event_partitions)

    async def _event_end(self, partition: int) -> int:
        if partition not in self._event_ends:
            self._event_ends[partition] = await retrying(partial(self._log.high_watermark, EVENTS, partition))
        return self._event_ends[partition]


def _again(ordered: Sequence[Job[CommandT]]) -> list[Job[CommandT]]:
    """Return what a crash interrupted, in the order of the log; the first job of each queue may have been under way."""
    first = {job.queue: job for job in reversed(ordered)}
    return [replace(job, may_have_begun=first[job.queue] is job) for job in ordered]


def _ended(offset: int) -> Value:
    return {"ended": True, "offset": offset}
