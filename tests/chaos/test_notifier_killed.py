"""W04, N02: SIGKILL of the notifier at each step. A receiver may be told again by the same id; each ends once by id."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from agents.outcomes import end_id
from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.webhooks import DeliverWebhook, WebhookDelivered
from streams.routing import command_append
from streams.topics import EVENTS
from tests.chaos.test_evaluator_killed import SIGKILLED
from tests.support.brokers import BrokerUnderTest
from tests.support.receivers import Receiver, answering, receiving, verified
from tests.support.system import MOMENT, System, system
from tests.support.waiting import eventually
from towline.failpoints import SITES

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.asyncio(loop_scope="module")]

STEPS = sorted(site for site in SITES if site.startswith("notifier."))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#: About fifteen seconds: joining the group and recovering take less.
LOOKS_BEFORE_NEXT = 150


@dataclass
class Stage:
    one: System
    receiver: Receiver

    async def tell(self, seed: str, count: int = 3) -> list[Envelope[DeliverWebhook]]:
        commands = [webhook(f"{seed} {number}", f"subscription-{number}") for number in range(count)]
        await self.one.log.append_all([command_append(item) for item in commands])
        return commands

    async def delivered(self) -> list[str]:
        """The ids of all ends in the log, repetitions too; every one says that it was delivered."""
        events = [item.envelope for item in await self.one.records(EVENTS)]
        assert {type(event.data) for event in events} <= {WebhookDelivered}
        return [event.id for event in events]

    async def all_delivered(self, commands: list[Envelope[DeliverWebhook]]) -> None:
        async def so() -> bool:
            return {end_id(item.id) for item in commands} <= set(await self.delivered())

        await eventually(so, seconds=60, what=f"an end for each: {self.one.running[-1].said()}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("notifier")
    (folder / "secret").write_text(SECRET)
    async with (
        receiving() as receiver,
        system(
            module_broker.bootstrap,
            folder,
            registries={},
            receivers={"ci": {"url": receiver.url, "secrets": [f"file:{folder / 'secret'}"]}},
            egress={"allow": [receiver.url.removeprefix("http://")]},
        ) as one,
    ):
        yield Stage(one, receiver)


def webhook(seed: str, subscription: str) -> Envelope[DeliverWebhook]:
    data = DeliverWebhook(
        cause_id=content_id("test", seed),
        cause="image.pushed",
        subscription=subscription,
        receiver="ci",
        revision=1,
        content_type="text/plain; charset=utf-8",
        body=f"what happened: {seed}",
    )
    return Envelope(
        id=content_id("webhook.deliver", subscription, data.cause_id),
        source="test",
        subject=subscription,
        time=MOMENT,
        data=data,
    )


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_leaves_every_webhook_delivered_by_its_one_id(stage: Stage, step: str) -> None:
    doomed = await stage.one.start("notify", name=step, failpoints=f"{step}:kill@2")
    ended = asyncio.create_task(doomed.ended())
    stage.receiver.replies = [answering(503)]
    commands = await stage.tell(step)
    for look in count(1):
        await asyncio.wait([ended], timeout=0.1)
        if ended.done():
            break
        if look % LOOKS_BEFORE_NEXT == 0:
            # What Faust lost during its recovery was taken from the log, and never came by here: the next one does.
            commands += await stage.tell(f"{step} {look}")
    assert ended.result() == SIGKILLED
    worker = await stage.one.start("notify", name=step)
    await stage.all_delivered(commands)
    assert await worker.terminate() == 0
    bodies = {item.id: item.data.body.encode() for item in commands}
    told = [one for one in stage.receiver.told if one["webhook-id"] in bodies]
    assert {one["webhook-id"] for one in told} == set(bodies)
    assert all(one.body == bodies[one["webhook-id"]] and verified(one, SECRET) for one in told)
    if step == "notifier.answered":
        assert len(told) >= len(bodies) + 2, "again after the 503, and after the answer that was lost"


async def test_what_was_delivered_is_not_sent_again_by_a_worker_that_begins_with_nothing(stage: Stage) -> None:
    stage.receiver.replies = []
    before = len(stage.receiver.told)
    known = set(await stage.delivered())
    worker = await stage.one.start("notify", name="empty")
    commands = await stage.tell("after all")
    await stage.all_delivered(commands)
    assert await worker.terminate() == 0
    assert len(stage.receiver.told) == before + len(commands)
    assert set(await stage.delivered()) == known | {end_id(item.id) for item in commands}
