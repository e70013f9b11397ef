"""``mirror reconciliation``: what webhooks told of each source, and what only comparing with the registry found."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.commands import PollCause
from schemas.events import PollCompleted, TagsListed
from schemas.patterns import SourcePattern
from schemas.references import Repository
from streams.cli import app, mirrors
from streams.log import Append
from streams.topics import EVENTS
from tests.support.builders import arrived, at, deleted, envelope, policy, proposed, pushed, ticked
from tests.support.facts import observed
from tests.support.hints import hinted, looked, missing
from tests.support.world import World, in_place_of_kafka
from towline import limits

APP = "local/dev/app"
POLICIES = (
    policy("away", "local/dev/*", "remote/{repository}"),
    policy("here", "local/qa/app", "local/prod/app"),
    policy("pull", "remote/lib", "local/lib", poll="30m"),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    in_place_of_kafka(monkeypatch, mirrors, made.log)
    asyncio.run(made.record(proposed(*POLICIES)))
    return made


def towline(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["mirror", "reconciliation", *arguments])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def told() -> dict[str, dict[str, Any]]:
    return {item.pop("repository"): item for item in json.loads(towline("--json"))["repositories"]}


def compared(repository: str, seconds: int) -> Any:
    data = PollCompleted(
        command_id="0" * 64,
        source=SourcePattern.parse(repository),
        repository=Repository.parse(repository),
        tags=1,
        contents="0" * 64,
    )
    return envelope(data, subject=repository, key=f"compared {repository} {seconds}", time=at(seconds))


def listed(repository: str, seconds: int, *tags: str, cause: PollCause = "reconciliation") -> Any:
    data = TagsListed(
        command_id="0" * 64, repository=Repository.parse(repository), cause=cause, after=None, until=None, tags=tags
    )
    return envelope(data, subject=repository, key=f"listed {repository} {seconds}", time=at(seconds))


def test_what_webhooks_told_and_what_a_reconciliation_found_is_counted_for_each_source(world: World) -> None:
    asyncio.run(
        world.record(
            compared(APP, 1),
            *(pushed(f"{APP}:{number}", f"image {number}", time=at(2)) for number in range(3)),
            pushed(f"{APP}:0", "image 0", key="the same again", time=at(3)),
            observed(f"{APP}:0", "image 0", time=at(10), cause="reconciliation"),
            observed(f"{APP}:0", "moved", time=at(11), cause="reconciliation"),
            observed(f"{APP}:late", "lost", time=at(11), cause="reconciliation"),
            listed(APP, 12, "0", "1", "late"),
            compared(APP, 13),
            deleted(f"{APP}:1", time=at(20)),
            pushed("local/qa/app:1", "one"),
            pushed("local/nobody/asks:1", "one"),
            arrived("local/prod/app:1", "one", hops=1),
        )
    )
    assert told() == {
        APP: {
            "last_compared": at(13),
            "pushes_told": 3,
            "pushes_missed": 2,
            "deletions_told": 1,
            "deletions_missed": 1,
            "share_missed": 0.4,
        },
        "local/qa/app": {
            "last_compared": None,
            "pushes_told": 1,
            "pushes_missed": 0,
            "deletions_told": 0,
            "deletions_missed": 0,
            "share_missed": 0.0,
        },
    }


def test_what_a_hint_had_somebody_look_at_was_told_and_is_not_missed(world: World) -> None:
    hint = hinted(f"{APP}:2", time=at(20))
    asyncio.run(
        world.record(
            compared(APP, 1),
            looked(f"{APP}:1", "one", time=at(10)),
            observed(f"{APP}:1", "one", time=at(11), cause="reconciliation"),
            observed(f"{APP}:2", "lost", time=at(12), cause="reconciliation"),
            hint,
            missing(f"{APP}:2", after=hint, time=at(21)),
            missing(f"{APP}:never", time=at(22)),
        )
    )
    found = told()[APP]
    assert (found["pushes_told"], found["pushes_missed"], found["share_missed"]) == (1, 1, 0.5)
    assert (found["deletions_told"], found["deletions_missed"]) == (1, 0)


def test_what_the_first_poll_finds_was_there_before_and_is_not_missed(world: World) -> None:
    asyncio.run(world.record(observed(f"{APP}:1", "one", cause="reconciliation"), compared(APP, 1)))
    assert (told()[APP]["pushes_missed"], told()[APP]["share_missed"]) == (0, None)


def test_what_a_source_without_webhooks_is_polled_for_is_not_missed(world: World) -> None:
    asyncio.run(
        world.record(
            compared("remote/lib", 1),
            observed("remote/lib:1", "one", time=at(2), cause="interval"),
            listed("remote/lib", 3, cause="interval"),
        )
    )
    found = told()["remote/lib"]
    assert (found["pushes_missed"], found["deletions_missed"], found["last_compared"]) == (0, 0, at(1))


def test_deletions_are_counted_that_are_more_than_one_event_may_note(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    asyncio.run(
        world.record(
            *(pushed(f"{APP}:{number}", "image", time=at(1)) for number in range(5)),
            listed(APP, 2),
            ticked(30),
        )
    )
    assert told()[APP]["deletions_missed"] == 4
    asyncio.run(world.record(ticked(60)))
    assert told()[APP]["deletions_missed"] == 5


def test_records_that_are_no_events_are_passed_over(world: World) -> None:
    asyncio.run(world.log.append(Append(EVENTS, b"x", b"{", 0)))
    asyncio.run(world.record_unfolded(pushed(f"{APP}:1", "one")))
    assert told()[APP]["pushes_told"] == 1


def test_a_table_has_a_row_for_each_source(world: World) -> None:
    assert "nothing is known of any source yet" in towline()
    asyncio.run(
        world.record(
            compared(APP, 1),
            pushed(f"{APP}:1", "one", time=at(2)),
            pushed(f"{APP}:2", "two", time=at(2)),
            observed(f"{APP}:3", "three", time=at(3), cause="reconciliation"),
        )
    )
    header, row = towline().splitlines()
    assert header.split("  ")[0] == "REPOSITORY"
    assert row.split() == [APP, "2026-11-24T08:00:01Z", "2", "1", "33.3%", "0", "0"]
