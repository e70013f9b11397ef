"""``replay what-if``: what other policies would have made of the past, and nothing else."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from schemas.catalogue import decode, encode
from schemas.envelope import Envelope
from schemas.policies import Policy, PolicySet
from schemas.references import Frozen
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.replay import recorded
from streams.replay import what_if as evaluation
from streams.replay.what_if import WhatIf, what_if
from streams.routing import POLICIES_KEY, broadcast_appends
from streams.topics import EVENTS
from tests.support.builders import at, deleted, digest, policy, published, pushed, record_events, rule, rule_on, ticked
from tests.support.checkers import all_records
from tests.support.facts import inspected, listed, poll_completed, requested, scanned, vulnerability
from tests.support.recorded import Endings, always_completed, in_turn, recorded_log
from tests.support.world import PARTITIONS
from towline.policy.contents import EMPTY
from towline.replay.differences import KINDS, Change, TagChange

CLEAN = rule_on("vulnerability_all", "=", "0")
DEV, QA, PROD = "local/dev/app", "local/qa/app", "local/prod/app"
STABLE = policy("to-qa", DEV, QA, rule("ends-with", "-stable"))
ALL = policy("to-qa", DEV, QA)
ONWARD = policy("to-prod", QA, PROD)
OTHER = policy("other", "local/dev/other", "local/qa/other")


def push(tag: str, image: str, seconds: int, repository: str = DEV, key: str | None = None) -> Envelope[Frozen]:
    return pushed(f"{repository}:{tag}", image, time=at(seconds), key=key)


PUSHES = (push("1-stable", "one", 10), push("2", "two", 20))


def tried(
    history: tuple[Envelope[Frozen], ...], *policies: Policy, endings: Endings = always_completed, **more: Any
) -> WhatIf:
    """What a set makes of a history; the same quickly and from scratch."""

    async def both() -> tuple[WhatIf, WhatIf]:
        log = await recorded_log(history, endings)
        before = [record.value for record in await all_records(log, EVENTS)]
        some = PolicySet(policies=policies)
        found = await what_if(log, some, **more), await what_if(log, some, from_scratch=True, **more)
        assert [record.value for record in await all_records(log, EVENTS)] == before
        return found

    quick, scratch = asyncio.run(both())
    assert quick.changes == scratch.changes
    return quick


def told(result: WhatIf) -> dict[str, list[str]]:
    """What changes, by kind: the policy and where the image goes, or is."""
    return {
        kind: lines
        for kind in KINDS
        if (
            lines := [f"{changes.policy}: {_line(one)}" for changes in result.changes for one in getattr(changes, kind)]
        )
    }


def _line(one: Change | TagChange) -> str:
    if isinstance(one, TagChange):
        return f"{one.source}: {', '.join(one.recorded)} -> {', '.join(one.proposed)}"
    return one.target or one.source


def test_what_a_wider_rule_lets_through_is_newly_promoted_to_the_end_of_the_chain() -> None:
    result = tried((published(STABLE, ONWARD), *PUSHES), ALL, ONWARD)
    assert told(result) == {"newly_promoted": [f"to-prod: {PROD}:2", f"to-qa: {QA}:2"]}
    (change,) = result.changes[1].newly_promoted
    assert (change.source, change.digest, change.time) == (f"{DEV}:2", digest("two"), at(20))


def test_what_a_narrower_rule_stops_is_no_longer_promoted_nor_is_what_followed() -> None:
    result = tried((published(ALL, ONWARD), *PUSHES), STABLE, ONWARD)
    assert told(result) == {
        "no_longer_promoted": [f"to-prod: {PROD}:2", f"to-qa: {QA}:2"],
        "new_denials": [f"to-qa: {QA}:2"],
    }


def test_another_tag_in_the_same_repository_is_a_changed_target_tag() -> None:
    result = tried((published(STABLE), *PUSHES), policy("to-qa", DEV, QA, rule("ends-with", "-stable"), tag="v-%n"))
    assert told(result)["changed_tags"] == [f"to-qa: {DEV}:1-stable: {QA}:1-stable -> {QA}:v-1-stable"]
    assert "newly_promoted" not in told(result)
    assert "no_longer_promoted" not in told(result)


def test_a_fact_that_nobody_told_makes_new_holds_and_the_rule_gone_releases_them() -> None:
    strict = policy("to-qa", DEV, QA, CLEAN)
    assert told(tried((published(ALL), *PUSHES), strict))["new_holds"] == [f"to-qa: {QA}:1-stable", f"to-qa: {QA}:2"]
    released = told(tried((published(strict), *PUSHES), ALL))
    assert released["released_holds"] == [f"to-qa: {QA}:1-stable", f"to-qa: {QA}:2"]


def test_two_policies_that_want_one_target_tag_for_different_digests_are_new_conflicts() -> None:
    first = policy("a", DEV, PROD, rule("ends-with", "-stable"), tag="stable")
    second = policy("b", DEV, PROD, rule("not-one-of", "1-stable"), tag="stable")
    result = tried((published(first), *PUSHES), first, second)
    assert told(result)["new_conflicts"] == [f"b: {PROD}:stable"]


def test_another_name_for_the_same_policy_changes_nothing_of_what_happens() -> None:
    result = tried((published(STABLE), *PUSHES), policy("renamed", DEV, QA, rule("ends-with", "-stable")))
    assert set(told(result)) <= {"new_denials"}


def test_a_policy_in_shadow_or_disabled_promotes_nothing() -> None:
    for mode in ("shadow", "disabled"):
        result = tried((published(ALL), *PUSHES), policy("to-qa", DEV, QA, mode=mode))
        assert told(result) == {"no_longer_promoted": [f"to-qa: {QA}:1-stable", f"to-qa: {QA}:2"]}


def test_a_copy_that_failed_has_failed_here_too_and_a_new_one_is_taken_as_made() -> None:
    history = (published(ALL, ONWARD), *PUSHES)
    changed = policy("to-prod", QA, PROD, tag="v-%n")
    result = tried(history, ALL, changed, endings=in_turn(["failed"]))
    assert told(result) == {}, "nothing came to qa, so nothing goes on"
    result = tried(history, policy("to-qa", DEV, QA, tag="v-%n"), ONWARD, endings=in_turn(["failed"]))
    assert "to-prod: local/prod/app:v-2" in told(result)["newly_promoted"]


def test_a_copy_that_is_not_made_yet_when_the_window_ends_is_not_made_here_either() -> None:
    history = (published(ALL, ONWARD), *PUSHES)
    assert told(tried(history, ALL, policy("to-prod", QA, PROD, tag="v-%n"), endings=in_turn(["never"]))) == {}


def test_what_a_registry_tells_of_a_copy_is_left_out_where_the_copy_is_not_made() -> None:
    echo = push("2", "two", 21, QA, key="the webhook of the target")
    result = tried((published(ALL, ONWARD), *PUSHES, echo), STABLE, ONWARD)
    assert f"to-prod: {PROD}:2" in told(result)["no_longer_promoted"]


def test_a_push_of_the_same_image_before_the_copy_was_decided_is_a_push() -> None:
    by_hand = push("2", "two", 5, QA)
    result = tried((published(ALL, ONWARD), by_hand, *PUSHES), STABLE, ONWARD)
    assert told(result)["no_longer_promoted"] == [f"to-qa: {QA}:2"]


def test_a_listing_of_a_target_does_not_deny_what_only_the_proposed_policies_brought_there() -> None:
    page = listed(QA, "1-stable", time=at(30))
    # It is judged again with the next revision, if it is still there.
    history = (published(STABLE), *PUSHES, page, replace(published(STABLE, OTHER, revision=2), time=at(40)))
    again = policy("to-prod", QA, PROD, CLEAN)
    look, scan = inspected(QA, "two", time=at(50)), scanned(QA, "two", time=at(50))
    result = tried((*history, look, scan), ALL, again)
    assert f"to-prod: {PROD}:2" in told(result)["newly_promoted"]


def test_facts_travel_with_what_is_promoted_here() -> None:
    clean = policy("to-prod", QA, PROD, CLEAN)
    look, scan = inspected(DEV, "two", time=at(14)), scanned(DEV, "two", time=at(15))
    result = tried((published(STABLE, clean), PUSHES[0], look, scan, PUSHES[1]), ALL, clean)
    assert told(result)["newly_promoted"] == [f"to-prod: {PROD}:2", f"to-qa: {QA}:2"]
    bad = scanned(DEV, "two", vulnerability("CVE-1"), time=at(15))
    result = tried((published(STABLE, clean), PUSHES[0], look, bad, PUSHES[1]), ALL, clean)
    assert told(result)["newly_promoted"] == [f"to-qa: {QA}:2"]


def test_removals_of_what_vanished_are_told() -> None:
    follows = policy("to-qa", DEV, QA, deletions="100%")
    emptied = (published(follows), push("1", "one", 10), deleted(f"{DEV}:1", time=at(20)), _empty(30))
    assert told(tried(emptied, ALL)) == {"no_longer_removed": [f"to-qa: {QA}:1"]}
    kept = (published(ALL), *emptied[1:])
    assert told(tried(kept, follows)) == {"newly_removed": [f"to-qa: {QA}:1"]}


def _empty(seconds: int) -> Envelope[Frozen]:
    return poll_completed(DEV, contents=EMPTY, time=at(seconds))


def test_what_is_in_the_sources_when_the_window_begins_is_judged_too() -> None:
    history = (published(STABLE), *PUSHES, ticked(100))
    result = tried(history, ALL, from_time=at(50))
    assert told(result)["newly_promoted"] == [f"to-qa: {QA}:2"]
    quiet = policy("to-qa", DEV, QA, initial_evaluation=False)
    assert told(tried(history, quiet, from_time=at(50))) == {}


def test_a_window_ends_before_its_last_moment() -> None:
    history = (published(STABLE), *PUSHES, push("3", "three", 30))
    assert told(tried(history, ALL, to_time=at(21)))["newly_promoted"] == [f"to-qa: {QA}:2"]
    assert told(tried(history, ALL, to_time=at(20))) == {}


def test_before_the_window_policies_were_those_that_were_in_force() -> None:
    history = (published(STABLE), *PUSHES, replace(published(ALL, revision=2), time=at(40)), push("3", "three", 50))
    result = tried(history, STABLE, from_time=at(45))
    assert told(result)["no_longer_promoted"] == [f"to-qa: {QA}:3"], "2 was promoted before the window"


def test_publications_in_the_window_are_those_of_the_proposed_set() -> None:
    history = (published(STABLE), PUSHES[0], replace(published(ALL, revision=2), time=at(15)), PUSHES[1])
    assert told(tried(history, STABLE))["no_longer_promoted"] == [f"to-qa: {QA}:2"]


def test_a_promotion_by_hand_stays_and_what_follows_from_it_is_judged_anew() -> None:
    ask = requested(f"{DEV}:2", "two", f"{QA}:by-hand", time=at(30))
    history = (published(STABLE), *PUSHES, ask)
    result = tried(history, STABLE, ONWARD)
    assert f"to-prod: {PROD}:by-hand" in told(result)["newly_promoted"]
    assert f"(manual): {QA}:by-hand" not in str(told(result))


def test_events_that_the_evaluator_sets_aside_are_left_out() -> None:
    async def run() -> WhatIf:
        log = await recorded_log((published(STABLE), PUSHES[0]))
        await record_events(log, PUSHES[1], partitions=PARTITIONS)  # Nobody decides on it.
        records = await all_records(log, EVENTS)
        place = next((one.partition, one.offset) for one in records if decode(one.value or b"").id == PUSHES[1].id)
        return await what_if(log, PolicySet(policies=(ALL,)), quarantined={place})

    assert told(asyncio.run(run())) == {}


def test_records_that_are_no_events_are_passed_over() -> None:
    async def run() -> WhatIf:
        log = await recorded_log((published(STABLE), *PUSHES))
        for value in (b"", b"\xff", b'{"time":"9999"}', encode(push("9", "nine", 1, "local/elsewhere"))):
            await log.append(Append(EVENTS, DEV.encode(), value))
        return await what_if(log, PolicySet(policies=(ALL,)))

    assert told(asyncio.run(run()))["newly_promoted"] == [f"to-qa: {QA}:2"]


def test_a_publication_that_was_delivered_again_and_an_older_one_change_nothing() -> None:
    async def run() -> WhatIf:
        log = await recorded_log((published(STABLE), replace(published(ALL, revision=2), time=at(1)), *PUSHES))
        again = broadcast_appends(replace(published(STABLE), time=at(60)), POLICIES_KEY, PARTITIONS)
        await log.append_all(again)
        return await what_if(log, PolicySet(policies=(ALL,)))

    result = asyncio.run(run())
    assert told(result) == {}
    assert sorted(result.window.sets) == [1, 2]


def test_an_outcome_that_a_slow_clock_dates_before_its_decision_is_the_outcome() -> None:
    async def run() -> WhatIf:
        log = MemoryLog(partitions=PARTITIONS)
        made = await recorded_log((published(ALL, ONWARD), *PUSHES), in_turn(["failed"]))
        for topic in log._counts:
            for record in await all_records(made, topic):
                value = record.value or b""
                if b'"transfer.failed"' in value:
                    value = encode(replace(decode(value), time=at(2)))
                await log.append(Append(topic, record.key, value, record.partition))
        return await what_if(log, PolicySet(policies=(ALL, policy("to-prod", QA, PROD, tag="v-%n"))))

    assert told(asyncio.run(run())) == {}


def test_only_what_the_changes_can_reach_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = [push(str(number), f"image {number}", number, "local/dev/other") for number in range(50)]
    log = asyncio.run(recorded_log((published(STABLE, ONWARD, OTHER), *PUSHES, *elsewhere)))
    decoded: list[str] = []
    for module in (recorded, evaluation):
        original = module.read_event

        def spied(record: Any, partitions: int, original: Any = original) -> Any:
            decoded.append((record.key or b"").decode())
            return original(record, partitions)

        monkeypatch.setattr(module, "read_event", spied)
    result = asyncio.run(what_if(log, PolicySet(policies=(ALL, ONWARD, OTHER))))
    assert result.changed_policies == ["to-qa"]
    assert result.repositories == 3
    assert set(decoded) == {DEV, QA, PROD, "policies"}


def test_the_policies_that_were_in_force_change_nothing_and_nothing_is_folded() -> None:
    result = tried((published(STABLE, ONWARD), *PUSHES), STABLE, ONWARD)
    assert (result.changes, result.changed_policies, result.repositories) == ([], [], 0)


def test_what_followed_from_a_target_that_is_not_one_any_more_is_looked_at_too() -> None:
    moved = policy("to-qa", DEV, "local/elsewhere/app")
    result = tried((published(ALL, ONWARD), PUSHES[0]), moved, ONWARD)
    assert told(result)["no_longer_promoted"] == [f"to-prod: {PROD}:1-stable", f"to-qa: {QA}:1-stable"]


def test_what_a_person_took_further_is_looked_at_too() -> None:
    onward = policy("onward", "local/hand/app", "local/final/app", CLEAN)
    facts = (inspected(DEV, "two", time=at(14)), scanned(DEV, "two", time=at(15)))
    ask = requested(f"{QA}:2", "two", "local/hand/app:2", time=at(30))
    result = tried((published(STABLE, onward), *facts, *PUSHES, ask), ALL, onward)
    assert "onward: local/final/app:2" in told(result)["newly_promoted"]


def test_what_was_decided_before_the_window_and_is_delivered_again_in_it_was_decided_before() -> None:
    history = (published(STABLE), PUSHES[0], push("2", "two", 20), PUSHES[0])
    assert told(tried(history, STABLE, from_time=at(15))) == {}


def test_an_empty_log_is_no_trouble() -> None:
    result = tried((), ALL)
    assert (result.changes, result.window.first_time, result.window.events) == ([], None, 0)
