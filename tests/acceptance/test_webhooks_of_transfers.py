"""A push at a real registry ends as a webhook that says that its copy is there: ``towline up`` from end to end."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yaml

from schemas.canonical import content_id
from schemas.events import TransferCompleted
from schemas.webhooks import DeliverWebhook, WebhookDelivered
from streams.topics import COMMANDS, EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.receivers import Receiver, answering, receiving, verified
from tests.support.stage import Stage, stage
from tests.support.system import STEP_SECONDS
from tests.support.waiting import eventually
from towline.registry import push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLICIES = [{"name": "app-to-qa", "source": "first/dev/app", "target": "second/qa/app"}]
SUBSCRIPTIONS = [
    {"name": "deploy", "receiver": "pipeline", "repository": "second/qa/*", "events": ["transfer.completed"]},
    {"name": "elsewhere", "receiver": "pipeline", "repository": "second/prod/*", "events": ["transfer.completed"]},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipeline() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    pipeline: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("webhooks")
    (folder / "secret").write_text(SECRET)
    receivers = {"pipeline": {"url": f"{pipeline.url}/images", "secrets": [f"file:{folder / 'secret'}"]}}
    egress = {"allow": [pipeline.url.removeprefix("http://")]}
    async with stage(module_broker, folder, two_registries, gateway_port, receivers=receivers, egress=egress) as built:
        for command, members in (("policy", {"policies": POLICIES}), ("webhook", {"subscriptions": SUBSCRIPTIONS})):
            (folder / f"{command}.yaml").write_text(yaml.safe_dump(members))
            await built.done(command, "apply", str(folder / f"{command}.yaml"))
        yield built


async def test_a_push_is_copied_and_whoever_subscribed_is_told_so_once(stage: Stage, pipeline: Receiver) -> None:
    pipeline.replies = [answering(503)]
    image = await push_image(stage.registries("first"), "dev/app", "1.0", [b"layer"])

    async def told() -> bool:
        return any(isinstance(item.envelope.data, WebhookDelivered) for item in await stage.one.records(EVENTS))

    await eventually(told, seconds=STEP_SECONDS, what="a webhook that was delivered")
    completed = {
        item.envelope.id: item.envelope.data
        for item in await stage.one.records(EVENTS)
        if isinstance(item.envelope.data, TransferCompleted)
    }
    [(event_id, transfer)] = completed.items()
    webhook_id = content_id("webhook.deliver", "deploy", event_id)
    # The first attempt got a 503.
    assert pipeline.ids() == [webhook_id, webhook_id]
    for attempt in pipeline.told:
        assert verified(attempt, SECRET)
        body = json.loads(attempt.body)
        assert (body["id"], body["type"]) == (event_id, "transfer.completed")
        assert body["data"]["digest"] == image.digest
        assert body["data"]["target"] == str(transfer.target) == "second/qa/app:1.0"
    assert await stage.registries("second").resolve("qa/app", "1.0") == image.digest


async def test_a_receiver_can_be_tried_by_the_command_line(stage: Stage, pipeline: Receiver) -> None:
    before = len(pipeline.told)
    answer = json.loads(await stage.done("webhook", "test", "deploy", "--json"))
    assert (answer["cause"], answer["status_code"]) == ("delivered", 204)
    [told] = pipeline.told[before:]
    assert verified(told, SECRET)
    assert json.loads(told.body)["type"] == "transfer.completed"


async def test_many_pushes_are_each_told_once_by_id(stage: Stage, pipeline: Receiver) -> None:
    targets = {f"second/qa/app:2.{number}" for number in range(10)}
    for number in range(10):
        await push_image(stage.registries("first"), "dev/app", f"2.{number}", [b"layer"])

    async def all_told() -> bool:
        given = {
            item.envelope.id
            for item in await stage.one.records(COMMANDS)
            if isinstance(item.envelope.data, DeliverWebhook)
            and json.loads(item.envelope.data.body)["data"]["target"] in targets
        }
        ended = {
            item.envelope.data.command_id
            for item in await stage.one.records(EVENTS)
            if isinstance(item.envelope.data, WebhookDelivered)
        }
        return len(given) == len(targets) and given <= ended

    await eventually(all_told, seconds=STEP_SECONDS, what="an end for each of ten webhooks")
    told = {one["webhook-id"]: json.loads(one.body)["data"]["target"] for one in pipeline.told}
    assert sorted(target for target in told.values() if target in targets) == sorted(targets)
