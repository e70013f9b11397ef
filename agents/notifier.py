"""The notifier: signs and sends what subscriptions are told, and tells how each of it ended.

No order is promised: each webhook takes a turn at its receiver, or waits in that receiver's line, outside of the pool,
for a turn or for the moment of its next attempt. What was attempted is in the table before the next attempt is waited
for.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from agents.background import in_background
from agents.command_runner import CommandRunner, Duty
from agents.deliveries import Deliveries, too_many
from agents.lines import Lines, Waiting
from agents.partition_state import PartitionState
from agents.pool import Job
from agents.reporting import Pause, pause_until
from schemas.webhooks import DeliverWebhook, WebhookDelivered, WebhookFailed
from streams.log import EventLog
from streams.topics import subscription_key
from towline import limits
from towline.failpoints import Failpoints
from towline.receivers.schedule import Tries, longest_pause_seconds
from towline.receivers.sending import Clock, Receivers

#: In the table: the attempts at a webhook that waits for the next one, by its command; and when a subscription was last
#: told something, by its name.
_TRIES: Final = "tries "
_TOLD: Final = "told "

#: How long the alarm sleeps at most when nothing is known to come.
_LONGEST_SLEEP_SECONDS: Final = 3600.0


class Notifier(CommandRunner[DeliverWebhook]):
    """The handler of the commands that tell subscribers."""

    def __init__(
        self,
        log: EventLog,
        event_partitions: int,
        receivers: Receivers,
        failpoints: Failpoints,
        on_failure: Callable[[BaseException], None],
        *,
        clock: Clock = time.time,
        pause: Pause = pause_until,
    ) -> None:
        self.lines = Lines()
        self._deliveries = Deliveries(receivers, self.lines, failpoints, clock)
        duty: Duty[DeliverWebhook] = Duty(
            name="notifier",
            commands=(DeliverWebhook,),
            ends=(WebhookDelivered, WebhookFailed),
            key=lambda command: subscription_key(command.subscription),
            queue=lambda command: (command.subscription, command.cause_id),
            carry_out=self._deliveries.carry_out,
            superseded=lambda *_: None,
            at_a_time=limits.parallel_delivery_count,
        )
        super().__init__(duty, log, event_partitions, failpoints, on_failure)
        self._clock = clock
        self._pause = pause
        #: Set when the alarm has something new to look at.
        self._changed = asyncio.Event()
        #: Set, and replaced, when a line has moved.
        self._moved = asyncio.Event()
        #: The commands of each partition that were attempted and have not ended.
        self._attempted: dict[int, set[str]] = {}

    def alarm(self, on_failure: Callable[[BaseException], None]) -> AbstractAsyncContextManager[None]:
        """Let those who wait go on in time, until this is left."""
        return in_background(self._wake(), "alarm", on_failure)

    async def opened(self, state: PartitionState) -> None:
        """See Handler; what was attempted before goes on where it was."""
        # A clock that was wrong when this was written must not keep anything waiting for longer than a pause.
        latest = self._clock() + longest_pause_seconds()
        tries = {
            key.removeprefix(_TRIES): Tries(value["made"], value["first"], min(value["due"], latest))
            for key, value in state.items(_TRIES)
        }
        self._attempted[state.partition] = set(tries)
        self._deliveries.tries.update(tries)
        self._recall_told(state, min((item.first for item in tries.values()), default=self._clock()))
        await super().opened(state)

    async def closed(self, partition: int) -> None:
        """See Handler."""
        await super().closed(partition)
        self.lines.forget(partition)
        for command_id in self._attempted.pop(partition, ()):
            self._deliveries.tries.pop(command_id, None)
        self._move()

    async def _run(self, job: Job[DeliverWebhook], last: Job[DeliverWebhook] | None) -> None:
        receiver = job.command.receiver
        if not self.lines.has_begun(receiver, job.command_id):
            tries = self._deliveries.tries.get(job.command_id)
            if tries is None and not await self._may_wait(receiver):
                await self._tell_end(job, too_many(job.command_id, job.command))
                return
            waiting = _waiting(job, 0.0 if tries is None else tries.due)
            if not self.lines.begin(waiting, self._clock()):
                self._wait(waiting)
                await self._submitted(job.partition, self._left)
                return
        try:
            await super()._run(job, last)
            if (tries := self._deliveries.tries.get(job.command_id)) is not None:
                await self._submitted(job.partition, partial(self._wait_again, job, tries))
        finally:
            self.lines.end(receiver, job.command_id)
            self._move()

    async def _may_wait(self, receiver: str) -> bool:
        """Return whether one more may wait for a receiver; while it does not fail, as soon as there is room."""
        while self.lines.is_full(receiver):
            if self.lines.is_failing(receiver):
                return False
            await self._moved.wait()
        return True

    def _recall_told(self, state: PartitionState, first: float) -> None:
        """Read when subscriptions were told something; before the first attempt at what still waits it means nothing.

        So subscriptions that were removed long ago leave nothing in the table.
        """
        for key, value in list(state.items(_TOLD)):
            if value["at"] < first:
                state.put(key, None)
            else:
                self._deliveries.told[key.removeprefix(_TOLD)] = value["at"]

    def _wait(self, waiting: Waiting) -> None:
        self.lines.wait(waiting)
        self._changed.set()

    def _left(self, state: PartitionState) -> None:
        """Make room for others: as a change of the state, after which the next ones are brought into the pool."""
        self._backlog.ended(state.partition)

    def _wait_again(self, job: Job[DeliverWebhook], tries: Tries, state: PartitionState) -> None:
        state.put(_TRIES + job.command_id, {"made": tries.made, "first": tries.first, "due": tries.due})
        self._attempted.setdefault(state.partition, set()).add(job.command_id)
        self._wait(_waiting(job, tries.due))
        self._left(state)

    def _end(self, job: Job[DeliverWebhook], state: PartitionState) -> None:
        super()._end(job, state)
        if job.command_id in self._attempted.get(state.partition, ()):
            self._attempted[state.partition].discard(job.command_id)
            state.put(_TRIES + job.command_id, None)
        told = self._deliveries.told.get(job.command.subscription)
        if told is not None:
            state.put(_TOLD + job.command.subscription, {"at": told})

    async def _wake(self) -> None:
        while True:
            self._changed.clear()
            # One after the other: of a partition that is given up meanwhile, nothing waits any more.
            while (waiting := self.lines.admit(self._clock())) is not None:
                await self._submitted(waiting.partition, partial(self._go_on, waiting))
            moment = self.lines.next_moment()
            seconds = _LONGEST_SLEEP_SECONDS if moment is None else max(moment - self._clock(), 0.0)
            await self._pause(self._changed, min(seconds, _LONGEST_SLEEP_SECONDS))

    def _go_on(self, waiting: Waiting, state: PartitionState) -> None:
        job = self._pending(state, waiting.command_id, waiting.offset)
        if job is None:  # It has ended.
            self.lines.end(waiting.receiver, waiting.command_id)
            return
        self._backlog.returned(state.partition)
        self.pool.add(job)

    def _move(self) -> None:
        self._changed.set()
        self._moved.set()
        self._moved = asyncio.Event()

    async def _submitted(self, partition: int, change: Callable[[PartitionState], None]) -> None:
        if self.submit is not None:
            await self.submit(partition, change)


def _waiting(job: Job[DeliverWebhook], due: float) -> Waiting:
    return Waiting(due, job.offset, job.partition, job.command_id, job.command.receiver)
