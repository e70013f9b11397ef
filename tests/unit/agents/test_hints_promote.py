"""A delivery of Quay, which names no digest, goes all the way: written, taken in, looked at, judged and copied."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.intake import Intake
from agents.table import MemoryTable
from agents.transferrer import Work
from schemas.catalogue import decode
from schemas.commands import CopyImage, ResolveTag
from schemas.events import ImageHinted, ImageObserved, TransferCompleted
from streams.log import Append
from streams.topics import COMMANDS, DEADLETTERS, EVENTS, INBOUND
from tests.support.builders import policy, proposed, record_events, rule
from tests.support.checkers import all_records, check_all
from tests.support.faults import Hold
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.agents.observing import Scene, observing
from tests.unit.agents.transferring import working
from tests.unit.dialects.deliveries import fixture
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, carry_out, push_image

DELIVERY = fixture("quay", "push")
"""A push of the tags 1.0 and latest of dev/website."""


class System:
    """Everything but the broker: intake, evaluator, observer, transferrer, and a registry."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.log = scene, scene.log
        engine = CopyEngine(scene.registries, Failpoints(""))

        async def copy(command_id: str, command: CopyImage, progress: Any) -> Any:
            return await carry_out(command_id, command, engine, progress=progress)

        async def remove(command_id: str, command: Any) -> Any:
            raise AssertionError(f"nothing is to be removed: {command_id} {command}")

        self.runs = [
            Run(self.log, MemoryTable(), handler=Intake()),
            Run(self.log, MemoryTable()),
            scene.observer(),
            working(self.log, MemoryTable(), Work(copy=copy, remove=remove)),
        ]

    async def start(self) -> None:
        for run in self.runs:
            await run.shell.take_over(range(PARTITIONS))

    async def close(self) -> None:
        for run in self.runs:
            await run.shell.close()
            assert run.failures == []

    async def deliver(self) -> None:
        headers = [(name, value.encode()) for name, value in DELIVERY.headers.items()]
        headers += [("dialect", b"quay"), ("registry", b"local")]
        await self.log.append(Append(INBOUND, b"any", DELIVERY.body, headers=tuple(headers)))

    async def until_there_are(self, count: int, kind: type) -> None:
        async def so() -> bool:
            for run in self.runs:
                await run.drain()
                assert run.failures == []
            return len(await self.events_of(kind)) >= count

        await eventually(so, seconds=20, what=f"{count} of {kind.__name__}")

    async def events_of(self, kind: type) -> list[Any]:
        data = [decode(record.value or b"").data for record in await all_records(self.log, EVENTS)]
        return [item for item in data if isinstance(item, kind)]

    async def given(self, kind: type) -> int:
        commands = [decode(record.value or b"").data for record in await all_records(self.log, COMMANDS)]
        return sum(isinstance(item, kind) for item in commands)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with observing() as scene:
        made = System(scene)
        to_qa = policy("to-qa", "local/dev/*", "local/qa/{1}", rule("not-one-of", "latest"), initial_evaluation=False)
        await record_events(made.log, proposed(to_qa, reconcile="never"), partitions=PARTITIONS)
        await made.start()
        await made.runs[1].drain()
        yield made
        await made.close()


async def test_a_delivery_that_names_no_digest_promotes_the_image_that_the_registry_has(system: System) -> None:
    client = system.scene.client
    image = await push_image(client, "dev/website", "1.0", [b"layer"])
    await push_image(client, "dev/website", "latest", [b"other"])
    await system.deliver()
    await system.until_there_are(1, TransferCompleted)
    assert await client.resolve("qa/website", "1.0") == image.digest
    assert [(item.tag, item.cause) for item in await system.events_of(ImageObserved)] == [
        ("1.0", "hint"),
        ("latest", "hint"),
    ]
    assert "latest" not in system.scene.registry.store.repositories["qa/website"].tags
    assert await all_records(system.log, DEADLETTERS) == []
    await check_all(system.log)


async def test_a_delivery_that_comes_many_times_copies_once_and_asks_the_registry_little(system: System) -> None:
    """Quay names nothing by which a repetition could be told: each is a hint of its own, and none moves anything."""
    client = system.scene.client
    await push_image(client, "dev/website", "1.0", [b"layer"])
    hold = Hold()
    system.scene.faults.on("HEAD", "/dev/website/manifests/1.0", hold)
    for _ in range(6):
        await system.deliver()
    await system.until_there_are(12, ImageHinted)
    hold.release.set()
    await system.until_there_are(6, ImageObserved)
    await system.until_there_are(1, TransferCompleted)
    assert await system.given(ResolveTag) == 12
    assert await system.given(CopyImage) == 1
    assert system.scene.faults.count("HEAD", "/dev/website/manifests/1.0") <= 4
    await check_all(system.log)
