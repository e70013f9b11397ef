"""Decisions: verdicts, their order, their ids, and when there is none."""

from collections.abc import Sequence

import pytest

from schemas.catalogue import EVENT_TYPES, encode
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.examples import EXAMPLES
from schemas.references import Frozen
from tests.support.builders import (
    arrived,
    at,
    command,
    deleted,
    digest,
    failed,
    outcome,
    policy,
    proposed,
    published,
    pushed,
    rule,
    skipped,
    ticked,
)
from towline import limits
from towline.policy.evolve import evolve
from towline.policy.plan import plan
from towline.policy.state.values import CLOCK_KEY, Draft
from towline.policy.step import MemoryState, Step

STABLE = rule("ends-with", "-stable")
TO_QA = policy("to-qa", "local/dev/app", "local/qa/app", STABLE)
TO_REMOTE = policy("to-remote", "local/dev/app", "remote/app", tag="%n-%Y%m%d")
ONWARD = policy("onward", "local/qa/app", "remote/qa")


def run(*events: Envelope[Frozen], state: MemoryState | None = None) -> list[Step]:
    state = state or MemoryState()
    return [state.step(event) for event in events]


def last(*events: Envelope[Frozen]) -> Sequence[Envelope[Decision]]:
    return run(*events)[-1].decisions


def verdicts(decisions: Sequence[Envelope[Decision]]) -> dict[str | None, str]:
    return {decision.data.policy: decision.data.verdict for decision in decisions}


def test_a_push_that_meets_all_rules_is_promoted_within_and_mirrored_to_another_registry() -> None:
    decisions = last(published(TO_REMOTE, TO_QA), pushed("local/dev/app:1-stable", "one"))
    assert verdicts(decisions) == {"to-qa": "promote", "to-remote": "mirror"}
    assert [decision.data.policy for decision in decisions] == ["to-qa", "to-remote"], "in the order of names"
    assert [str(decision.data.target) for decision in decisions] == [
        "local/qa/app:1-stable",
        "remote/app:1-stable-20261124",
    ]
    assert {decision.data.digest for decision in decisions} == {digest("one")}
    for decision in decisions:
        (copy,) = plan(decision)
        assert (copy.data.source, copy.data.digest, copy.data.target) == (
            decision.data.source, decision.data.digest, decision.data.target,
        )  # fmt: skip


def test_a_command_tells_its_decision_and_how_many_transfers_led_here_and_has_an_id_of_its_own() -> None:
    made = [
        decision
        for image, hops in (("one", 1), ("two", 3))
        for decision in last(published(ONWARD), arrived("local/qa/app:1", image, hops=hops))
    ]
    commands = [command for decision in made for command in plan(decision)]
    assert [command.data.hops for command in commands] == [2, 4]
    assert [command.data.decision_id for command in commands] == [decision.id for decision in made]
    assert len({command.id for command in commands} | {decision.id for decision in made}) == 4
    assert [encode(command) for decision in made for command in plan(decision)] == [encode(item) for item in commands]


def test_a_push_that_fails_a_rule_is_denied_with_the_rule_and_nothing_is_commanded() -> None:
    (decision,) = last(published(TO_QA), pushed("local/dev/app:nightly", "one"))
    assert decision.data.verdict == "deny"
    assert decision.data.reason == "tag ends-with -stable fails for nightly"
    assert [finding.result for finding in decision.data.rules] == ["fails"]
    assert plan(decision) == ()


def test_a_push_without_a_policy_is_recorded_as_ignored() -> None:
    for events in ((), (published(TO_QA),)):
        (decision,) = last(*events, pushed("local/dev/other:1", "one"))
        assert (decision.data.verdict, decision.data.policy, decision.data.target) == ("ignore", None, None)
        assert "no policy of revision" in decision.data.reason


def test_equal_events_under_equal_policies_make_equal_bytes() -> None:
    events = (published(TO_QA, TO_REMOTE), pushed("local/dev/app:1-stable", "one"))
    assert [encode(d) for d in last(*events)] == [encode(d) for d in last(*events)]


def test_another_event_revision_policy_or_target_makes_another_id() -> None:
    push = pushed("local/dev/app:1-stable", "one")
    variants = [
        (published(TO_QA), push),
        (published(TO_QA), pushed("local/dev/app:1-stable", "one", key="another delivery")),
        (published(TO_QA, revision=2), push),
        (published(policy("renamed", "local/dev/app", "local/qa/app", STABLE)), push),
        (published(policy("to-qa", "local/dev/app", "local/qa/elsewhere", STABLE)), push),
    ]
    ids = {last(*events)[0].id for events in variants}
    assert len(ids) == len(variants)


def test_a_redelivery_of_the_same_event_is_no_second_decision() -> None:
    push, other = pushed("local/dev/app:1-stable", "one"), pushed("local/dev/app:1-stable", "two")
    steps = run(published(TO_QA), push, push, other, push)
    assert [len(step.decisions) for step in steps] == [0, 1, 0, 1, 0]
    assert steps[2].changes == steps[4].changes == ()


def test_a_redelivery_beyond_the_window_is_judged_again() -> None:
    push = pushed("local/dev/app:1-stable", "one")
    others = [pushed("local/dev/app:1-stable", f"other {n}") for n in range(limits.recent_event_count)]
    assert last(published(TO_QA), push, *others[:-1], push) == ()
    assert verdicts(last(published(TO_QA), push, *others, push)) == {"to-qa": "promote"}


def test_the_digest_that_the_tag_has_already_is_ignored_until_a_new_revision_is_in_force() -> None:
    again = pushed("local/dev/app:1-stable", "one", key="pushed again")
    (decision,) = last(published(TO_QA), pushed("local/dev/app:1-stable", "one"), again)
    assert (decision.data.verdict, decision.data.policy) == ("ignore", None)
    later = published(TO_QA, TO_REMOTE, revision=2)
    decisions = last(published(TO_QA), pushed("local/dev/app:1-stable", "one"), later, again)
    assert verdicts(decisions) == {"to-qa": "promote", "to-remote": "mirror"}


def test_a_tag_that_was_deleted_and_pushed_again_is_judged_again() -> None:
    again = pushed("local/dev/app:1-stable", "one", key="pushed again")
    steps = run(published(TO_QA), pushed("local/dev/app:1-stable", "one"), deleted("local/dev/app:1-stable"), again)
    assert steps[2].decisions == ()
    assert verdicts(steps[3].decisions) == {"to-qa": "promote"}


def test_the_outcome_of_a_transfer_is_an_arrival_and_the_webhook_that_follows_changes_nothing() -> None:
    outcome_event = arrived("local/qa/app:1", "one", hops=1)
    steps = run(published(ONWARD), outcome_event, pushed("local/qa/app:1", "one"))
    (decision,) = steps[1].decisions
    assert (decision.data.verdict, decision.data.policy, decision.data.hops) == ("mirror", "onward", 2)
    assert verdicts(steps[2].decisions) == {None: "ignore"}


def test_a_skipped_transfer_is_an_arrival_too_and_a_failed_one_is_not() -> None:
    copy = command("local/dev/app:1", "local/qa/app:1", "one")
    assert verdicts(last(published(ONWARD), outcome(skipped(copy.id, copy.data)))) == {"onward": "mirror"}
    (_, step) = run(published(ONWARD), outcome(failed(copy.id, copy.data)))
    assert (step.decisions, step.changes) == ((), ())


def test_too_many_transfers_in_a_row_are_denied() -> None:
    (allowed,) = last(published(ONWARD), arrived("local/qa/app:1", "one", hops=limits.hop_count - 1))
    assert allowed.data.verdict == "mirror"
    (denied,) = last(published(ONWARD), arrived("local/qa/app:1", "one", hops=limits.hop_count))
    assert denied.data.verdict == "deny"
    assert "looks like a loop" in denied.data.reason


def test_a_template_whose_result_is_no_tag_is_denied_with_the_reason() -> None:
    (decision,) = last(published(TO_REMOTE), pushed("local/dev/app:" + "x" * 128, "one"))
    assert (decision.data.verdict, decision.data.target) == ("deny", None)
    assert "makes no valid tag" in decision.data.reason


def test_the_tag_is_resolved_at_the_time_of_the_event_and_not_at_what_the_sender_says() -> None:
    late = pushed("local/dev/app:1", "one", time="2031-05-06T00:00:00.000000Z")
    (decision,) = last(published(TO_REMOTE), late)
    assert str(decision.data.target) == "remote/app:1-20310506"
    assert decision.time == late.time


def test_an_older_or_repeated_revision_changes_nothing() -> None:
    steps = run(published(TO_QA, revision=2), published(TO_REMOTE, revision=1), published(TO_REMOTE, revision=2))
    assert [bool(step.changes) for step in steps] == [True, False, False]


def test_a_tick_from_the_past_changes_nothing() -> None:
    state = MemoryState()
    steps = run(ticked(30), ticked(10), ticked(30), ticked(60), state=state)
    assert [bool(step.changes) for step in steps] == [True, False, False, True]
    assert state.get(CLOCK_KEY) == {"now": at(60)}


def test_of_two_proposals_that_name_the_same_revision_the_first_is_published() -> None:
    first, second = proposed(TO_QA, actor="ann"), proposed(TO_REMOTE, actor="bob")
    steps = run(first, second, first)
    assert [len(step.announcements) for step in steps] == [1, 0, 0]
    (announcement,) = steps[0].announcements
    assert (announcement.data.revision, announcement.data.actor) == (1, "ann")
    assert announcement.data.proposal_id == first.id


def test_a_proposal_that_is_taken_again_after_a_crash_announces_the_same_bytes() -> None:
    once, twice = (run(proposed(TO_QA))[0].announcements for _ in range(2))
    assert [encode(a) for a in once] == [encode(a) for a in twice]


def test_a_proposal_that_skips_a_revision_is_refused() -> None:
    assert [len(step.announcements) for step in run(proposed(TO_QA, replaces=1))] == [0]
    steps = run(proposed(TO_QA), proposed(TO_REMOTE, replaces=1))
    assert [step.announcements[0].data.revision for step in steps] == [1, 2]


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_every_type_of_event_has_a_branch_whose_changes_are_absolute(type_: str) -> None:
    draft = Draft(MemoryState())
    evolve(draft, EXAMPLES[type_])
    state = MemoryState()
    state.apply(draft.changes)
    before = dict(state.values)
    state.apply(draft.changes)
    assert state.values == before
