"""What a poll records when the last one is remembered: what is new, moved or gone, and never less."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agents.polling import Polling
from agents.remembered import Remembered
from schemas.canonical import content_id
from schemas.commands import PollCause
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PollFailed, TagsListed
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from tests.support.faults import Answer
from tests.support.signing import push_signatures
from tests.unit.agents.harness import PARTITIONS
from tests.unit.agents.observing import Scene, observing, poll
from towline import limits
from towline.policy.contents import EMPTY, contents_of
from towline.registry import Attempts, push_image

DEV = Repository.parse("local/dev/app")


class RecordingFailedError(Exception):
    """The log did not take the events."""


class Asking:
    """One observer's polls, without a worker around them, and what they record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.polling = Polling(scene.registries, Attempts(sleep=scene._pause), Remembered(), "test")
        self.recorded: list[Envelope[Frozen]] = []
        self.fails_after: int | None = None
        self._polls = 0

    async def record(self, events: Sequence[Envelope[Frozen]]) -> None:
        self.recorded.extend(events[: self.fails_after])
        if self.fails_after is not None:
            raise RecordingFailedError

    async def ask(self, source: str = str(DEV), **members: Any) -> list[Frozen]:
        """Poll once more; return what that recorded, the end included."""
        self._polls += 1
        asked = poll(source)
        command = asked.data.model_copy(update=members)
        start = len(self.recorded)
        command_id = content_id("test", source, str(self._polls))
        self.recorded.append(await self.polling.carry_out(command_id, command, self.record))
        return [event.data for event in self.recorded[start:]]


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with observing() as scene:
        for tag in ("1.0", "1.1", "1.2"):
            await push_image(scene.client, DEV.name, tag, [tag.encode()])
        yield Asking(scene)


def kinds(data: list[Frozen]) -> list[type[Frozen]]:
    return [type(item) for item in data]


def delete(asking: Asking, tag: str) -> None:
    del asking.scene.registry.store.repositories[DEV.name].tags[tag]


EVERYTHING = [ImageObserved, ImageObserved, ImageObserved, TagsListed, PollCompleted]


async def test_of_an_unchanged_repository_only_the_completion_is_recorded(asking: Asking) -> None:
    first = await asking.ask()
    assert kinds(first) == EVERYTHING
    second, third = await asking.ask(), await asking.ask()
    assert kinds(second) == kinds(third) == [PollCompleted]
    for one, other in zip(first[-1:], second, strict=True):
        assert isinstance(one, PollCompleted)
        assert isinstance(other, PollCompleted)
        assert (one.contents, one.tags) == (other.contents, other.tags)


async def test_a_moved_tag_and_a_new_one_are_recorded_with_all_that_is_known_of_them(asking: Asking) -> None:
    await asking.ask()
    moved = await push_image(asking.scene.client, DEV.name, "1.1", [b"moved"])
    added = await push_image(asking.scene.client, DEV.name, "2.0", [b"added"])
    *news, completed = await asking.ask()
    assert [(it.tag, it.digest, it.media_type, it.size) for it in news if isinstance(it, ImageObserved)] == [
        ("1.1", moved.digest, moved.media_type, moved.size),
        ("2.0", added.digest, added.media_type, added.size),
    ]
    assert len(news) == 2
    assert isinstance(completed, PollCompleted)
    assert completed.tags == 4
    assert kinds(await asking.ask()) == [PollCompleted]


async def test_when_a_tag_vanished_the_pages_around_it_say_so(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 1)
    assert kinds(await asking.ask()).count(TagsListed) == 3
    delete(asking, "1.1")
    *pages, completed = await asking.ask()
    assert [(it.after, it.until, it.tags) for it in pages if isinstance(it, TagsListed)] == [("1.0", None, ("1.2",))]
    assert len(pages) == 1
    assert isinstance(completed, PollCompleted)
    assert completed.tags == 2
    assert kinds(await asking.ask()) == [PollCompleted]


async def test_a_repository_that_is_empty_now_has_a_page_without_tags(asking: Asking) -> None:
    await asking.ask()
    for tag in ("1.0", "1.1", "1.2"):
        delete(asking, tag)
    page, completed = await asking.ask()
    assert isinstance(page, TagsListed)
    assert (page.after, page.until, page.tags) == (None, None, ())
    assert isinstance(completed, PollCompleted)
    assert (completed.tags, completed.contents) == (0, EMPTY)


async def test_a_complete_poll_records_everything_again(asking: Asking) -> None:
    first = await asking.ask()
    again = await asking.ask(is_complete=True, cause="reconciliation")
    assert kinds(again) == EVERYTHING
    without_command = {"command_id": "", "cause": "interval"}
    for one, other in zip(first[:3], again[:3], strict=True):
        assert one.model_copy(update=without_command) == other.model_copy(update=without_command)
    assert kinds(await asking.ask()) == [PollCompleted]


@pytest.mark.parametrize("cause", ["initial-evaluation", "interval", "manual", "reconciliation"])
async def test_what_is_recorded_says_why_it_was_asked(asking: Asking, cause: PollCause) -> None:
    data = await asking.ask(cause=cause)
    assert [item.cause for item in data if isinstance(item, ImageObserved | TagsListed)] == [cause] * 4


async def test_the_sum_is_that_of_all_tags_that_people_gave(asking: Asking) -> None:
    client = asking.scene.client
    image = await push_image(client, DEV.name, "1.0", [b"signed"])
    await push_signatures(client, DEV.name, image)
    digests = {tag: await client.resolve(DEV.name, tag) for tag in ("1.0", "1.1", "1.2")}
    for _ in range(2):
        completed = (await asking.ask())[-1]
        assert isinstance(completed, PollCompleted)
        assert (completed.contents, completed.tags) == (contents_of(digests), 3)


async def test_everything_of_one_repository_is_dated_to_before_it_was_asked(asking: Asking) -> None:
    """What is pushed meanwhile is newer than the observations, the listing and the sum alike."""
    await asking.ask()
    await asking.ask("local/dev/*", is_complete=True)
    alike = [event.time for event in asking.recorded[:5]], [event.time for event in asking.recorded[5:10]]
    assert [len(set(times)) for times in alike] == [1, 1]
    assert alike[0][0] < alike[1][0] < asking.recorded[10].time


async def test_a_glob_and_its_repositories_share_what_is_remembered(asking: Asking) -> None:
    await push_image(asking.scene.client, "dev/tool", "1.0", [b"layer"])
    assert kinds(await asking.ask("local/dev/*")) == [
        *EVERYTHING,
        ImageObserved,
        TagsListed,
        PollCompleted,
        PollCompleted,
    ]
    assert kinds(await asking.ask("local/dev/*")) == [PollCompleted] * 3
    assert kinds(await asking.ask()) == [PollCompleted]


@pytest.mark.parametrize("acknowledged", [0, 1, 2])
async def test_what_was_not_recorded_to_its_end_is_recorded_anew(asking: Asking, acknowledged: int) -> None:
    await asking.ask()
    for tag in ("1.0", "1.1"):
        await push_image(asking.scene.client, DEV.name, tag, [b"moved"])
    asking.fails_after = acknowledged
    with pytest.raises(RecordingFailedError):
        await asking.ask()
    asking.fails_after = None
    assert kinds(await asking.ask()) == EVERYTHING


async def test_a_poll_that_fails_records_nothing_and_forgets_nothing(asking: Asking) -> None:
    await asking.ask()
    asking.scene.faults.on("HEAD", r"/manifests/1\.1\?", Answer(403))
    assert kinds(await asking.ask()) == [PollFailed]
    assert kinds(await asking.ask()) == [PollCompleted]


async def test_a_partition_that_was_given_up_is_recorded_anew(asking: Asking) -> None:
    """Its next owner goes on recording, and what this process remembers is nobody's knowledge any more."""
    scene = asking.scene
    first, second, third = (replace(poll(str(DEV)), id=content_id("test", str(number))) for number in range(3))
    run = scene.observer()
    await run.shell.take_over(range(PARTITIONS))
    for command in (first, second):
        await scene.command(command)
        await run.drain()
        await scene.all_ended(command)
    assert kinds([event.data for event in await scene.events()]) == [*EVERYTHING, PollCompleted]
    await run.shell.give_up(range(PARTITIONS))
    await scene.command(third)
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await scene.all_ended(third)
    await run.shell.close()
    assert run.failures == []
    assert kinds([event.data for event in await scene.events()]) == [*EVERYTHING, PollCompleted, *EVERYTHING]


async def test_a_repository_beyond_all_memory_is_recorded_each_time(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "remembered_tag_count", 3)
    for _ in range(2):
        assert kinds(await asking.ask()) == EVERYTHING
    assert asking.scene.faults.count("GET", "/manifests/") == 0


async def test_a_registry_that_tells_no_digest_is_read_and_costs_no_records_either(asking: Asking) -> None:
    source = SourcePattern.parse(str(DEV))
    asking.scene.faults.on("HEAD", "/manifests/", Answer(200), times=1000)
    first = (await asking.ask())[-1]
    *rest, second = await asking.ask()
    assert rest == []
    assert isinstance(first, PollCompleted)
    assert isinstance(second, PollCompleted)
    assert (second.source, second.contents) == (source, first.contents)
