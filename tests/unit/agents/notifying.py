"""The notifier over the log in memory and real receivers, with a clock that moves when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agents.notifier import Notifier
from agents.outcomes import end_id
from agents.partition_worker import Handler
from agents.table import MemoryTable, Table
from schemas.canonical import content_id
from schemas.catalogue import decode
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, SubscriptionEnded, WebhookDelivered, WebhookFailed
from streams.memory_log import MemoryLog
from streams.routing import command_append
from streams.topics import EVENTS
from tests.support.builders import at
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Place, Run
from towline.failpoints import Failpoints
from towline.net.egress.guard import Egress
from towline.receivers.sending import Receivers
from towline.settings import EgressSettings, ReceiverSettings

SECRET = "a secret of the receiver and of us"
BODY = '{"text":"grüße"}'
STEP_SECONDS = 20.0


class Time:
    """Seconds since 1970 that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self._moved = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def pause(self, event: asyncio.Event, seconds: float) -> None:
        until = self.now + seconds
        while not event.is_set() and self.now < until:
            waits = [asyncio.create_task(one.wait()) for one in (event, self._moved)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()


@dataclass
class Life:
    """One life of a notifier."""

    run: Run
    notifier: Notifier
    stack: AsyncExitStack

    async def end(self) -> None:
        """Stop it; nothing of it goes on."""
        await self.run.shell.close()
        await self.stack.aclose()


@dataclass
class Scene:
    """A log, settings, and notifiers, one life after the other."""

    settings: dict[str, ReceiverSettings]
    allow: tuple[str, ...]
    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=PARTITIONS))
    table: Table = field(default_factory=MemoryTable)
    time: Time = field(default_factory=Time)
    lives: list[Life] = field(default_factory=list)

    async def start(self, failpoints: str = "", *, committed: Sequence[Place] = ()) -> Life:
        """Begin a life, and hand it what the log holds."""
        stack, failures = AsyncExitStack(), list[BaseException]()
        egress = Egress.of(EgressSettings(allow=self.allow))
        receivers = await stack.enter_async_context(Receivers(self.settings, egress, clock=self.time))
        notifier = Notifier(
            self.log,
            PARTITIONS,
            receivers,
            Failpoints(failpoints),
            failures.append,
            clock=self.time,
            pause=self.time.pause,
        )
        await stack.enter_async_context(notifier.alarm(failures.append))
        handler: Handler = notifier
        run = Run(self.log, self.table, handler=handler, failpoints=failpoints, committed=committed)
        run.failures = failures
        run.shell._on_failure = failures.append
        notifier.submit = run.shell.submit
        life = Life(run, notifier, stack)
        self.lives.append(life)
        await run.shell.take_over(range(PARTITIONS))
        await run.drain()
        return life

    async def restart(self, failpoints: str = "") -> Life:
        """Begin a life after the last one, whose offsets are committed."""
        return await self.start(failpoints, committed=self.lives[-1].run.acknowledged)

    async def tell(self, *commands: Envelope[DeliverWebhook]) -> None:
        for item in commands:
            await self.log.append(command_append(item))

    async def passed(self, life: Life, attempts: int) -> None:
        """Wait until nothing can go on before some time has passed and so many webhooks wait; let that time pass."""

        async def so() -> bool:
            lines = life.notifier.lines
            moment = lines.next_moment()
            waiting = sum(lines.counts().values())
            return waiting == attempts and moment is not None and moment > self.time.now and not life.run.failures

        await eventually(so, seconds=STEP_SECONDS, what=f"{attempts} that wait: {life.run.failures}")
        moment = life.notifier.lines.next_moment()
        assert moment is not None
        self.time.pass_by(moment - self.time.now)

    async def ended(self, *commands: Envelope[DeliverWebhook]) -> list[WebhookDelivered | WebhookFailed]:
        """Wait until each has its end; return the ends, in the order of the commands."""

        async def so() -> bool:
            return {end_id(item.id) for item in commands} <= {event.id for event in await self.events()}

        await eventually(so, seconds=STEP_SECONDS, what="an end for every command")
        by_id: dict[str, Any] = {event.id: event.data for event in await self.events()}
        return [by_id[end_id(item.id)] for item in commands]

    async def events(self) -> list[Envelope[Frozen]]:
        return [decode(record.value or b"") for record in await all_records(self.log, EVENTS)]

    async def ends_of_subscriptions(self) -> list[SubscriptionEnded]:
        return [event.data for event in await self.events() if isinstance(event.data, SubscriptionEnded)]


@asynccontextmanager
async def notifying(urls: Mapping[str, str], *, secrets: Sequence[str] = ("env:HOOK_SECRET",)) -> AsyncIterator[Scene]:
    """Give a scene whose settings have receivers at these addresses, which may be reached."""
    settings = {name: ReceiverSettings(url=f"{url}/hook", secrets=tuple(secrets)) for name, url in urls.items()}
    scene = Scene(settings, tuple(url.partition("//")[2] for url in urls.values()))
    try:
        yield scene
    finally:
        for life in scene.lives:
            await life.end()


def webhook(seed: str, subscription: str = "one", receiver: str = "ci", revision: int = 1) -> Envelope[DeliverWebhook]:
    """A command; equal seeds of a subscription have equal ids."""
    data = DeliverWebhook(
        cause_id=content_id("test", seed),
        cause="transfer.completed",
        subscription=subscription,
        receiver=receiver,
        revision=revision,
        content_type="application/json",
        body=BODY,
    )
    return Envelope(
        id=content_id("webhook.deliver", subscription, data.cause_id),
        source="test",
        subject=subscription,
        time=at(0),
        data=data,
    )
