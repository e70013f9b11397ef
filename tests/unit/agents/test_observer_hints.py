"""Looks at single tags: what each hint's look ends with, one look for all that wait for it, and what is remembered."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agents.outcomes import end_id
from schemas.canonical import content_id
from schemas.commands import ResolveTag
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved, PollCompleted, PollFailed
from schemas.instants import format_instant
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from streams.routing import home_partition
from tests.support.faults import Answer, Hold
from tests.support.signing import push_signatures
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.observing import Scene, observing, poll, resolve
from tests.unit.agents.transferring import start
from towline import limits
from towline.registry import push_image

DEV = Repository.parse("local/dev/app")
TAG = f"{DEV}:1.0"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with observing() as made:
        yield made


def ends_of(events: list[Envelope[Frozen]], *commands: Envelope[ResolveTag]) -> list[Frozen]:
    found = {event.id: event.data for event in events}
    return [found[end_id(command.id)] for command in commands]


async def test_a_tag_that_is_there_is_told_by_one_head_with_who_hinted(scene: Scene) -> None:
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    scene.faults.requests.clear()
    asked = resolve(TAG, actor="ann")
    assert await scene.carried_out(asked) == [
        ImageObserved(
            repository=DEV,
            tag="1.0",
            digest=image.digest,
            media_type=image.media_type,
            size=image.size,
            command_id=asked.id,
            cause="hint",
            actor="ann",
        )
    ]
    assert scene.faults.count("HEAD", "/manifests/1.0") == 1
    assert scene.faults.count("GET", "/manifests/|/blobs/|/tags/") == 0


@pytest.mark.parametrize("repository", [DEV, Repository.parse("local/never/was")], ids=str)
async def test_a_tag_that_is_not_there_is_told_as_deleted_by_the_look(scene: Scene, repository: Repository) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    asked = resolve(f"{repository}:gone", actor="ann")
    [gone] = await scene.carried_out(asked)
    assert gone == ImageDeleted(repository=repository, tag="gone", command_id=asked.id)


async def test_a_registry_that_fails_for_a_while_is_asked_again(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    scene.faults.on("HEAD", "/manifests/", Answer(503), times=2)
    [seen] = await scene.carried_out(resolve(TAG))
    assert isinstance(seen, ImageObserved)
    assert len(scene.pauses) == 2


@pytest.mark.parametrize(
    ("status", "cause", "attempts"), [(503, "server-error", limits.transfer_attempt_count), (403, "denied", 1)]
)
async def test_a_registry_that_cannot_be_asked_fails_the_look_at_its_repository_and_deletes_nothing(
    scene: Scene, status: int, cause: str, attempts: int
) -> None:
    scene.faults.on("HEAD", "/manifests/", Answer(status), times=1000)
    asked = resolve(TAG)
    [failed] = await scene.carried_out(asked)
    assert isinstance(failed, PollFailed)
    assert (failed.command_id, failed.source) == (asked.id, SourcePattern.parse(str(DEV)))
    assert (failed.cause, failed.attempts) == (cause, attempts)


async def test_a_registry_that_the_settings_do_not_know_ends_as_misconfigured(scene: Scene) -> None:
    [failed] = await scene.carried_out(resolve("unknown/dev/app:1"))
    assert isinstance(failed, PollFailed)
    assert failed.cause == "misconfigured"


async def test_every_end_stands_in_the_partition_of_its_repository(scene: Scene) -> None:
    scene.faults.on("HEAD", "/manifests/denied", Answer(403))
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    await scene.carried_out(*(resolve(f"{DEV}:{tag}") for tag in ("1.0", "gone", "denied")))
    events = await scene.events()
    assert {type(event.data) for event in events} == {ImageObserved, ImageDeleted, PollFailed}
    home = home_partition(events[0], PARTITIONS)
    assert {record.partition for record in await scene.records()} == {home}


async def test_what_is_pushed_while_a_look_is_under_way_is_newer_than_what_it_sees(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    hold, run = await under_way(scene, resolve(TAG))
    pushed_at = format_instant(datetime.now(UTC))
    hold.release.set()
    await scene.all_ended(resolve(TAG))
    await closed(run)
    (seen,) = await scene.events()
    assert seen.time <= pushed_at


async def under_way(scene: Scene, asked: Envelope[ResolveTag], tag: str = "1.0") -> tuple[Hold, Run]:
    """Begin a look, and hold it at the registry."""
    hold = Hold()
    scene.faults.on("HEAD", f"/manifests/{tag}", hold)
    await scene.command(asked)
    run = scene.observer()
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await until(hold.reached.is_set, "the look")
    return hold, run


async def closed(run: Run) -> None:
    await run.shell.close()
    assert run.failures == []


async def test_all_hints_that_wait_share_one_look_and_each_ends_with_its_own_id_and_actor(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"before"])
    asked = [resolve(TAG, key=str(number), actor=f"person-{number}") for number in range(6)]
    scene.faults.requests.clear()
    hold, run = await under_way(scene, asked[0])
    moved = await push_image(scene.client, DEV.name, "1.0", [b"moved"])
    pushes = scene.faults.count("HEAD", "/manifests/1.0")
    await scene.command(*asked[1:])
    await run.drain()
    hold.release.set()
    await scene.all_ended(*asked)
    await closed(run)
    assert scene.faults.count("HEAD", "/manifests/1.0") - pushes == 1, "one more look for all that waited"
    events = await scene.events()
    assert len(events) == len(asked)
    ends = ends_of(events, *asked)
    assert [getattr(end, "actor", None) for end in ends] == [f"person-{number}" for number in range(6)]
    assert {getattr(end, "digest", None) for end in ends[1:]} == {moved.digest}
    times = {event.time for event in events if event.id != end_id(asked[0].id)}
    assert len(times) == 1, "all saw it at one moment"


async def test_a_hint_that_comes_while_a_shared_look_is_under_way_gets_a_look_of_its_own(scene: Scene) -> None:
    """That look may have seen the tag before what this hint tells of happened."""
    await push_image(scene.client, DEV.name, "1.0", [b"before"])
    asked = [resolve(TAG, key=str(number)) for number in range(5)]
    first, run = await under_way(scene, asked[0])
    second = Hold()
    scene.faults.on("HEAD", "/manifests/1.0", second)
    await scene.command(*asked[1:3])
    await run.drain()
    first.release.set()
    await until(second.reached.is_set, "the shared look")
    await scene.command(*asked[3:])
    await run.drain()
    moved = await push_image(scene.client, DEV.name, "1.0", [b"moved"])
    before = scene.faults.count("HEAD", "/manifests/1.0")
    second.release.set()
    await scene.all_ended(*asked)
    await closed(run)
    assert scene.faults.count("HEAD", "/manifests/1.0") - before == 1
    digests = [getattr(end, "digest", None) for end in ends_of(await scene.events(), *asked)]
    assert digests[3:] == [moved.digest] * 2


async def test_a_look_that_fails_fails_for_all_that_waited_and_not_for_those_after(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    asked = [resolve(TAG, key=str(number)) for number in range(4)]
    hold, run = await under_way(scene, asked[0])
    scene.faults.on("HEAD", "/manifests/1.0", Answer(403))
    await scene.command(*asked[1:3])
    await run.drain()
    hold.release.set()
    await scene.all_ended(*asked[:3])
    await scene.command(asked[3])
    await run.drain()
    await scene.all_ended(asked[3])
    await closed(run)
    ends = ends_of(await scene.events(), *asked)
    assert [type(end) for end in ends] == [ImageObserved, PollFailed, PollFailed, ImageObserved]


async def test_tags_are_looked_at_beside_each_other(scene: Scene) -> None:
    for tag in ("1.0", "2.0"):
        await push_image(scene.client, DEV.name, tag, [b"layer"])
    hold, run = await under_way(scene, resolve(TAG))
    other = resolve(f"{DEV}:2.0")
    await scene.command(other)
    await run.drain()
    await scene.all_ended(other)
    hold.release.set()
    await scene.all_ended(resolve(TAG))
    await closed(run)


async def test_a_partition_that_is_taken_over_again_shares_nothing_of_before(scene: Scene) -> None:
    """Another has ended what waited then: nobody would know how long what was seen for it counts."""
    await push_image(scene.client, DEV.name, "1.0", [b"before"])
    asked = [resolve(TAG, key=str(number)) for number in range(5)]
    first, run = await under_way(scene, asked[0])
    second = Hold()
    scene.faults.on("HEAD", "/manifests/1.0", second)
    await scene.command(*asked[1:3])
    await run.drain()
    first.release.set()
    await until(second.reached.is_set, "the shared look")
    await run.shell.give_up(range(PARTITIONS))
    second.release.set()
    other = scene.observer(committed=run.acknowledged)
    await start(other)
    await scene.all_ended(*asked[:3])
    await closed(other)
    await run.shell.take_over(range(PARTITIONS))
    for number in (3, 4):
        moved = await push_image(scene.client, DEV.name, "1.0", [b"moved", str(number).encode()])
        await scene.command(asked[number])
        await run.drain()
        await scene.all_ended(asked[number])
        [seen] = ends_of(await scene.events(), asked[number])
        assert isinstance(seen, ImageObserved)
        assert seen.digest == moved.digest
    await closed(run)


async def polled(scene: Scene, run: Run, number: int) -> list[Frozen]:
    """Poll the repository; return what that records."""
    asked = replace(poll(str(DEV)), id=content_id("test", "poll", str(number)))
    before = {event.id for event in await scene.events()}
    await scene.command(asked)
    await run.drain()
    await scene.all_ended(asked)
    return [event.data for event in await scene.events() if event.id not in before]


async def looked_at(scene: Scene, run: Run, tag: str, key: str = "") -> None:
    asked = resolve(f"{DEV}:{tag}", key=key)
    await scene.command(asked)
    await run.drain()
    await scene.all_ended(asked)


async def test_what_a_look_recorded_is_no_news_to_the_next_poll(scene: Scene) -> None:
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    await push_image(scene.client, DEV.name, "1.1", [b"layer"])
    run = scene.observer()
    await start(run)
    await polled(scene, run, 1)
    await push_image(scene.client, DEV.name, "1.0", [b"moved"])
    await push_image(scene.client, DEV.name, "2.0", [b"new"])
    await push_signatures(scene.client, DEV.name, image)
    del scene.registry.store.repositories[DEV.name].tags["1.1"]
    for tag in ("1.0", "2.0", "1.1", f"{image.digest.replace(':', '-')}.sig"):
        await looked_at(scene, run, tag)
    assert [type(item) for item in await polled(scene, run, 2)] == [PollCompleted]
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    seen = [item for item in await polled(scene, run, 3) if isinstance(item, ImageObserved)]
    assert [(item.tag, item.digest) for item in seen] == [("1.0", image.digest)], "it moved back since the look"
    await closed(run)


async def test_a_look_that_could_not_be_made_changes_nothing_that_is_remembered(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    run = scene.observer()
    await start(run)
    await polled(scene, run, 1)
    scene.faults.on("HEAD", "/manifests/1.0", Answer(403))
    await looked_at(scene, run, "1.0")
    assert [type(item) for item in await polled(scene, run, 2)] == [PollCompleted]
    await closed(run)
