"""Rollbacks: nobody alone moves a tag back, and what was rolled back does not come back by itself."""

from dataclasses import replace

import pytest

from schemas.decisions import ROLLBACK
from schemas.envelope import Envelope
from schemas.events import PromotionRequested, RetriedTransfer
from schemas.policies import CopyOptions
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred
from tests.support.builders import arrived, deleted, digest, policy, published, pushed, ticked
from tests.support.facts import requested
from tests.support.rollbacks import back, barred, rollback_approved, rollback_requested
from tests.unit.policy.playing import DEV, QA, Partition

TARGET = f"{QA}:1.0"
STEP = back(TARGET, "bad", "good")
REQUEST = rollback_requested(STEP)


@pytest.fixture
def partition() -> Partition:
    """The target's partition: it has the bad image, and had the good one before."""
    return Partition(arrived(TARGET, "good", hops=1), arrived(TARGET, "bad", hops=1))


def announced(partition: Partition) -> list[Envelope[Frozen]]:
    return [] if partition.step is None else [*partition.step.announcements]


def test_a_proposal_waits_for_another_person_and_moves_nothing(partition: Partition) -> None:
    (made,) = partition.take(REQUEST)
    assert (made.policy, made.verdict, made.actor, str(made.target)) == (ROLLBACK, "hold", "alice", TARGET)
    assert "1 besides alice must approve" in made.reason
    assert not partition.copies
    assert not announced(partition)


def test_whoever_proposed_cannot_approve_and_another_still_can(partition: Partition) -> None:
    partition.take(REQUEST)
    (refused,) = partition.take(rollback_approved(REQUEST, by="alice"))
    assert (refused.verdict, refused.reason) == (
        "deny",
        "alice proposed this rollback: somebody else has to approve it",
    )
    assert not partition.copies
    assert not announced(partition)
    assert partition.verdicts(rollback_approved(REQUEST, by="bob")) == ["promote"]


def test_with_the_approval_of_another_the_tag_gets_what_it_had_within_its_own_repository(partition: Partition) -> None:
    partition.take(REQUEST)
    (made,) = partition.take(rollback_approved(REQUEST))
    assert "alice asked for it because of a defect: it loses orders" in made.reason
    assert "bob approved" in made.reason
    (copy,) = partition.copies
    assert (str(copy.source), str(copy.target), copy.digest, copy.policy) == (TARGET, TARGET, digest("good"), ROLLBACK)


def test_a_tag_that_was_not_there_before_is_removed_if_it_still_has_the_image(partition: Partition) -> None:
    request = rollback_requested(back(TARGET, "bad", None))
    partition.take(request)
    assert partition.verdicts(rollback_approved(request)) == ["remove"]
    (removal,) = partition.removals
    assert (str(removal.target), removal.digest) == (TARGET, digest("bad"))
    assert not partition.copies


def test_only_the_platforms_that_were_brought_are_looked_for(partition: Partition) -> None:
    request = rollback_requested(back(TARGET, "bad", "good", platforms=("linux/amd64",)))
    partition.take(request, rollback_approved(request))
    (copy,) = partition.copies
    assert (copy.options.platforms, copy.options.overwrite) == (("linux/amd64",), "if-different")


def test_two_approvals_are_of_two_people(partition: Partition) -> None:
    request = rollback_requested(STEP, approvals=2)
    assert (
        partition.verdicts(request, *(rollback_approved(request, by=name) for name in ("bob", "bob"))) == ["hold"] * 2
    )
    assert partition.verdicts(rollback_approved(request, by="carol")) == ["promote"]


def test_who_approved_is_told_in_one_order_whatever_the_state_kept(partition: Partition) -> None:
    request = rollback_requested(STEP, approvals=3)
    partition.take(request)
    for name in ("dave", "carol"):
        partition.take(rollback_approved(request, by=name))
    (made,) = partition.take(rollback_approved(request, by="bob"))
    assert "bob and carol and dave approved" in made.reason


def test_the_proposer_does_not_count_among_two_approvals(partition: Partition) -> None:
    request = rollback_requested(STEP, approvals=2)
    approvals = [rollback_approved(request, by=name) for name in ("alice", "bob")]
    assert partition.verdicts(request, *approvals) == ["hold", "deny", "hold"]


def test_the_same_once_more_decides_nothing(partition: Partition) -> None:
    approval = rollback_approved(REQUEST)
    partition.take(REQUEST)
    assert partition.take(REQUEST) == []
    partition.take(approval)
    assert partition.take(approval, rollback_approved(REQUEST, by="carol"), REQUEST) == []


def test_an_approval_of_another_proposal_counts_for_nothing(partition: Partition) -> None:
    other = rollback_requested(STEP, by="mallory")
    partition.take(REQUEST)
    assert partition.take(other, rollback_approved(other)) == []


def test_an_approval_before_its_proposal_counts_for_nothing(partition: Partition) -> None:
    assert partition.take(rollback_approved(REQUEST)) == []
    assert partition.verdicts(REQUEST) == ["hold"]


@pytest.mark.parametrize("later", [pushed(TARGET, "newer"), deleted(TARGET)])
def test_a_plan_that_is_outdated_is_denied_with_the_reason(partition: Partition, later: Envelope[Frozen]) -> None:
    partition.take(REQUEST, later)
    (made,) = partition.take(rollback_approved(REQUEST))
    assert made.verdict == "deny"
    assert f"the plan was made for {digest('bad')}" in made.reason
    assert "make another plan" in made.reason
    assert not partition.copies
    assert not announced(partition)


def test_a_plan_that_is_outdated_when_it_is_proposed_is_denied_at_once(partition: Partition) -> None:
    assert partition.verdicts(pushed(TARGET, "newer"), REQUEST) == ["ignore", "deny"]
    assert partition.take(rollback_approved(REQUEST)) == []


def test_a_tag_that_has_what_it_is_to_have_is_left_and_the_bad_image_barred(partition: Partition) -> None:
    partition.take(REQUEST, arrived(TARGET, "good", hops=1, key="by the policy before"))
    (made,) = partition.take(rollback_approved(REQUEST))
    assert made.verdict == "ignore"
    assert not partition.copies
    assert [type(event.data) for event in announced(partition)] == [DigestBarred]


def test_what_came_to_nothing_may_be_proposed_again(partition: Partition) -> None:
    again = rollback_requested(STEP, key="again")
    partition.take(REQUEST, rollback_approved(REQUEST))
    assert partition.take(REQUEST) == []
    assert partition.verdicts(again, rollback_approved(again)) == ["hold", "promote"]
    assert partition.take(REQUEST, again) == []


def source(*more: Envelope[Frozen], tag: str = "%n") -> Partition:
    return Partition(published(policy("to-qa", DEV, QA, tag=tag)), *more)


def test_an_approved_rollback_bars_its_image_in_every_partition(partition: Partition) -> None:
    partition.take(REQUEST, rollback_approved(REQUEST))
    (bar,) = announced(partition)
    elsewhere = source(bar)
    (made,) = elsewhere.take(pushed(f"{DEV}:1.0", "bad"))
    assert (made.verdict, str(made.target)) == ("deny", TARGET)
    assert "alice had this digest rolled back from local/qa/app: it loses orders" in made.reason
    assert not elsewhere.copies


def test_of_an_index_that_was_reduced_what_policies_would_bring_is_barred(partition: Partition) -> None:
    request = rollback_requested(back(TARGET, "bad", "good", commanded="whole"))
    partition.take(request, rollback_approved(request))
    (bar,) = announced(partition)
    assert source(bar).verdicts(pushed(f"{DEV}:1.0", "whole"), pushed(f"{DEV}:2.0", "bad")) == ["deny", "promote"]


def test_the_partition_of_the_target_knows_it_at_once(partition: Partition) -> None:
    partition.take(published(policy("to-qa", DEV, QA)), REQUEST, rollback_approved(REQUEST))
    assert partition.verdicts(pushed(f"{DEV}:1.0", "bad")) == ["deny"]


def test_the_bar_holds_under_whatever_tag_and_at_no_other_target() -> None:
    judged = Partition(
        published(policy("to-qa", DEV, QA, tag="%n-%Y"), policy("away", DEV, "remote/app")), barred(QA, "bad")
    )
    made = judged.take(pushed(f"{DEV}:1.0", "bad"))
    assert {(one.policy, one.verdict) for one in made} == {("away", "mirror"), ("to-qa", "deny")}


def test_a_later_revision_or_tick_does_not_bring_a_barred_image_again() -> None:
    judged = source(pushed(f"{DEV}:1.0", "bad"), barred(QA, "bad"))
    judged.take(published(policy("to-qa", DEV, QA), policy("more", DEV, "local/other"), revision=2))
    made = judged.take(ticked(60), pushed(f"{DEV}:1.0", "bad", key="again"))
    assert [(one.policy, one.verdict) for one in made if one.policy == "to-qa"] == [("to-qa", "deny")]


def test_another_image_is_promoted_as_ever() -> None:
    assert source(barred(QA, "bad")).verdicts(pushed(f"{DEV}:1.0", "mended")) == ["promote"]


def test_what_a_person_wants_there_all_the_same_is_free_again() -> None:
    judged = source(barred(QA, "bad"), pushed(f"{DEV}:1.0", "bad"))
    assert judged.verdicts(requested(f"{DEV}:1.0", "bad", TARGET), pushed(f"{DEV}:2.0", "bad")) == ["promote"] * 2
    assert judged.verdicts(barred(QA, "bad"), pushed(f"{DEV}:3.0", "bad")) == ["promote"], "told again, it bars nothing"
    assert judged.verdicts(barred(QA, "bad", key="later"), pushed(f"{DEV}:4.0", "bad")) == ["deny"]


def test_what_a_person_wants_from_one_source_is_not_free_from_another_in_the_same_partition() -> None:
    both = published(policy("to-qa", DEV, QA), policy("other", "local/other", QA, tag="other-%n"))
    judged = Partition(both, barred(QA, "bad"), pushed(f"{DEV}:1.0", "bad"))
    judged.take(requested(f"{DEV}:1.0", "bad", TARGET))
    assert judged.verdicts(pushed("local/other:1", "bad"), pushed(f"{DEV}:2.0", "bad")) == ["deny", "promote"]


def test_a_failed_transfer_of_what_is_barred_is_not_made_again_and_does_not_lift_the_bar() -> None:
    judged = source(barred(QA, "bad"), pushed(f"{DEV}:1.0", "bad"))
    wish = requested(f"{DEV}:1.0", "bad", TARGET)
    assert isinstance(wish.data, PromotionRequested)
    retries = RetriedTransfer(command_id="c" * 64, policy="to-qa", hops=1, options=CopyOptions())
    (refused,) = judged.take(replace(wish, data=wish.data.model_copy(update={"retries": retries})))
    assert refused.verdict == "deny"
    assert "alice had this digest rolled back" in refused.reason
    assert judged.copies == []
    assert judged.verdicts(pushed(f"{DEV}:2.0", "bad")) == ["deny"]


def test_a_rollback_of_a_revision_bars_that_revision_and_no_later_one() -> None:
    judged = source(barred(QA, "bad", revision=1))
    assert judged.verdicts(pushed(f"{DEV}:1.0", "bad")) == ["deny"]
    judged.take(published(policy("to-qa", DEV, QA), revision=2))
    assert judged.verdicts(pushed(f"{DEV}:2.0", "bad")) == ["promote"]


@pytest.mark.parametrize("order", [(None, 1), (1, None)])
def test_of_two_bars_the_wider_one_counts_whichever_came_first(order: tuple[int | None, int | None]) -> None:
    judged = source(*(barred(QA, "bad", revision=revision) for revision in order))
    judged.take(published(policy("to-qa", DEV, QA), revision=2))
    assert judged.verdicts(pushed(f"{DEV}:1.0", "bad")) == ["deny"]
