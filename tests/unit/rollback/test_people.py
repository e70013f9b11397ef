"""``towline rollback propose`` and ``approve``: two people, each once, and a break in between does no harm."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.canonical import content_id
from schemas.catalogue import decode
from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.rollbacks import RollbackRequested
from streams.log import Append
from streams.topics import EVENTS
from tests.support.builders import digest
from tests.support.checkers import all_records
from tests.support.rollbacks import back, rollback_approved, rollback_requested
from tests.unit.rollback.conftest import BAD, PROD, QA, Room
from towline.errors import LogUnavailableError


def test_who_proposed_is_refused_and_nothing_is_written(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    before = room.events()
    assert "somebody else has to approve it" in room.approve(plan_id, by="alice", code=2)
    assert room.events() == before


def proposals(room: Room) -> list[Envelope[Frozen]]:
    found = (decode(record.value or b"") for record in asyncio.run(all_records(room.world.log, EVENTS)))
    return [event for event in found if isinstance(event.data, RollbackRequested)]


def test_an_approval_that_its_proposer_wrote_into_the_log_counts_for_nothing(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    room.happen(*(rollback_approved(request, by="alice") for request in proposals(room)))
    told = room.json("show", plan_id)["steps"]
    assert {(step["state"], tuple(step["approved_by"])) for step in told} == {("waiting", ())}
    room.approve(plan_id)
    assert room.world.tags[f"{PROD}:1"] == digest("good")


def test_a_proposal_that_came_while_another_waited_is_not_the_one_that_is_approved(room: Room) -> None:
    room.plan(BAD)
    plan_id = room.propose()
    for request in proposals(room):
        assert isinstance(request.data, RollbackRequested)
        data = request.data.model_copy(update={"actor": "mallory"})
        room.happen(replace(request, id=content_id("later", request.id), time="2099-01-01T00:00:00.000000Z", data=data))
    assert {step["proposed_by"] for step in room.json("show", plan_id)["steps"]} == {"alice"}
    room.approve(plan_id)
    assert room.world.tags[f"{PROD}:1"] == digest("good")


def test_what_was_written_under_the_id_of_another_plan_cannot_be_approved(room: Room) -> None:
    forged = rollback_requested(back(f"{QA}:1", "bad", "good"))
    assert isinstance(forged.data, RollbackRequested)
    room.happen(replace(forged, data=forged.data.model_copy(update={"plan_id": "f" * 64})))
    assert "does not fit its id" in room.approve("f" * 64, code=2)


def test_as_many_must_approve_as_the_settings_say(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWLINE_ROLLBACK_APPROVALS", "2")
    room.plan(BAD)
    plan_id = room.propose()
    room.approve(plan_id)
    assert "bob approved all of it before" in room.approve(plan_id)
    assert set(room.states(plan_id).values()) == {"waiting"}
    room.approve(plan_id, by="carol")
    assert room.world.tags[f"{PROD}:1"] == digest("good")


def test_proposing_and_approving_twice_is_once(room: Room) -> None:
    room.plan(BAD)
    assert room.propose() == room.propose(by="dora")
    plan_id = room.propose()
    room.approve(plan_id)
    assert len(proposals(room)) == 4
    commands = asyncio.run(room.world.commands())
    assert "nothing of plan" in room.approve(plan_id, by="carol", code=2)
    assert asyncio.run(room.world.commands()) == commands
    moved = [item.data for item in commands if isinstance(item.data, CopyImage | RemoveTag)]
    back = [str(item.target) for item in moved if item.policy == "(rollback)"]
    assert len(back) == len(set(back))


@pytest.mark.parametrize("at", range(4))
def test_a_proposal_or_approval_that_breaks_off_is_completed_by_the_same_command(room: Room, at: int) -> None:
    room.plan(BAD)

    def break_off() -> None:
        count = 0

        async def lose(_: Append) -> None:
            nonlocal count
            count += 1
            if count > at:
                raise LogUnavailableError("the broker went away")

        room.world.log.before_append = lose

    break_off()
    room.type("propose", room.file, "--reason", "it loses orders", code=3)
    room.world.log.before_append = None
    if at:
        plan_id = json.loads(Path(room.file).read_text())["plan_id"]
        assert f"only {at} of the 4 steps" in room.approve(plan_id, code=2)
    plan_id = room.propose()
    break_off()
    room.type("approve", plan_id, by="bob", code=3)
    room.world.log.before_append = None
    asyncio.run(room.world.carry_out())
    if at < 4:
        room.approve(plan_id)
    assert room.world.tags[f"{PROD}:1"] == digest("good")
    approved = [event["id"] for event in room.events() if event["type"] == "rollback.approved"]
    assert len(approved) == len(set(approved)) == 4
