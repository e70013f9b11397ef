"""``transfers list`` and ``show``: every command once, the newest first, with what led to it and how it ended."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferProgressed, TransferStarted
from schemas.outcomes import Report
from schemas.references import Frozen
from streams.cli import app, transfers
from streams.routing import command_append
from tests.support.builders import (
    at,
    completed,
    digest,
    envelope,
    failed,
    policy,
    published,
    pushed,
    reduced,
    removal,
    skipped,
)
from tests.support.builders import command as stray_command
from tests.support.world import World, in_place_of_kafka

POLICIES = published(
    policy("to-qa", "local/dev/*", "local/qa/{1}"),
    policy("away", "local/dev/app", "remote/app"),
)
MIB = 1024 * 1024
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


def states(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
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
    assert sorted(states(found)) == [
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
    assert states(listed("--repository", "local/qa/app"))[-1] == ("local/qa/app:1", "failed")


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
    assert rows[0].split() == ["ID", "TIME", "WORK", "POLICY", "SOURCE", "TARGET", "STATE", "CAUSE"]
    [failure] = listed("--failed")
    assert rows[1].split() == [
        failure["id"][:12],
        "2026-11-24T08:00:01Z",
        "copy",
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


STARTED = {"manifests": 2, "blobs": 4, "bytes": 10 * MIB}


def told(command: Envelope[Frozen], kind: type[Report], seconds: int, **members: Any) -> Envelope[Frozen]:
    """A report on a copy."""
    assert isinstance(command.data, CopyImage)
    data = kind(**command.data.outcome_members(command.id), **members)
    return envelope(data, subject=str(command.data.target), key=f"{kind} {seconds} {members}", time=at(seconds))


def far(command: Envelope[Frozen], seconds: int, copied: int, blobs: int, of: int = 10 * MIB) -> Envelope[Frozen]:
    counts = {"bytes_copied": copied, "blobs_copied": blobs, "blobs_mounted": 1, "blobs_skipped": 0}
    return told(command, TransferProgressed, seconds, **counts, blobs=4, bytes=of)


@pytest.fixture
def running(world: World) -> Envelope[Frozen]:
    """A copy that began, and was told about once."""
    command = asyncio.run(world.copies())["local/qa/app:3"]
    reports = [told(command, TransferStarted, 20, **STARTED), far(command, 30, 2 * MIB, 0, of=8 * MIB)]
    asyncio.run(world.record(*reports))
    return command


def test_a_copy_under_way_is_running_with_how_far_it_is(world: World, running: Envelope[Frozen]) -> None:
    [found] = listed("--running")
    assert found["id"] == running.id
    assert (found["state"], found["started_at"], found["reported_at"]) == ("running", at(20), at(30))
    assert (found["bytes_copied"], found["bytes"], found["blobs_mounted"], found["blobs"]) == (2 * MIB, 8 * MIB, 1, 4)
    assert (found["share"], found["bytes_per_second"]) == (0.25, 2 * MIB / 10)
    assert found["ended_at"] is None
    assert running.id not in {item["id"] for item in listed("--pending")}
    assert " running 25%" in towline("list", "--running")
    assert "2097152 of 8388608 bytes, 1 of 4 blobs, 25%, 0.2 MiB/s" in towline("show", running.id)
    asyncio.run(world.record(far(running, 40, 5 * MIB, 2, of=8 * MIB)))
    assert listed("--running")[0]["bytes_per_second"] == 3 * MIB / 10


def test_a_copy_of_which_nothing_is_known_yet_is_running_without_a_share(world: World) -> None:
    command = asyncio.run(world.copies())["local/qa/app:3"]
    asyncio.run(world.record(told(command, TransferStarted, 20)))
    [found] = listed("--running")
    assert (found["share"], found["bytes"], found["bytes_per_second"]) == (None, None, None)
    assert "an unknown number of blobs" in towline("show", command.id)


def test_a_copy_without_bytes_to_send_is_as_far_as_its_blobs(world: World) -> None:
    command = asyncio.run(world.copies())["local/qa/app:3"]
    asyncio.run(world.record(told(command, TransferStarted, 20, **STARTED), far(command, 30, 0, 0, of=0)))
    assert listed("--running")[0]["share"] == 0.25


def test_a_copy_that_began_anew_after_a_crash_runs_since_its_first_beginning(
    world: World, running: Envelope[Frozen]
) -> None:
    asyncio.run(world.record(told(running, TransferStarted, 50, **STARTED)))
    [found] = listed("--running")
    assert (found["started_at"], found["bytes_copied"], found["share"]) == (at(20), 0, 0.0)


def test_a_copy_that_ended_is_not_running_whatever_is_told_after_it(world: World, running: Envelope[Frozen]) -> None:
    asyncio.run(world.end("local/qa/app:3", completed))
    asyncio.run(world.record(far(running, 90, 3 * MIB, 1)))
    assert listed("--running") == []
    story = json.loads(towline("show", running.id, "--json"))["transfer"]
    assert (story["state"], story["started_at"], story["bytes_copied"]) == ("completed", at(20), 557)
    assert (story["share"], story["reported_at"]) == (None, None)
    text = towline("show", running.id)
    assert f"began: {at(20)}" in text
    assert "progress" not in text


@pytest.mark.parametrize(
    ("end", "state", "says"),
    [
        (TagRemoved, "completed", "state: completed"),
        (partial(RemovalSkipped, reason="the tag is gone already"), "skipped", "the tag is gone already"),
        (
            partial(RemovalFailed, cause="digest-shared", detail="1.0 has it", retryable=False, attempts=1),
            "failed",
            "digest-shared",
        ),
    ],
)
def test_removals_are_listed_and_shown_too(world: World, end: Any, state: str, says: str) -> None:
    command = removal("local/dev/app:7", "local/qa/app:7", "seven")

    async def fill() -> None:
        await world.log.append(command_append(command))
        data = end(**command.data.outcome_members(command.id))
        await world.record(envelope(data, subject="local/qa/app:7", key="end", time=at(60)))

    asyncio.run(fill())
    [found] = [item for item in listed("--repository", "local/qa/app") if item["id"] == command.id]
    assert (found["work"], found["state"], found["ended_at"]) == ("removal", state, at(60))
    assert says in towline("show", command.id)
    refused = json.loads(towline("retry", command.id, "--json", code=2))["refused"]
    assert "removal" in refused[0]["reason"]


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


def test_a_target_with_some_platforms_of_an_index_is_shown_with_both_digests(world: World) -> None:
    asyncio.run(world.end("remote/app:2", reduced))
    (found,) = [item for item in listed() if item["target"] == "remote/app:2"]
    left = digest(f"some of {found['digest']}")
    assert (found["state"], found["reduced_digest"]) == ("completed", left)
    out = " ".join(towline("show", found["id"]).split())
    assert f"target has: {left}, the index of the wanted platforms only" in out
