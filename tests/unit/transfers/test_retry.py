"""``transfers retry``: what failed is made again, once, as a command with a trail of its own."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.commands import CopyImage
from schemas.events import PromotionRequested, TransferFailed
from schemas.policies import CopyOptions
from schemas.references import Reference
from streams.audit.trail import trail
from streams.cli import app, transfers
from streams.facts import Teller
from streams.topics import EVENTS
from streams.transfers.retry import ask, plan_retry_of
from tests.support.builders import at, completed, failed, policy, published, pushed, skipped
from tests.support.checkers import all_records
from tests.support.facts import scanned, vulnerability
from tests.support.projections import asked
from tests.support.world import World, in_place_of_kafka
from towline import limits

POLICIES = published(
    policy("to-qa", "local/dev/app", "local/qa/app", platforms=("linux/amd64",), referrers=False),
    policy("away", "local/dev/app", "remote/app"),
)
TARGET = "local/qa/app:1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    in_place_of_kafka(monkeypatch, transfers, made.log)

    async def fill() -> None:
        await made.record(POLICIES, pushed("local/dev/app:1", "one", time=at(1)), pushed("local/dev/app:2", "two"))
        await made.end(TARGET, failed)
        await made.end("remote/app:1", completed)
        await made.end("remote/app:2", skipped)

    asyncio.run(fill())
    return made


def retry(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["transfers", "retry", *arguments])
    assert result.exit_code == code, result.output
    return str(result.output)


def copies_to(world: World, target: str) -> list[tuple[str, CopyImage]]:
    asyncio.run(world.fold())
    found = asyncio.run(world.commands())
    return [(it.id, it.data) for it in found if isinstance(it.data, CopyImage) and str(it.data.target) == target]


def shown(id_: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["transfers", "show", id_, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_failed_transfer_is_made_again_as_it_was(world: World) -> None:
    [(first, before)] = copies_to(world, TARGET)
    out = retry(first[:12])
    assert "1 asked for again" in out
    [_, (second, after)] = copies_to(world, TARGET)
    assert second != first
    assert (after.source, after.digest, after.hops, after.pushed_by) == (before.source, before.digest, 1, "ci")
    assert after.options == before.options == CopyOptions(platforms=("linux/amd64",), referrers=False)
    story = shown(second)
    assert story["event"]["type"] == "promotion.requested"
    assert f"retries the failed transfer {first} of policy to-qa" in story["reason"]
    assert shown(first)["retried_as"] == second


def test_the_trail_leads_from_the_failure_to_the_retry(world: World) -> None:
    [(first, _)] = copies_to(world, TARGET)
    retry(first)
    entries = asyncio.run(asked(world.log, trail, Reference.parse("local/dev/app:1")))
    [request] = [entry for entry in entries if entry.type == "promotion.requested"]
    assert request.caused_by == first
    assert "asks again for" in request.text


def test_a_retry_of_a_retry_names_the_policy_that_began_it(world: World) -> None:
    retry(copies_to(world, TARGET)[0][0])
    copies_to(world, TARGET)
    asyncio.run(world.end(TARGET, failed))
    retry(copies_to(world, TARGET)[1][0])
    third = copies_to(world, TARGET)[2][0]
    assert "of policy to-qa" in shown(third)["reason"]


def test_a_retry_tells_no_facts_again(world: World) -> None:
    async def known() -> None:
        await world.record(
            scanned("local/dev/app", "two", vulnerability("CVE-1", "low")), pushed("local/dev/app:3", "two")
        )
        await world.end("local/qa/app:3", failed)

    asyncio.run(known())

    def told() -> int:
        records = asyncio.run(all_records(world.log, EVENTS))
        return sum(b"scan.completed" in (record.value or b"") for record in records)

    before = told()
    assert before > 1, "the promotion took the facts along"
    retry(copies_to(world, "local/qa/app:3")[0][0])
    assert len(copies_to(world, "local/qa/app:3")) == 2
    assert told() == before


def test_two_people_who_retry_at_once_make_one_command(world: World) -> None:
    [(first, _)] = copies_to(world, TARGET)

    async def together() -> None:
        plans = [await plan_retry_of(world.log, [first], Teller(name, "test", at(9))) for name in ("ann", "ben")]
        for plan in plans:
            await ask(world.log, plan)

    asyncio.run(together())
    assert len(copies_to(world, TARGET)) == 2


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("local/qa/app:2", "not ended yet"),
        ("remote/app:1", "ended as completed"),
        ("remote/app:2", "ended as skipped"),
    ],
)
def test_what_has_not_failed_is_refused_and_then_nothing_is_asked_for(world: World, target: str, says: str) -> None:
    [(bad, _)], [(good, _)] = copies_to(world, target), copies_to(world, TARGET)
    assert says in retry(good, bad, code=2)
    assert len(copies_to(world, TARGET)) == 1


def test_what_was_retried_is_refused_whatever_became_of_it(world: World) -> None:
    [(first, _)] = copies_to(world, TARGET)
    retry(first)
    assert "is not decided yet" in retry(first, code=2)
    second = copies_to(world, TARGET)[1][0]
    assert f"retried as {second}, which is pending: wait" in retry(first, code=2)
    asyncio.run(world.end(TARGET, failed))
    assert f"retried as {second}, which is failed: retry that one" in retry(first, code=2)
    assert len(copies_to(world, TARGET)) == 2


def test_what_a_later_decision_for_the_tag_overtook_is_refused(world: World) -> None:
    asyncio.run(world.record(pushed("local/dev/app:1", "another")))
    [(first, _), (later, _)] = copies_to(world, TARGET)
    out = retry(first, code=2)
    assert later in out
    assert "towline promote" in out


def test_everything_that_failed_for_a_cause_is_made_again_and_nothing_else(world: World) -> None:
    asyncio.run(world.end("local/qa/app:2", failed))
    asyncio.run(world.record(pushed("local/dev/app:2", "another", time=at(5))))
    told = json.loads(retry("--cause", "source-gone", "--json"))
    assert [item["transfer"] for item in told["retried"]] == [copies_to(world, TARGET)[0][0]]
    assert [item["id"] for item in told["refused"]] == [copies_to(world, "local/qa/app:2")[0][0]]
    assert len(copies_to(world, TARGET)) == 2
    assert "0 asked for again" in retry("--cause", "source-gone", code=1)
    assert "0 asked for again" in retry("--cause", "no such cause", code=1)


def test_one_retry_is_bounded_and_says_what_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "retry_count", 1)
    asyncio.run(world.end("local/qa/app:2", failed))
    assert "and 1 more" in retry("--cause", "source-gone")
    copies_to(world, TARGET)
    assert "1 asked for again" in retry("--cause", "source-gone")


def test_a_dry_run_writes_nothing(world: World) -> None:
    [(first, _)] = copies_to(world, TARGET)
    before = len(asyncio.run(all_records(world.log, EVENTS)))
    assert "1 would be asked for again" in retry(first, "--dry-run")
    assert json.loads(retry(first, "--dry-run", "--json"))["asked"] is False
    assert len(asyncio.run(all_records(world.log, EVENTS))) == before


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("arguments", [(), ("ab", "--cause", "unreachable")])
def test_ids_and_a_cause_exclude_each_other_and_one_is_needed(arguments: tuple[str, ...]) -> None:
    assert "either their ids, or --cause" in retry(*arguments, code=2)


def test_a_request_without_a_retry_of_the_first_version_is_still_a_wish_of_its_own() -> None:
    data = PromotionRequested.model_validate(
        {"repository": "local/a", "tag": "1", "digest": f"sha256:{'0' * 64}", "target": "local/b:1", "actor": "ann"}
    )
    assert data.retries is None


def causes() -> list[tuple[str, int, int]]:
    result = CliRunner().invoke(app, ["transfers", "list", "--by-cause", "--json"])
    assert result.exit_code == 0, result.output
    return [(one["cause"], one["count"], one["retried"]) for one in json.loads(result.output)["causes"]]


def test_what_failed_is_listed_by_cause_with_how_much_of_it_was_made_again(world: World) -> None:
    asyncio.run(world.end("local/qa/app:2", partial(_failed_for, "unreachable")))
    asyncio.run(world.record(pushed("local/dev/app:3", "three")))
    asyncio.run(world.end("local/qa/app:3", failed))
    assert causes() == [("source-gone", 2, 0), ("unreachable", 1, 0)]
    retry("--cause", "source-gone")
    assert causes() == [("source-gone", 2, 2), ("unreachable", 1, 0)]
    result = CliRunner().invoke(app, ["transfers", "list", "--cause", "unreachable", "--json"])
    assert [one["target"] for one in json.loads(result.output)["transfers"]] == ["local/qa/app:2"]
    table = CliRunner().invoke(app, ["transfers", "list", "--by-cause"]).output
    assert "towline transfers retry --cause CAUSE" in table


def test_a_cause_is_retried_once_however_often_it_is_asked_for(world: World) -> None:
    retry("--cause", "source-gone")
    again = copies_to(world, TARGET)
    retry("--cause", "source-gone", code=1)
    retry(again[0][0], code=2)
    assert copies_to(world, TARGET) == again
    assert len(again) == 2


def _failed_for(cause: str, command_id: str, copy: CopyImage) -> TransferFailed:
    return failed(command_id, copy).model_copy(update={"cause": cause})
