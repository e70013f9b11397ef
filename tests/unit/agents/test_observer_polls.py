"""Polls of one source, whoever asks: never two at a time, and each of them one HEAD for a tag and no manifest."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agents.outcomes import end_id
from schemas.canonical import content_id
from schemas.commands import CopyImage, PollRepository
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PollFailed, TagsListed
from schemas.facts import ImageInspected
from schemas.instants import format_instant
from schemas.references import Frozen, Repository
from tests.support.builders import policy, published
from tests.support.faults import Hold
from tests.unit.agents.harness import PARTITIONS, until
from tests.unit.agents.observing import Scene, inspect, observing, poll
from tests.unit.agents.transferring import start
from tests.unit.policy.playing import Partition
from towline.registry import push_image

DEV = Repository.parse("local/dev/app")
TAG_COUNT = 200


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with observing() as made:
        yield made


def another(number: int) -> Envelope[PollRepository]:
    """Return one of several commands to ask the same source."""
    return replace(poll(str(DEV)), id=content_id("test", "poll", str(number)))


async def test_the_next_poll_of_a_mirror_is_one_condition_for_each_tag_and_records_what_moved(scene: Scene) -> None:
    image = await push_image(scene.client, DEV.name, "0", [b"layer"])
    manifest = await scene.client.get_manifest(DEV.name, image.digest)
    for number in range(1, TAG_COUNT):
        await scene.client.put_manifest(DEV.name, str(number), manifest)
    partition = Partition(published(policy("all", str(DEV), "remote/app")))
    run = scene.observer()
    await start(run)

    async def asked(number: int) -> tuple[list[type[Frozen]], list[CopyImage]]:
        """Return what one poll records, and the copies that follow from it."""
        before = len(await scene.records())
        scene.faults.requests.clear()
        await scene.command(another(number))
        await run.drain()
        await scene.all_ended(another(number))
        assert scene.faults.count("HEAD", "/manifests/") == TAG_COUNT
        assert scene.faults.count("GET", "/manifests/|/blobs/") == 0
        copies: list[CopyImage] = []
        told = (await scene.events())[before:]
        for event in told:
            partition.take(event)
            copies += partition.copies
        return [type(event.data) for event in told], copies

    recorded, copies = await asked(1)
    assert recorded == [ImageObserved] * TAG_COUNT + [TagsListed, PollCompleted]
    assert len(copies) == TAG_COUNT
    assert await asked(2) == ([PollCompleted], [])
    assert {it.headers["if-none-match"] for it in scene.faults.matching("HEAD", "/manifests/")} == {f'"{image.digest}"'}
    moved = await push_image(scene.client, DEV.name, "7", [b"another layer"])
    recorded, copies = await asked(3)
    assert recorded == [ImageObserved, PollCompleted]
    assert [(copy.source.tag, copy.digest) for copy in copies] == [("7", moved.digest)]
    await run.shell.close()
    assert run.failures == []


async def test_what_is_pushed_while_a_poll_is_under_way_is_newer_than_what_it_sees(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    hold = Hold()
    scene.faults.on("HEAD", "/manifests/1.0", hold)
    await scene.command(another(1))
    run = scene.observer()
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await until(hold.reached.is_set, "the look at the tag")
    pushed_at = format_instant(datetime.now(UTC))
    hold.release.set()
    await scene.all_ended(another(1))
    await run.shell.close()
    (seen,) = [event for event in await scene.events() if isinstance(event.data, ImageObserved)]
    assert seen.time <= pushed_at


async def test_a_source_that_is_being_asked_is_asked_once_more_for_all_who_want_it_meanwhile(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    hold = Hold()
    scene.faults.on("GET", "/tags/list", hold)
    asked = [another(number) for number in range(4)]
    await scene.command(asked[0])
    run = scene.observer()
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await until(hold.reached.is_set, "the first poll")
    await scene.command(*asked[1:])
    await run.drain()
    assert scene.faults.count("GET", "/tags/list") == 1
    hold.release.set()
    await scene.all_ended(*asked)
    await run.shell.close()
    assert scene.faults.count("GET", "/tags/list") == 2
    ends = {event.id: event.data for event in await scene.events()}
    first, *superseded, last = (ends[end_id(command.id)] for command in asked)
    assert isinstance(first, PollCompleted)
    assert isinstance(last, PollCompleted)
    for end in superseded:
        assert isinstance(end, PollFailed)
        assert (end.cause, end.retryable, end.attempts) == ("superseded", False, 0)
        assert asked[-1].id in end.detail


async def test_an_image_is_inspected_as_often_as_it_is_asked_for(scene: Scene) -> None:
    """Each may find a signature that was made since."""
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    looks = [replace(inspect(str(DEV), image.digest), id=content_id("test", "look", str(n))) for n in range(3)]
    ends = await scene.carried_out(*looks)
    assert [type(end) for end in ends] == [ImageInspected] * 3
