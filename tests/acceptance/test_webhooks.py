"""Webhooks from a file of subscriptions to receivers: the command line, the evaluator and the notifier, on Kafka."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.canonical import content_id
from tests.support.brokers import BrokerUnderTest
from tests.support.receivers import Receiver, answering, receiving, verified
from tests.support.system import STEP_SECONDS, System, pushed, system
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FILE = """\
subscriptions:
  - {name: pipeline, receiver: hub, repository: local/dev/*, events: [image.pushed]}
  - {name: portal, receiver: hub, repository: local/dev/*, events: [image.pushed], format: dtr}
  - name: talk
    receiver: chat
    events: [decision.ignore]
    format: text
    template: "{source}: {verdict}"
"""


@dataclass
class Scene:
    one: System
    hub: Receiver
    chat: Receiver

    async def towline(self, *arguments: str) -> str:
        """Run a command that must succeed; return its standard output."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "towline"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.one.environment(),
        )
        async with asyncio.timeout(STEP_SECONDS):
            out, err = await process.communicate()
        assert process.returncode == 0, out + err
        return out.decode()

    async def listed(self) -> dict[str, dict[str, Any]]:
        found = json.loads(await self.towline("webhook", "list", "--json"))
        return {row["subscription"]["name"]: row for row in found["subscriptions"]}

    async def told(self, receiver: Receiver, count: int) -> None:
        async def so() -> bool:
            return len(receiver.told) >= count

        said = [worker.said() for worker in self.one.running]
        await eventually(so, seconds=STEP_SECONDS, what=f"webhook number {count}: {said}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("webhooks")
    (folder / "secret").write_text(SECRET)
    (folder / "subscriptions.yaml").write_text(FILE)
    async with receiving() as hub, receiving() as chat:
        (folder / "address").write_text(f"{chat.url}/services/secret/path")
        receivers = {
            "hub": {"url": f"{hub.url}/hook", "secrets": [f"file:{folder / 'secret'}"]},
            "chat": {"url_from": f"file:{folder / 'address'}"},
        }
        async with system(
            module_broker.bootstrap,
            folder,
            registries={"local": {"url": "http://127.0.0.1:1"}},
            receivers=receivers,
            egress={"allow": [one.url.removeprefix("http://") for one in (hub, chat)]},
        ) as one:
            await one.start("evaluate")
            await one.start("notify")
            yield Scene(one, hub, chat)


async def test_who_subscribed_is_told_of_a_push_signed_and_in_the_format_that_was_asked_for(scene: Scene) -> None:
    file = str(scene.one.folder / "subscriptions.yaml")
    await scene.towline("webhook", "check", file)
    assert "revision 1 is in force in every partition" in await scene.towline("webhook", "apply", file)
    event = pushed("local/dev/app", "1", "told")
    await scene.one.push([event, event, pushed("local/other/app", "1", "elsewhere")])
    await scene.told(scene.hub, 2)
    await scene.told(scene.chat, 2)
    by_id = {one["webhook-id"]: one for one in scene.hub.told}
    cloudevent = by_id[content_id("webhook.deliver", "pipeline", event.id)]
    envelope = by_id[content_id("webhook.deliver", "portal", event.id)]
    assert all(verified(one, SECRET) and one.path == "/hook" for one in scene.hub.told)
    assert cloudevent["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(cloudevent.body)["id"] == event.id
    assert json.loads(envelope.body)["type"] == "TAG_PUSH"
    texts = {json.loads(one.body)["text"] for one in scene.chat.told}
    assert texts == {"local/dev/app:1: ignore", "local/other/app:1: ignore"}
    assert {one.path for one in scene.chat.told} == {"/services/secret/path"}

    async def all_delivered() -> bool:
        rows = await scene.listed()
        return {name: (row["delivered"], row["waiting"]) for name, row in rows.items()} == {
            "pipeline": (1, 0),
            "portal": (1, 0),
            "talk": (2, 0),
        }

    await eventually(all_delivered, seconds=STEP_SECONDS, what="the ends of all webhooks")


async def test_a_receiver_that_wants_no_more_is_told_no_more_until_its_subscription_is_applied_again(
    scene: Scene,
) -> None:
    scene.chat.replies = [answering(410)]
    before = len(scene.chat.told)
    await scene.one.push([pushed("local/dev/app", "2", "gone")])

    async def inactive() -> bool:
        return (await scene.listed())["talk"]["subscription"]["inactive"] is not None

    await eventually(inactive, seconds=STEP_SECONDS, what="the end of the subscription")
    assert (await scene.listed())["talk"]["last_failure"]["cause"] == "gone"
    third = pushed("local/dev/app", "3", "not told to the chat")
    await scene.one.push([third])

    async def told_to_others() -> bool:
        return content_id("webhook.deliver", "pipeline", third.id) in scene.hub.ids()

    await eventually(told_to_others, seconds=STEP_SECONDS, what="the next push, told to others")
    await scene.towline("webhook", "apply", str(scene.one.folder / "subscriptions.yaml"))
    await scene.one.push([pushed("local/dev/app", "4", "told again")])
    await scene.told(scene.chat, before + 2)
    texts = [json.loads(one.body)["text"] for one in scene.chat.told[before:]]
    assert texts == ["local/dev/app:2: ignore", "local/dev/app:4: ignore"]
