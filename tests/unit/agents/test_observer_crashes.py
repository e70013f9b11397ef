"""The observer dies, or loses its table: every command still ends once by id, and nothing is told under two ids."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from agents.observer import Observation
from agents.table import MemoryTable
from schemas.commands import InspectImage, PollRepository
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved, PollCompleted, TagsListed
from schemas.facts import ImageInspected
from schemas.references import Frozen
from tests.support.signing import Signer, payload_for, push_signatures
from tests.unit.agents.harness import PARTITIONS, until
from tests.unit.agents.observing import Scene, inspect, observing, poll, resolve
from tests.unit.agents.transferring import start
from towline.registry import Attempts, push_image
from towline.registry.signatures import load_key

SITES = ("decided", "effects_acked", "journal_written", "table_written", "acked", "outcome_acked")


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with observing() as made:
        yield made


async def commands(scene: Scene) -> list[Envelope[Frozen]]:
    image = await push_image(scene.client, "dev/app", "1.0", [b"layer"])
    for repository, tag in (("dev/app", "1.1"), ("dev/tool", "1.0"), ("qa/app", "1.0"), ("qa/app", "1.1")):
        await push_image(scene.client, repository, tag, [b"other"])
    made = [
        inspect("local/dev/app", image.digest),
        poll("local/qa/app"),
        poll("local/dev/*"),
        resolve("local/dev/app:1.0"),
        resolve("local/dev/app:gone"),
    ]
    await scene.command(*made)
    return made


async def assert_told_once_by_id(scene: Scene) -> None:
    """One inspection; two tags, and three in two repositories, each with its listing and its completion; two looks."""
    data = {event.id: event.data for event in await scene.events()}
    kinds = [type(item) for item in data.values()]
    assert kinds.count(ImageInspected) == 1
    assert kinds.count(ImageObserved) == 2 + 3 + 1
    assert kinds.count(ImageDeleted) == 1
    assert kinds.count(TagsListed) == 1 + 2
    assert kinds.count(PollCompleted) == 1 + 3


@pytest.mark.parametrize("hit", [1, 2])
@pytest.mark.parametrize("site", SITES)
async def test_a_failure_at_any_step_leaves_every_command_one_end(scene: Scene, site: str, hit: int) -> None:
    made = await commands(scene)
    doomed = scene.observer(f"observer.{site}:raise@{hit}")
    await start(doomed)
    await until(lambda: bool(doomed.failures), "the failpoint")
    await doomed.shell.close()
    second = scene.observer(committed=doomed.acknowledged)
    await start(second)
    await scene.all_ended(*made)
    await second.shell.close()
    assert second.failures == []
    await assert_told_once_by_id(scene)


async def test_a_table_that_was_lost_looks_at_nothing_again(scene: Scene) -> None:
    made = await commands(scene)
    first = scene.observer()
    await start(first)
    await scene.all_ended(*made)
    await first.shell.close()
    asked, told = len(scene.faults.requests), len(await scene.records())
    second = scene.observer(table=MemoryTable())
    await start(second)
    await until(lambda: len(second.acknowledged) == len(made), "all commands read again")
    await until(lambda: all(map(second.shell.owns, range(PARTITIONS))), "all partitions taken over")
    await second.shell.close()
    assert second.failures == []
    assert (len(scene.faults.requests), len(await scene.records())) == (asked, told)


async def told(scene: Scene, command: Envelope[InspectImage] | Envelope[PollRepository]) -> dict[str, Frozen]:
    """What one run of a command tells, by id, without a worker around it."""
    events: list[Envelope[Frozen]] = []

    async def record(some: Sequence[Envelope[Frozen]]) -> None:
        events.extend(some)

    observation = Observation(scene.registries, scene.keys, Attempts())
    events.append(await observation.carry_out(command.id, command.data, record))
    assert len({event.id for event in events}) == len(events)
    return {event.id: event.data for event in events}


async def test_a_command_that_is_carried_out_twice_tells_the_same_under_the_same_ids(scene: Scene) -> None:
    key = Signer.make()
    scene.keys = {"release": load_key("release", key.pem)}
    image = await push_image(scene.client, "dev/app", "1.0", [b"layer"])
    await push_signatures(scene.client, "dev/app", image, key.sign(payload_for(image.digest)))
    look, ask = inspect("local/dev/app", image.digest), poll("local/dev/*")
    assert [len(await told(scene, command)) for command in (look, ask)] == [2, 4]
    assert await told(scene, look) == await told(scene, look)
    first = await told(scene, ask)
    assert await told(scene, ask) == first
    await push_image(scene.client, "dev/app", "1.0", [b"moved in between"])
    second = await told(scene, ask)
    assert [type(second[id_]) for id_ in second.keys() - first.keys()] == [ImageObserved], "of another digest"
    await push_image(scene.client, "dev/app", "1.1", [b"pushed in between"])
    third = await told(scene, ask)
    assert {type(third[id_]) for id_ in third.keys() - second.keys()} == {ImageObserved, TagsListed}, "of another tag"
