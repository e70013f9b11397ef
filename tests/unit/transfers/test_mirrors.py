"""``mirror sync`` and ``status``: a source asked now, and what the log tells of each mirror."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.catalogue import decode
from schemas.commands import PollRepository
from schemas.events import PollCompleted, PollFailed, SyncRequested
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from streams.cli import app, mirrors, transfers
from streams.topics import EVENTS
from tests.support.builders import at, completed, envelope, failed, policy, proposed, pushed, ticked
from tests.support.checkers import all_records
from tests.support.world import World, in_place_of_kafka

POLICIES = (
    policy("away", "local/dev/*", "remote/{repository}"),
    policy("here", "local/dev/app", "local/qa/app"),
    policy("off", "remote/old", "local/old", poll="30m", mode="disabled"),
    policy("pull", "remote/app", "local/app", poll="30m"),
    policy("pull-all", "remote/lib/*", "local/lib/{1}", poll="2h"),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    for module in (mirrors, transfers):
        in_place_of_kafka(monkeypatch, module, made.log)
    asyncio.run(made.record(proposed(*POLICIES)))
    return made


def towline(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["mirror", *arguments])
    assert result.exit_code == code, result.output
    return str(result.output)


def status(code: int = 0) -> dict[str, dict[str, Any]]:
    return {item["policy"]: item for item in json.loads(towline("status", "--json", code=code))["mirrors"]}


def polls(world: World, source: str) -> list[str]:
    asyncio.run(world.fold())
    commands = [command.data for command in asyncio.run(world.commands())]
    return [item.cause for item in commands if isinstance(item, PollRepository) and str(item.source) == source]


def poll_ended(world: World, source: str, seconds: int, cause: str | None = None, *, of: str | None = None) -> None:
    """Record the end of a poll; ``of`` names the repository of a glob that is complete."""
    pattern = SourcePattern.parse(source)
    repository = pattern.repository if of is None else Repository.parse(of)
    data: Frozen = PollCompleted(command_id="0" * 64, source=pattern, repository=repository, tags=1)
    if cause is not None:
        data = PollFailed(
            command_id="0" * 64, source=pattern, cause=cause, detail=f"why {cause}", retryable=True, attempts=5
        )
    asyncio.run(world.record(envelope(data, subject=source, key=f"{source} {seconds} {of}", time=at(seconds))))


def test_every_policy_to_another_registry_or_with_an_interval_has_a_status(world: World) -> None:
    found = status()
    assert list(found) == ["away", "off", "pull", "pull-all"]
    assert {name: item["code"] for name, item in found.items()} == dict.fromkeys(found, "never-run")
    assert (found["pull"]["next_run"], found["pull-all"]["next_run"], found["off"]["next_run"]) == (
        at(1800),
        at(7200),
        None,
    )
    assert polls(world, "remote/app") == ["initial-evaluation"]


def test_a_poll_is_a_run_and_a_failure_is_told_until_a_later_one_succeeds(world: World) -> None:
    poll_ended(world, "remote/app", 10)
    assert (status()["pull"]["last_run"], status()["pull"]["last_success"]) == (at(10), at(10))
    poll_ended(world, "remote/app", 20, "denied")
    found = status(code=1)["pull"]
    assert (found["last_run"], found["last_success"]) == (at(20), at(10))
    assert (found["code"], found["detail"]) == ("denied", "why denied")
    assert "pull: denied: why denied" in towline("status", code=1)
    poll_ended(world, "remote/app", 30)
    assert (status()["pull"]["code"], status()["pull"]["detail"]) == ("ok", None)


def test_a_superseded_poll_says_nothing_about_its_mirror(world: World) -> None:
    poll_ended(world, "remote/app", 10)
    poll_ended(world, "remote/app", 20, "superseded")
    assert (status()["pull"]["last_run"], status()["pull"]["code"]) == (at(10), "ok")


def test_a_glob_has_run_when_all_that_it_matches_was_asked(world: World) -> None:
    poll_ended(world, "remote/lib/*", 10, of="remote/lib/one")
    assert status()["pull-all"]["last_run"] is None
    poll_ended(world, "remote/lib/*", 20)
    assert status()["pull-all"]["last_run"] == at(20)


def test_a_mirror_that_pushes_drive_is_compared_with_the_log_as_often_as_the_set_says(world: World) -> None:
    found = status()
    assert {name: item["reconcile"] for name, item in found.items()} == {
        "away": "6h",
        "off": None,
        "pull": None,
        "pull-all": None,
    }
    assert (found["away"]["poll"], found["away"]["next_run"], found["away"]["is_due"]) == (None, at(6 * 3600), False)
    asyncio.run(world.record_unfolded(ticked(6 * 3600)))
    assert status()["away"]["is_due"] is True
    assert "by pushes, compared next tick" in towline("status")
    asyncio.run(world.fold())
    assert polls(world, "local/dev/*") == ["initial-evaluation", "reconciliation"]
    poll_ended(world, "local/dev/*", 6 * 3600 + 10, "denied")
    found = status(code=1)
    assert (found["away"]["code"], found["away"]["next_run"]) == ("denied", at(12 * 3600))


def test_a_mirror_whose_set_is_never_compared_is_driven_by_pushes_alone(world: World) -> None:
    asyncio.run(world.record(proposed(*POLICIES, replaces=1, reconcile="never")))
    found = status()["away"]
    assert (found["reconcile"], found["next_run"], found["is_due"]) == (None, None, False)
    assert "compared" not in towline("status")


def test_a_repository_that_is_asked_as_part_of_a_glob_has_the_runs_of_the_glob(world: World) -> None:
    one = policy("one", "remote/lib/one", "local/one")
    asyncio.run(world.record(proposed(*POLICIES, one, replaces=1)))
    poll_ended(world, "remote/lib/*", 100)
    poll_ended(world, "remote/lib/*", 200, "denied")
    found = status(code=1)["one"]
    assert (found["poll"], found["reconcile"]) == (None, None)
    assert (found["last_success"], found["last_run"], found["code"]) == (at(100), at(200), "denied")
    assert found["next_run"] == status(code=1)["pull-all"]["next_run"] == at(7200)


def test_a_poll_that_a_difference_asked_for_moves_no_next_run(world: World) -> None:
    before = status()["pull"]["next_run"]
    asyncio.run(world.record(pushed("remote/app:1", "one")))
    data = PollCompleted(
        command_id="0" * 64,
        source=SourcePattern.parse("remote/app"),
        repository=Repository.parse("remote/app"),
        tags=0,
        contents="0" * 64,
    )
    asyncio.run(world.record(envelope(data, subject="remote/app", key="differs", time=at(600))))
    assert polls(world, "remote/app") == ["initial-evaluation", "reconciliation"]
    assert status()["pull"]["next_run"] == before


def test_the_next_run_follows_the_interval_and_is_due_by_the_clock_of_the_log(world: World) -> None:
    asyncio.run(world.record(ticked(60), ticked(1800)))
    assert polls(world, "remote/app") == ["initial-evaluation", "interval"]
    assert (status()["pull"]["next_run"], status()["pull"]["is_due"]) == (at(3600), False)
    # The clock of a partition that decides nothing any more.
    asyncio.run(world.record_unfolded(ticked(3600)))
    assert status()["pull"]["is_due"] is True
    assert "next tick" in towline("status")


def test_the_last_transfer_of_each_tag_counts_also_one_that_was_made_again(world: World) -> None:
    asyncio.run(world.record(pushed("local/dev/app:1", "one"), pushed("local/dev/app:2", "two")))
    assert (status()["away"]["failed"], status()["away"]["pending"]) == (0, 2)
    asyncio.run(world.end("remote/dev/app:1", completed))
    asyncio.run(world.end("remote/dev/app:2", failed))
    found = status(code=1)["away"]
    assert (found["failed"], found["pending"], found["code"]) == (1, 0, "source-gone")
    assert found["detail"] == "remote/dev/app:2: no such manifest"
    assert found["last_run"] == found["last_success"] == at(60)
    assert CliRunner().invoke(app, ["transfers", "retry", "--cause", "source-gone"]).exit_code == 0
    asyncio.run(world.fold())
    assert (status()["away"]["failed"], status()["away"]["pending"]) == (0, 1)
    asyncio.run(world.end("remote/dev/app:2", completed))
    assert (status()["away"]["failed"], status()["away"]["pending"], status()["away"]["code"]) == (0, 0, "ok")


def test_a_table_has_a_row_for_each_mirror(world: World) -> None:
    poll_ended(world, "remote/app", 10)
    lines = towline("status").splitlines()
    assert lines[0].split("  ")[0] == "POLICY"
    assert len(lines) == 5
    assert "by pushes, compared 2026-11-24T14:00:00Z" in lines[1]
    assert "disabled" in lines[2]
    assert "2026-11-24T08:00:10Z" in lines[3]


def test_without_mirrors_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = World()
    in_place_of_kafka(monkeypatch, mirrors, empty.log)
    assert "no policy in force" in towline("status")


@pytest.mark.parametrize(("name", "source"), [("pull", "remote/app"), ("pull-all", "remote/lib/*")])
def test_sync_has_the_source_asked_once_more(world: World, name: str, source: str) -> None:
    told = json.loads(towline("sync", name, "--json"))
    assert told["source"] == source
    assert polls(world, source) == ["initial-evaluation", "manual"]
    events = [decode(record.value or b"").data for record in asyncio.run(all_records(world.log, EVENTS))]
    assert [str(item.source) for item in events if isinstance(item, SyncRequested)] == [source]
    assert "is asked now" in towline("sync", name)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("name", "says"), [("nobody", "there are: away, here"), ("off", "is disabled")])
def test_sync_of_a_policy_that_is_not_in_force_is_refused(name: str, says: str) -> None:
    assert says in towline("sync", name, code=2)


def test_a_wish_does_not_move_the_next_run(world: World) -> None:
    before = status()["pull"]["next_run"]
    towline("sync", "pull")
    asyncio.run(world.fold())
    assert status()["pull"]["next_run"] == before
