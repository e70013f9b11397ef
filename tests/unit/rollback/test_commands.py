"""``towline rollback``: planned from the log, carried out once it is approved, and told of."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.commands import CopyImage
from schemas.references import Reference
from streams.audit.explain import explain
from streams.audit.trail import trail
from streams.cli import app, transfers
from streams.log import Append
from tests.support.builders import digest, policy, proposed, pushed
from tests.support.checkers import check_all
from tests.support.facts import overridden, requested, scanned, vulnerability
from tests.support.projections import asked
from tests.support.world import in_place_of_kafka
from tests.unit.rollback.conftest import BAD, DEV, POLICIES, PROD, QA, Room


def test_each_tag_gets_what_it_had_or_goes_those_farthest_downstream_first(room: Room) -> None:
    planned = room.plan(BAD)
    assert planned == {
        f"{PROD}:1": (BAD, digest("good")),
        f"{PROD}:2": (BAD, None),
        f"{QA}:1": (BAD, digest("good")),
        f"{QA}:2": (BAD, None),
    }
    assert next(iter(planned)).startswith(PROD)


def test_what_was_pushed_by_somebody_is_left_out_with_the_reason(room: Room) -> None:
    out = room.type("plan", BAD)
    assert f"left out: {DEV}:1 ({BAD}): somebody pushed it there, not Towline" in out
    room.happen(pushed(f"{DEV}:1", "mended"))
    assert f"left out: {DEV}:1" not in room.type("plan", BAD)


def test_planning_writes_nothing_and_gives_the_same_plan_each_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: Append) -> None:
        raise AssertionError("something was written")

    monkeypatch.setattr(room.world.log, "before_append", refuse)
    assert room.json("plan", BAD) == room.json("plan", BAD)


def test_what_is_bad_itself_is_not_brought_back(room: Room) -> None:
    room.happen(scanned(DEV, "bad", vulnerability("CVE-1")), scanned(DEV, "worse", vulnerability("CVE-1")))
    room.happen(pushed(f"{DEV}:1", "worse"))
    assert room.plan("CVE-1")[f"{QA}:1"] == (digest("worse"), digest("good"))
    assert room.plan(digest("worse"))[f"{QA}:1"] == (digest("worse"), BAD)


def test_what_an_earlier_rollback_took_away_is_not_brought_back(room: Room) -> None:
    room.happen(pushed(f"{DEV}:1", "worse"))
    room.plan(digest("worse"))
    room.approve(room.propose())
    assert room.world.tags[f"{QA}:1"] == BAD
    assert room.plan(BAD)[f"{QA}:1"] == (BAD, digest("good"))


def test_what_somebody_answers_for_is_left_out(room: Room) -> None:
    room.happen(scanned(DEV, "bad", vulnerability("CVE-1")), overridden(PROD, "CVE-1"))
    assert set(room.plan("CVE-1")) == {f"{QA}:1", f"{QA}:2"}
    assert "security answers for it: not reachable" in room.type("plan", "CVE-1")


def test_the_registry_is_believed_when_it_had_something_that_the_log_missed(room: Room) -> None:
    room.world.tags[f"{QA}:1"] = digest("unheard")
    room.happen(pushed(f"{DEV}:1", "worse"))
    assert room.plan(digest("worse"))[f"{QA}:1"] == (digest("worse"), digest("unheard"))


def test_when_nothing_is_known_of_before_nothing_is_planned(room: Room) -> None:
    room.world.tags[f"{QA}:7"] = digest("new")
    room.happen(pushed(f"{DEV}:7", "new"))
    out = room.type("plan", digest("new"))
    assert f"left out: {QA}:7" in out
    assert "the log does not know what the tag had before" in out


def test_nothing_to_roll_back_is_a_finding(room: Room) -> None:
    assert "nothing is to be rolled back" in room.type("plan", digest("unknown"), code=1)


def test_a_plan_is_carried_out_by_the_approval_of_another(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    assert set(room.states(plan_id).values()) == {"waiting"}
    assert room.world.tags[f"{PROD}:1"] == BAD
    room.approve(plan_id[:12])
    tags = room.world.tags
    assert (tags[f"{QA}:1"], tags[f"{PROD}:1"]) == (digest("good"), digest("good"))
    assert f"{QA}:2" not in tags
    assert f"{PROD}:2" not in tags
    assert set(room.states(plan_id).values()) <= {"completed", "left", "skipped"}
    asyncio.run(check_all(room.world.log))


def test_a_tag_that_moved_since_is_denied_and_the_others_are_rolled_back(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    room.happen(pushed(f"{PROD}:1", "hot-fix"))
    room.approve(plan_id)
    states = room.states(plan_id, code=1)
    assert states[f"{PROD}:1"] == "denied"
    assert states[f"{QA}:2"] == "completed"
    assert room.world.tags[f"{PROD}:1"] in {digest("hot-fix"), digest("good")}
    assert "make another plan" in room.type("show", plan_id, code=1)


def test_a_digest_that_the_registry_has_collected_fails_in_the_trail_and_the_tag_keeps_what_it_has(room: Room) -> None:
    room.plan(BAD)
    room.world.gone.add(digest("good"))
    plan_id = room.propose()
    room.approve(plan_id)
    states = room.states(plan_id, code=1)
    assert states[f"{QA}:1"] == states[f"{PROD}:1"] == "failed"
    assert room.world.tags[f"{PROD}:1"] == BAD
    assert "source-gone" in room.type("show", plan_id, code=1)


def test_what_failed_can_be_proposed_and_approved_once_more(room: Room) -> None:
    room.plan(BAD)
    room.world.gone.add(digest("good"))
    room.approve(room.propose())
    room.world.gone.clear()
    room.plan(BAD)
    plan_id = room.propose()
    room.approve(plan_id)
    assert room.world.tags[f"{PROD}:1"] == digest("good")
    assert set(room.states(plan_id).values()) <= {"completed", "left", "skipped"}


def test_a_rollback_that_failed_is_not_retried_over_what_was_pushed_since(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_kafka(monkeypatch, transfers, room.world.log)
    room.plan(BAD)
    room.world.gone.add(digest("good"))
    room.approve(room.propose())
    room.world.gone.clear()
    room.happen(pushed(f"{QA}:1", "by hand"))
    result = CliRunner().invoke(app, ["transfers", "retry", "--cause", "source-gone"])
    assert result.exit_code == 1, result.output
    assert "propose that plan again" in result.output
    asyncio.run(room.world.carry_out())
    assert room.world.tags[f"{QA}:1"] != digest("good")


def test_the_bad_image_is_not_promoted_again_and_what_is_new_is(room: Room) -> None:
    room.plan(BAD)
    room.approve(room.propose())
    room.happen(pushed(f"{DEV}:1", "bad", key="again"), pushed(f"{DEV}:3", "bad"), proposed(*POLICIES, replaces=1))
    assert room.world.tags[f"{QA}:1"] == digest("good")
    assert f"{QA}:3" not in room.world.tags
    room.happen(pushed(f"{DEV}:1", "mended"))
    assert room.world.tags[f"{PROD}:1"] == digest("mended")
    asyncio.run(check_all(room.world.log))


def test_that_a_bad_image_is_there_again_is_told(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    room.approve(plan_id)
    room.happen(requested(f"{DEV}:1", "bad", f"{QA}:1"))
    assert room.world.tags[f"{QA}:1"] == BAD
    assert "a tag has the bad image again: make another plan" in room.type("show", plan_id, code=1)


def test_the_same_plan_may_be_needed_twice(room: Room) -> None:
    room.plan(BAD)
    room.approve(room.propose())
    room.happen(requested(f"{DEV}:1", "bad", f"{PROD}:1"))
    assert room.plan(BAD)[f"{PROD}:1"] == (BAD, digest("good"))
    room.approve(room.propose())
    assert room.world.tags[f"{PROD}:1"] == digest("good")


def test_a_plan_that_failed_as_a_whole_may_be_proposed_again_under_its_id(room: Room) -> None:
    room.happen(pushed(f"{DEV}:1", "worse"))
    room.plan(digest("worse"))
    room.world.gone.add(BAD)
    first = room.propose()
    room.approve(first)
    room.world.gone.clear()
    room.plan(digest("worse"))
    assert room.propose() == first
    room.approve(first)
    assert room.world.tags[f"{PROD}:1"] == BAD


def test_the_platforms_that_were_brought_are_those_that_are_looked_for(room: Room) -> None:
    room.plan(BAD)
    room.approve(room.propose())
    commands = [item.data for item in asyncio.run(room.world.commands())]
    back = [item for item in commands if isinstance(item, CopyImage) and item.policy == "(rollback)"]
    assert {str(item.target): item.options.platforms for item in back} == {
        f"{PROD}:1": ("linux/amd64",),
        f"{QA}:1": (),
    }


def test_what_a_revision_moved_is_rolled_back_and_a_later_revision_may_bring_it(room: Room) -> None:
    more = policy("more", DEV, PROD, tag="more-%n", initial_evaluation=False)
    room.happen(proposed(*POLICIES, more, replaces=1), pushed(f"{DEV}:5", "fine"))
    assert set(room.plan("--revision", "2", "--policy", "more")) == {f"{PROD}:more-5"}
    room.approve(room.propose())
    assert f"{PROD}:more-5" not in room.world.tags
    room.happen(pushed(f"{DEV}:6", "fine"))
    assert f"{PROD}:more-6" not in room.world.tags
    room.happen(proposed(*POLICIES, more, replaces=2))
    room.happen(pushed(f"{DEV}:7", "fine"))
    assert room.world.tags[f"{PROD}:more-7"] == digest("fine")


def test_a_file_that_was_changed_is_no_plan(room: Room) -> None:
    room.plan(BAD)
    kept = json.loads(Path(room.file).read_text())
    kept["plan"]["steps"].pop()
    Path(room.file).write_text(json.dumps(kept))
    assert "was changed" in room.type("propose", room.file, "--reason", "x", code=2)
    Path(room.file).write_text("{}")
    assert "is no plan" in room.type("propose", room.file, "--reason", "x", code=2)


@pytest.mark.parametrize("wrong", [[], ["sha256:12"], ["CVE-1", "--revision", "1"], ["not a name"]])
def test_what_is_asked_about_has_to_be_said(room: Room, wrong: list[str]) -> None:
    assert "error:" in room.type("plan", *wrong, code=2)


def test_a_reason_and_a_plan_that_exists_are_needed(room: Room) -> None:
    room.plan(BAD)
    assert "needs a reason" in room.type("propose", room.file, "--reason", " ", code=2)
    assert "no plan was proposed" in room.type("approve", "abc", code=2)
    assert "no rollback was proposed" in room.type("list")


def test_plans_are_listed_with_how_far_they_are(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    assert "4 waiting" in room.type("list")
    assert room.json("list") == {
        "rollbacks": [{"plan_id": plan_id, "cause": BAD, "states": {"waiting": 4}, "count": 4}]
    }


def test_explain_and_the_trail_of_the_tag_say_who_rolled_it_back_and_why(room: Room) -> None:
    room.plan(BAD)
    room.approve(room.propose())
    target = Reference.parse(f"{PROD}:1")
    found = asyncio.run(asked(room.world.log, explain, target))
    assert found is not None
    assert found.digest == digest("good")
    assert "alice asked for it because of" in found.came_by
    assert "it loses orders" in found.came_by
    assert "bob approved" in found.came_by
    told = [entry.type for entry in asyncio.run(asked(room.world.log, trail, target))]
    assert [type_ for type_ in told if type_.startswith("rollback.")] == ["rollback.requested", "rollback.approved"]
    gone = asyncio.run(asked(room.world.log, explain, Reference.parse(f"{PROD}:2")))
    assert gone is not None
    assert (gone.digest, "bob approved" in gone.came_by) == (None, True)
