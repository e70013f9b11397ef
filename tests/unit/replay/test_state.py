"""``replay state``: what was under a tag at a moment, since when, by whom and by which revision."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas.envelope import Envelope
from schemas.references import Frozen, Repository
from streams.cli import app, replay_state
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.replay.state import StateAt, state_at
from streams.topics import EVENTS
from tests.support.builders import at, deleted, digest, policy, published, pushed, record_events, rule_on, ticked
from tests.support.checkers import all_records
from tests.support.facts import approved, listed, observed, requested
from tests.support.hints import hinted
from tests.support.recorded import in_turn, recorded_log, to_be_read
from tests.support.world import PARTITIONS

DEV, QA, PROD = "local/dev/app", "local/qa/app", "local/prod/app"
APPROVED = rule_on("approved", ">=", "1")
SET = (policy("to-qa", DEV, QA), policy("to-prod", QA, PROD, APPROVED, tag="stable"))


def push(tag: str, image: str, seconds: int, **more: Any) -> Envelope[Frozen]:
    return pushed(f"{DEV}:{tag}", image, time=at(seconds), **more)


HISTORY = (
    published(*SET),
    push("1", "one", 10),
    approved(QA, "one", "to-prod", "ann", time=at(20)),
    replace(published(*SET, policy("other", "local/dev/other", "local/qa/other"), revision=2), time=at(30)),
    push("2", "two", 40),
    approved(QA, "two", "to-prod", "bob", time=at(50)),
    push("3", "three", 60),
)


def state(history: tuple[Envelope[Frozen], ...], seconds: int, *places: str, **more: Any) -> StateAt:
    async def run() -> StateAt:
        log = await recorded_log(history, in_turn(more.pop("endings", [])))
        return await state_at(log, at(seconds), [Repository.parse(place) for place in places], **more)

    return asyncio.run(run())


def tag(found: StateAt, reference: str) -> dict[str, Any]:
    (one,) = (one for one in found.tags if one.reference == reference)
    return {name: getattr(one, name) for name in one.__slots__}


def test_a_target_tag_is_told_with_its_policy_its_revision_its_source_and_who_pushed_it() -> None:
    early, late = (tag(state(HISTORY, seconds, PROD), f"{PROD}:stable") for seconds in (30, 50))
    expected = {"policy": "to-prod", "how": "transferred", "pushed_by": "ci", "actor": None}
    assert early | expected | {"digest": digest("one"), "since": at(20), "revision": 1, "source": f"{QA}:1"} == early
    assert late | expected | {"digest": digest("two"), "since": at(50), "revision": 2, "source": f"{QA}:2"} == late
    assert early["decided_on"] == HISTORY[2].id


def test_a_moment_has_what_was_recorded_at_it_and_nothing_later() -> None:
    assert state(HISTORY, 9, DEV).unknown == [DEV]
    assert tag(state(HISTORY, 10, DEV), f"{DEV}:1")["actor"] == "ci"
    assert [one.reference for one in state(HISTORY, 59, DEV).tags] == [f"{DEV}:1", f"{DEV}:2"]


def test_open_holds_tell_what_they_wait_for_and_go_when_it_comes() -> None:
    (hold,) = tag(state(HISTORY, 19, QA), f"{QA}:1")["holds"]
    assert (hold.policy, hold.target, hold.since) == ("to-prod", f"{PROD}:stable", at(10))
    assert "approv" in hold.reason
    assert tag(state(HISTORY, 20, QA), f"{QA}:1")["holds"] == ()


def test_policies_in_force_are_those_of_the_moment() -> None:
    before, after = state(HISTORY, 29), state(HISTORY, 30)
    assert (before.revision, len(before.policies), after.revision, len(after.policies)) == (1, 2, 2, 3)
    about = [one.name for one in after.policies_about([Repository.parse(QA)])]
    assert about == ["to-prod", "to-qa"]


def test_the_partitions_tell_up_to_which_offset_they_were_read() -> None:
    found = state(HISTORY, 30)
    assert len(found.partitions) == PARTITIONS
    assert all(one.time is not None and one.time <= at(30) for one in found.partitions)
    assert state((), 30).partitions[0].offset is None


def test_a_clock_that_is_ahead_ends_its_partition_before_its_event() -> None:
    ahead = push("ahead", "ahead", 1000)
    found = state((*HISTORY[:2], ahead, push("2", "two", 40)), 100, DEV)
    assert [one.reference for one in found.tags] == [f"{DEV}:1"]


def test_promotions_by_hand_name_the_person() -> None:
    asked = requested(f"{DEV}:1", "one", f"{PROD}:by-hand", by="eve", time=at(70))
    one = tag(state((*HISTORY, asked), 80, PROD), f"{PROD}:by-hand")
    assert (one["policy"], one["actor"], one["revision"]) == ("(manual)", "eve", 2)


def test_what_the_registry_told_of_a_copy_before_its_outcome_is_the_copy() -> None:
    echo = pushed(f"{QA}:1", "one", time=at(11), actor="robot", key="webhook of the target")
    one = tag(state((*HISTORY[:2], echo), 12, QA, endings=["never"]), f"{QA}:1")
    assert (one["policy"], one["actor"]) == (None, "robot"), "the outcome is not recorded yet"
    one = tag(state((*HISTORY[:2], echo, ticked(15)), 20, QA, endings=["late"]), f"{QA}:1")
    assert (one["policy"], one["pushed_by"], one["since"]) == ("to-qa", "ci", at(11))


def test_tags_that_are_gone_tell_how() -> None:
    gone = tag(state((*HISTORY, deleted(f"{DEV}:1", time=at(70))), 80, DEV), f"{DEV}:1")
    assert (gone["digest"], gone["how"], gone["since"]) == (None, "deleted", at(70))
    unlisted = tag(state((*HISTORY, listed(DEV, "2", time=at(70))), 80, DEV), f"{DEV}:1")
    assert (unlisted["digest"], unlisted["how"]) == (None, "not listed any more")


def test_what_a_look_found_and_what_a_hint_says_are_told_apart() -> None:
    history = (*HISTORY, observed(f"{DEV}:4", "four", time=at(70)), hinted(f"{DEV}:5"))
    found = state(history, 80, DEV)
    assert tag(found, f"{DEV}:4")["how"] == "found"
    assert f"{DEV}:5" not in {one.reference for one in found.tags}


def test_events_that_are_set_aside_and_records_that_are_none_are_left_out() -> None:
    async def run() -> StateAt:
        log = await recorded_log(HISTORY)
        await record_events(log, push("9", "nine", 70), partitions=PARTITIONS)
        last = [one for one in await all_records(log, EVENTS) if one.key == DEV.encode()][-1]
        await log.append(Append(EVENTS, DEV.encode(), b"no event"))
        place = {(last.partition, last.offset)}
        return await state_at(log, at(99), [Repository.parse(DEV)], quarantined=place)

    assert [one.reference for one in asyncio.run(run()).tags] == [f"{DEV}:{number}" for number in "123"]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryLog:
    made = asyncio.run(recorded_log((*HISTORY, deleted(f"{DEV}:1", time=at(70)))))
    to_be_read(monkeypatch, tmp_path, replay_state, made)
    return made


def called(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["replay", "state", *arguments])


def test_one_line_answers_what_it_was_by_whom_and_by_which_revision(log: MemoryLog) -> None:
    result = called("--at", at(35), f"{PROD}:stable")
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.stdout.splitlines() if line.startswith(f"{PROD}:stable"))
    told = f"{digest('one')}  {at(20)}  policy to-prod, pushed by ci  1         {QA}:1  {EVENTS}/"
    assert told in line
    assert "revision 2, 3 policies in force" in result.stdout
    assert f"to-prod: {QA} -> {PROD}" in result.stdout
    assert "other:" not in result.stdout


def test_holds_are_a_table_of_their_own(log: MemoryLog) -> None:
    lines = called("--at", at(15), QA).stdout.splitlines()
    assert any(line.startswith(f"{QA}:1  to-prod  {at(10)}  {PROD}:stable") for line in lines)


def test_a_tag_that_is_gone_is_told_only_when_it_is_named(log: MemoryLog) -> None:
    assert f"{DEV}:1 " not in called("--at", at(80), DEV).stdout
    named = called("--at", at(80), f"{DEV}:1")
    assert named.exit_code == 0
    assert re_line(named.stdout, f"{DEV}:1").split()[1] == "deleted"


def re_line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_without_a_repository_all_are_told(log: MemoryLog) -> None:
    report = json.loads(called("--at", "now", "--json").stdout)
    assert {one["reference"].rpartition(":")[0] for one in report["tags"]} == {DEV, QA, PROD}
    assert set(report) == {"at", "revision", "policies_digest", "policies", "partitions", "tags", "unknown"}
    assert [one["name"] for one in report["policies"]] == ["other", "to-prod", "to-qa"]


def test_a_repository_of_which_the_log_knew_nothing_is_a_finding_with_a_hint(log: MemoryLog) -> None:
    for place in ("local/no/such", f"{DEV}:none"):
        result = called("--at", at(80), place)
        assert result.exit_code == 1
        assert f"the log knew nothing of {place} at" in result.stderr
    assert json.loads(called("--at", at(80), DEV, "local/no/such", "--json").stdout)["unknown"] == ["local/no/such"]


def test_what_is_no_repository_and_no_moment_is_misuse(log: MemoryLog) -> None:
    assert called("--at", at(80), "UPPER").exit_code == 2
    assert called("--at", "noon", DEV).exit_code == 2
    assert called(DEV).exit_code == 2
