"""``transfers list`` and ``show``: every command once, the newest first, with what led to it and how it ended."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.commands import CopyImage
from streams.cli import app, transfers
from streams.routing import command_append
from tests.support.builders import at, completed, digest, failed, policy, published, pushed, skipped
from tests.support.builders import command as stray_command
from tests.support.world import World, in_place_of_kafka

POLICIES = published(
    policy("to-qa", "local/dev/*", "local/qa/{1}"),
    policy("away", "local/dev/app", "remote/app"),
)
TAGS = ("1", "2", "3")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    in_place_of_kafka(monkeypatch, transfers, made.log)
    pushes = [pushed(f"local/dev/app:{tag}", tag, time=at(int(tag))) for tag in TAGS]

    async def fill() -> None:
        await made.record(POLICIES, *pushes, pushed("local/dev/tool:9", "nine", time=at(9)))
        await made.end("local/qa/app:1", failed)
        await made.end("local/qa/app:2", completed)
        await made.end("remote/app:3", skipped)

    asyncio.run(fill())
    return made


def towline(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["transfers", *arguments])
    assert result.exit_code == code, result.output
    return str(result.output)


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(towline("list", "--json", *arguments))["transfers"]
    return found


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["target"], item["state"]) for item in found]


def test_every_transfer_is_listed_once_the_newest_first(world: World) -> None:
    async def again() -> None:
        """A crash repeats commands and their ends."""
        copies = await world.copies()
        await world.log.append(command_append(copies["local/qa/app:1"]))
        await world.end("local/qa/app:1", failed)

    asyncio.run(again())
    found = listed()
    assert found[0]["target"] == "local/qa/tool:9"
    assert [item["time"] for item in found] == sorted((item["time"] for item in found), reverse=True)
    assert sorted(told(found)) == [
        ("local/qa/app:1", "failed"),
        ("local/qa/app:2", "completed"),
        ("local/qa/app:3", "pending"),
        ("local/qa/tool:9", "pending"),
        ("remote/app:1", "pending"),
        ("remote/app:2", "pending"),
        ("remote/app:3", "skipped"),
    ]


def test_of_an_end_that_comes_twice_the_first_counts(world: World) -> None:
    asyncio.run(world.end("local/qa/app:1", completed))
    assert told(listed("--repository", "local/qa/app"))[-1] == ("local/qa/app:1", "failed")


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        (("--failed",), {"local/qa/app:1"}),
        (("--pending", "--policy", "to-qa"), {"local/qa/app:3", "local/qa/tool:9"}),
        (("--failed", "--pending", "--policy", "to-qa"), {"local/qa/app:1", "local/qa/app:3", "local/qa/tool:9"}),
        (("--repository", "local/dev/tool"), {"local/qa/tool:9"}),
        (("--repository", "remote/app"), {"remote/app:1", "remote/app:2", "remote/app:3"}),
        (("--policy", "nobody"), set()),
    ],
)
@pytest.mark.usefixtures("world")
def test_a_list_has_what_was_asked_for(arguments: tuple[str, ...], targets: set[str]) -> None:
    assert {item["target"] for item in listed(*arguments)} == targets


@pytest.mark.usefixtures("world")
def test_a_list_is_bounded_and_says_how_many_more_there_are() -> None:
    assert json.loads(towline("list", "--json", "--limit", "2"))["more"] == 5
    assert listed("--limit", "2") == listed()[:2]
    out = towline("list", "--limit", "2")
    assert len(out.splitlines()) == 4
    assert "and 5 older ones" in out
    assert "older" not in towline("list", "--limit", "7")


@pytest.mark.usefixtures("world")
def test_a_table_has_what_people_look_for_and_says_when_there_is_nothing() -> None:
    rows = towline("list", "--failed").splitlines()
    assert rows[0].split() == ["ID", "TIME", "POLICY", "SOURCE", "TARGET", "STATE", "CAUSE"]
    [failure] = listed("--failed")
    assert rows[1].split() == [
        failure["id"][:12],
        "2026-11-24T08:00:01Z",
        "to-qa",
        "local/dev/app:1",
        "local/qa/app:1",
        "failed",
        "source-gone",
    ]
    assert "no such transfers" in towline("list", "--policy", "nobody")
    assert "error:" in towline("list", "--repository", "nonsense", code=2)


def test_show_tells_the_event_the_decision_and_the_end(world: World) -> None:
    command = asyncio.run(world.copies())["local/qa/app:1"]
    assert isinstance(command.data, CopyImage)
    story = json.loads(towline("show", command.id[:12], "--json"))
    assert story["transfer"]["id"] == command.id
    assert story["transfer"]["digest"] == digest("1")
    assert (story["transfer"]["cause"], story["transfer"]["attempts"]) == ("source-gone", 1)
    assert story["decision"]["id"] == command.data.decision_id
    assert story["event"]["id"] == pushed("local/dev/app:1", "1").id
    assert (story["verdict"], story["event"]["type"]) == ("promote", "image.pushed")
    text = towline("show", command.id[:12])
    for part in ("source-gone", "no such manifest", "retry: cannot help alone", digest("1"), story["event"]["id"]):
        assert part in text


def test_show_tells_what_was_copied(world: World) -> None:
    command = asyncio.run(world.copies())["local/qa/app:2"]
    assert "557 bytes; blobs: 1 copied, 0 mounted, 0 there already" in towline("show", command.id)


def test_show_of_a_command_that_nothing_in_the_log_led_to_says_so(world: World) -> None:
    async def alone() -> str:
        stray = stray_command("local/dev/app:1", "local/qa/app:1", "stray")
        await world.log.append(command_append(stray))
        return stray.id

    id_ = asyncio.run(alone())
    assert "decision: not in the log" in towline("show", id_)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("prefix", "says"), [("", "hex digits"), ("xyz", "hex digits"), ("f" * 64, "no transfer")])
def test_an_id_that_is_none_is_refused(prefix: str, says: str) -> None:
    assert says in towline("show", prefix, code=2)


def test_a_beginning_that_several_ids_share_is_refused_with_their_names(world: World) -> None:
    ids = [command.id for command in asyncio.run(world.copies()).values()]
    shared = next((first[0] for first in ids if sum(other[0] == first[0] for other in ids) > 1), None)
    if shared is None:
        pytest.fail("the ids of this history share no first digit: give it another push")
    out = towline("show", shared, code=2)
    assert all(id_ in out for id_ in ids if id_.startswith(shared))
