"""The observer: what it tells of images and repositories, and how what cannot be told ends."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agents.table import MemoryTable
from schemas.catalogue import encode
from schemas.descriptors import OCI_MANIFEST
from schemas.events import ImageObserved, PollCompleted, PollFailed, TagsListed
from schemas.facts import ImageInspected, InspectionFailed, SignatureVerified
from schemas.references import Repository
from streams.log import Append
from streams.routing import home_partition
from streams.topics import COMMANDS, DEADLETTERS
from tests.support.builders import command, completed, digest, outcome
from tests.support.checkers import all_records
from tests.support.faults import Alter, Answer, Answered
from tests.support.signing import Signer, payload_for, push_signatures
from tests.unit.agents.harness import PARTITIONS
from tests.unit.agents.observing import Scene, inspect, observing, poll
from tests.unit.agents.transferring import Copies, ended, start, worker
from towline import limits
from towline.policy.contents import contents_of
from towline.registry import push_image
from towline.registry.signatures import load_key

DEV = Repository.parse("local/dev/app")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with observing() as made:
        yield made


async def test_an_inspected_image_is_told_with_its_signers_before_it(scene: Scene) -> None:
    first, second = Signer.make(), Signer.make("ed25519")
    scene.keys = {"release": load_key("release", first.pem), "audit": load_key("audit", second.pem)}
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"], labels={"team": "web"})
    signatures = [signer.sign(payload_for(image.digest)) for signer in (first, second)]
    await push_signatures(scene.client, DEV.name, image, *signatures)
    data = await scene.carried_out(inspect(str(DEV), image.digest))
    assert data[:2] == [SignatureVerified(repository=DEV, digest=image.digest, key=key) for key in ("audit", "release")]
    [inspected] = data[2:]
    assert isinstance(inspected, ImageInspected)
    assert (inspected.repository, inspected.digest, inspected.media_type) == (DEV, image.digest, OCI_MANIFEST)
    assert [(it.platform, it.labels) for it in inspected.images] == [("linux/amd64", {"team": "web"})]


async def test_an_image_that_is_gone_ends_at_once_as_not_found(scene: Scene) -> None:
    [failed] = await scene.carried_out(inspect(str(DEV), digest("gone")))
    assert isinstance(failed, InspectionFailed)
    assert (failed.cause, failed.retryable, failed.attempts) == ("not-found", False, 1)
    assert (failed.repository, failed.digest) == (DEV, digest("gone"))


async def test_a_registry_that_fails_for_a_while_is_asked_again(scene: Scene) -> None:
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    scene.faults.on("GET", "/manifests/", Answer(503), times=2)
    [inspected] = await scene.carried_out(inspect(str(DEV), image.digest))
    assert isinstance(inspected, ImageInspected)
    assert len(scene.pauses) == 2


async def test_a_registry_that_goes_on_failing_ends_the_inspection_after_its_attempts(scene: Scene) -> None:
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    scene.faults.on("GET", "/manifests/", Answer(503), times=1000)
    [failed] = await scene.carried_out(inspect(str(DEV), image.digest))
    assert isinstance(failed, InspectionFailed)
    assert (failed.cause, failed.retryable) == ("server-error", True)
    assert failed.attempts == limits.transfer_attempt_count


async def test_a_registry_that_the_settings_do_not_know_ends_as_misconfigured(scene: Scene) -> None:
    data = await scene.carried_out(inspect("unknown/dev/app", digest("one")), poll("unknown/dev/app"))
    assert {type(item) for item in data} == {InspectionFailed, PollFailed}
    assert {item.cause for item in data if isinstance(item, InspectionFailed | PollFailed)} == {"misconfigured"}


async def test_a_poll_of_a_repository_tells_each_tag_and_then_that_it_is_complete(scene: Scene) -> None:
    images = {tag: await push_image(scene.client, DEV.name, tag, [tag.encode()]) for tag in ("1.0", "1.1", "latest")}
    await push_signatures(scene.client, DEV.name, images["1.0"])
    asked = poll(str(DEV))
    data = await scene.carried_out(asked)
    assert data[:-2] == [
        ImageObserved(
            repository=DEV,
            tag=tag,
            digest=image.digest,
            media_type=OCI_MANIFEST,
            size=image.size,
            command_id=asked.id,
            cause="interval",
        )
        for tag, image in sorted(images.items())
    ]
    assert data[-2:] == [
        TagsListed(
            command_id=asked.id,
            repository=DEV,
            cause="interval",
            after=None,
            until=None,
            tags=("1.0", "1.1", "latest"),
        ),
        PollCompleted(
            command_id=asked.id,
            source=asked.data.source,
            repository=DEV,
            tags=3,
            contents=contents_of({tag: image.digest for tag, image in images.items()}),
        ),
    ]


async def test_a_poll_of_a_glob_completes_each_repository_and_then_itself(scene: Scene) -> None:
    for repository in ("dev/app", "dev/tool", "dev/deep/app", "qa/app"):
        await push_image(scene.client, repository, "1.0", [repository.encode()])
    asked = poll("local/dev/*")
    await scene.carried_out(asked)
    events = await scene.events()
    observed = {str(event.data.repository) for event in events if isinstance(event.data, ImageObserved)}
    assert observed == {"local/dev/app", "local/dev/tool"}
    done = [event.data for event in events if isinstance(event.data, PollCompleted)]
    assert {(str(item.repository), item.tags) for item in done} == {
        ("local/dev/app", 1),
        ("local/dev/tool", 1),
        ("None", 2),
    }


async def test_what_a_poll_tells_stands_in_the_partition_of_its_repository_and_before_its_end(scene: Scene) -> None:
    for repository in ("dev/app", "dev/tool", "dev/more"):
        for tag in ("1.0", "1.1"):
            await push_image(scene.client, repository, tag, [tag.encode()])
    await scene.carried_out(poll("local/dev/*"))
    records, events = await scene.records(), await scene.events()
    for record, event in zip(records, events, strict=True):
        assert record.partition == home_partition(event, PARTITIONS)
    places = {}
    for event, record in zip(events, records, strict=True):
        if isinstance(event.data, ImageObserved | TagsListed | PollCompleted) and event.data.repository:
            places.setdefault(event.data.repository, []).append((record.offset, type(event.data)))
    assert len(places) == 3
    for seen in places.values():
        assert [kind for _, kind in sorted(seen)] == [ImageObserved, ImageObserved, TagsListed, PollCompleted]


async def test_a_repository_that_is_not_there_fails_its_poll(scene: Scene) -> None:
    [failed] = await scene.carried_out(poll(str(DEV)))
    assert isinstance(failed, PollFailed)
    assert (failed.cause, failed.attempts) == ("not-found", 1)


async def test_a_repository_that_vanishes_from_the_catalogue_has_no_tags(scene: Scene) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    scene.faults.on("GET", "/tags/list", Answer(404), times=1000)
    data = await scene.carried_out(poll("local/dev/*"))
    assert {(item.repository, item.tags) for item in data if isinstance(item, PollCompleted)} == {(DEV, 0), (None, 0)}


async def test_a_tag_that_vanishes_during_the_poll_is_left_out(scene: Scene) -> None:
    for tag in ("1.0", "1.1"):
        await push_image(scene.client, DEV.name, tag, [tag.encode()])
    scene.faults.on("HEAD", r"/manifests/1\.0\?", Answer(404), times=1000)
    data = await scene.carried_out(poll(str(DEV)))
    assert [item.tag for item in data if isinstance(item, ImageObserved)] == ["1.1"]


async def test_a_tag_that_fails_for_a_while_does_not_begin_the_poll_anew(scene: Scene) -> None:
    for tag in ("1.0", "1.1", "1.2"):
        await push_image(scene.client, DEV.name, tag, [tag.encode()])
    pushed = scene.faults.count("HEAD", "/manifests/")
    scene.faults.on("HEAD", r"/manifests/1\.1\?", Answer(429, {"retry-after": "1"}))
    data = await scene.carried_out(poll(str(DEV)))
    assert [type(item) for item in data] == [ImageObserved] * 3 + [TagsListed, PollCompleted]
    assert scene.faults.count("HEAD", "/manifests/") - pushed == 4
    assert scene.faults.count("GET", "/tags/list") == 1
    assert scene.pauses == [1.0]


def tags_of(*tags: str) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps({"name": "dev/app", "tags": tags}).encode())


@pytest.mark.parametrize("tag", ["", "-1", "a/b", "a" * 129, "a\nb", "../x"])
async def test_a_registry_that_lists_what_is_no_tag_fails_the_poll(scene: Scene, tag: str) -> None:
    scene.faults.on("GET", "/tags/list", tags_of("1.0", tag), times=1000)
    [failed] = await scene.carried_out(poll(str(DEV)))
    assert isinstance(failed, PollFailed)
    assert failed.cause == "protocol"


async def test_more_tags_or_repositories_than_the_bounds_fail_the_poll(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "poll_tag_count", 1)
    monkeypatch.setattr(limits, "poll_repository_count", 1)
    for repository in ("dev/app", "dev/tool"):
        for tag in ("1.0", "1.1"):
            await push_image(scene.client, repository, tag, [b"layer"])
    data = await scene.carried_out(poll(str(DEV)), poll("local/dev/*"))
    assert [type(item) for item in data] == [PollFailed, PollFailed]
    assert {item.cause for item in data if isinstance(item, PollFailed)} == {"too-large"}


@pytest.mark.parametrize("source", ["local/dev/app", "local/dev/*"])
async def test_a_next_page_at_another_host_is_not_asked(scene: Scene, source: str) -> None:
    await push_image(scene.client, DEV.name, "1.0", [b"layer"])

    def elsewhere(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "link": '<http://127.0.0.2:1/v2/x>; rel="next"'})

    scene.faults.on("GET", "/tags/list|/_catalog", Alter(elsewhere), times=1000)
    [failed] = await scene.carried_out(poll(source))
    assert isinstance(failed, PollFailed)
    assert (failed.cause, failed.attempts) == ("redirect-refused", 1)


async def test_a_registry_without_a_catalogue_fails_the_poll_of_a_glob(scene: Scene) -> None:
    scene.faults.on("GET", "/_catalog", Answer(404), times=1000)
    [failed] = await scene.carried_out(poll("local/dev/*"))
    assert isinstance(failed, PollFailed)
    assert failed.cause == "not-found"


async def test_each_agent_leaves_the_commands_of_the_other_alone_and_one_of_them_rejects_what_is_none(
    scene: Scene,
) -> None:
    image = await push_image(scene.client, DEV.name, "1.0", [b"layer"])
    copy, look, ask = (
        command("local/dev/app:1", "local/qa/app:1", "one"),
        inspect(str(DEV), image.digest),
        poll(str(DEV)),
    )
    await scene.command(copy, look, ask)
    await scene.log.append(Append(COMMANDS, b"any", b"{"))
    await scene.log.append(Append(COMMANDS, b"any", encode(outcome(completed(copy.id, copy.data)))))
    copies = Copies()
    transferrer = worker(scene.log, MemoryTable(), copies)
    await start(transferrer)
    observer = scene.observer()
    await start(observer)
    await scene.all_ended(copy, look, ask)
    for run in (transferrer, observer):
        await run.shell.close()
        assert run.failures == []
    assert copies.started == [copy.id]
    assert await ended(scene.log) == [copy.id]
    assert len(await all_records(scene.log, DEADLETTERS)) == 2
