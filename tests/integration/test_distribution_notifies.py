"""A CNCF distribution that is configured with ``notifications`` drives promotions, whoever dies in between.

What the gateway has answered is never lost, what it has not answered the registry sends again. What the registry
itself loses with its process, its queue being in memory, the reconciliation finds.
"""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from schemas.events import ImageObserved, ImagePushed
from schemas.policies import PolicySet
from schemas.references import Repository
from streams.topics import COMMANDS, EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy
from tests.support.checkers import check_all
from tests.support.distribution import Endpoint, RunningDistribution, mortal_distribution
from tests.support.gateway_process import STOP_SECONDS, gateway_process
from tests.support.stage import HOOK_TOKEN, Stage, free_port
from tests.support.system import STEP_SECONDS, system
from tests.support.waiting import eventually
from towline.policy.decide import MISSED
from towline.registry import Registries, push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution]

SOURCE = Repository.parse("first/dev/app")
TARGET = Repository.parse("first/qa/app")
POLICIES = PolicySet(policies=(policy("app-to-qa", str(SOURCE), str(TARGET)),), reconcile="1h")

#: A push is told blob by blob: the configuration, the layer, and then what we wait for.
BLOBS_TOLD = 2


@pytest.fixture
def gateway_port() -> int:
    return free_port()


@pytest.fixture
def registry(gateway_port: int) -> Iterator[RunningDistribution]:
    hook = Endpoint(f"http://127.0.0.1:{gateway_port}/hooks/first", {"Authorization": f"Bearer {HOOK_TOKEN}"})
    with mortal_distribution(hook) as running:
        yield running


@pytest.fixture
async def stage(fresh_broker: BrokerUnderTest, registry: RunningDistribution, tmp_path: Path) -> AsyncIterator[Stage]:
    """Workers, and no gateway. The ticker sleeps: hours pass when the test says so."""
    registries = {"first": {"url": registry.url}}
    hooks = {"first": {"registry": "first", "dialect": "distribution", "token": "env:HOOK_TOKEN"}}
    async with (
        system(fresh_broker.bootstrap, tmp_path, registries=registries, hooks=hooks, tick_seconds=3600) as one,
        Registries(one.settings.registries) as clients,
    ):
        for role in ("evaluate", "transfer", "observe"):
            await one.start(role)
        yield Stage(one, clients, fresh_broker)


@contextmanager
def gateway(stage: Stage, port: int, failpoints: str = "") -> Iterator[subprocess.Popen[str]]:
    environment = stage.one.environment(
        HOOK_TOKEN=HOOK_TOKEN, TOWLINE_GATEWAY_PORT=str(port), TOWLINE_FAILPOINTS=failpoints
    )
    with gateway_process(**environment) as (_, process):
        yield process


async def push(stage: Stage, tag: str) -> Descriptor:
    return await push_image(stage.registries("first"), SOURCE.name, tag, [tag.encode()])


async def promoted(stage: Stage, tag: str, image: Descriptor) -> None:
    await stage.becomes(f"{SOURCE}:{tag}", "app-to-qa", "promote", "completed")
    assert await stage.registries("first").resolve(TARGET.name, tag) == image.digest


async def told(stage: Stage, tag: str) -> list[str]:
    """The ids of the events by which the registry told of a push."""
    events = [item.envelope for item in await stage.one.records(EVENTS)]
    return [event.id for event in events if isinstance(event.data, ImagePushed) and event.data.tag == tag]


async def found(stage: Stage, tag: str) -> list[ImageObserved]:
    """How a tag was found that the registry was asked for."""
    data = [item.envelope.data for item in await stage.one.records(EVENTS)]
    return [item for item in data if isinstance(item, ImageObserved) and item.tag == tag]


async def copies(stage: Stage) -> Counter[str]:
    """How many copies of each tag were commanded; a command that is written twice is one."""
    commands = {item.envelope.id: item.envelope.data for item in await stage.one.records(COMMANDS)}
    return Counter(command.target.tag for command in commands.values() if isinstance(command, CopyImage))


async def test_what_registry_and_gateway_lose_when_they_are_killed_is_promoted_all_the_same_and_once(
    stage: Stage, registry: RunningDistribution, gateway_port: int
) -> None:
    with gateway(stage, gateway_port):
        images = {"1.0": await push(stage, "1.0")}
        await stage.one.apply(POLICIES)
        await promoted(stage, "1.0", images["1.0"])
        await stage.polled(1)

    # The gateway dies when the push is in the log and before the registry knows: it sends again.
    with gateway(stage, gateway_port, f"gateway.events_acked:kill@{BLOBS_TOLD + 1}") as process:
        images["1.1"] = await push(stage, "1.1")
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == -9
        assert len(await told(stage, "1.1")) == 1
    with gateway(stage, gateway_port):

        async def sent_again() -> bool:
            return len(await told(stage, "1.1")) > 1

        await eventually(sent_again, seconds=STEP_SECONDS, what="the registry tells what was not answered")
        assert len(set(await told(stage, "1.1"))) == 1
        await promoted(stage, "1.1", images["1.1"])

    # Nobody takes what the registry tells, and then its queue is gone with its process.
    images["1.2"] = await push(stage, "1.2")
    registry.kill()
    with gateway(stage, gateway_port):
        assert registry.start(), registry.said()
        images["1.3"] = await push(stage, "1.3")
        await promoted(stage, "1.3", images["1.3"])
        assert await told(stage, "1.2") == []
        await stage.hours_later(2)
        await promoted(stage, "1.2", images["1.2"])

    assert MISSED in await stage.done("explain", f"{SOURCE}:1.2")
    assert [item.cause for item in await found(stage, "1.2")] == ["reconciliation"]
    assert await copies(stage) == dict.fromkeys(images, 1)
    await check_all(stage.one.log)
