"""Chains of promotions, people who ask for one, policies that only watch, and globs."""

import pytest

from schemas.commands import CopyImage
from schemas.decisions import MANUAL
from schemas.envelope import Envelope
from schemas.policies import Policy
from schemas.references import Frozen
from tests.support.builders import (
    completed,
    digest,
    failed,
    outcome,
    policy,
    published,
    pushed,
    rule_on,
    skipped,
    ticked,
)
from tests.support.facts import approved, requested
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits

PROD = "local/prod/app"
CHAIN = (
    policy("to-qa", DEV, QA),
    policy("to-prod", QA, PROD, rule_on("soak", ">=", "1h")),
    policy("out", PROD, "remote/app"),
)


def outcome_of(partition: Partition, made: str = "completed") -> Envelope[Frozen]:
    """Return how the only copy of the last event ends."""
    assert partition.step is not None
    (command,) = (item for item in partition.step.commands if isinstance(item.data, CopyImage))
    assert isinstance(command.data, CopyImage)
    if made == "completed":
        return outcome(completed(command.id, command.data).model_copy(update={"pushed_by": command.data.pushed_by}))
    data = skipped(command.id, command.data) if made == "skipped" else failed(command.id, command.data)
    return outcome(data)


def test_an_image_goes_from_dev_to_qa_to_prod_and_out_by_the_outcomes_alone() -> None:
    partition = Partition(published(*CHAIN), pushed(TAG, "one", actor="dora"))
    (held,) = partition.take(outcome_of(partition))
    assert (held.policy, held.verdict, held.hops, held.pushed_by) == ("to-prod", "hold", 2, "dora")
    (promoted,) = partition.take(ticked(3660))
    assert (promoted.policy, promoted.verdict, promoted.hops) == ("to-prod", "promote", 2)
    (out,) = partition.take(outcome_of(partition, "skipped"))
    assert (out.policy, out.verdict, out.hops) == ("out", "mirror", 3)
    assert partition.take(outcome_of(partition, "failed")) == []


def test_the_webhook_of_our_own_copy_is_ignored_and_takes_nothing_away() -> None:
    partition = Partition(published(*CHAIN), pushed(TAG, "one", actor="dora"))
    partition.take(outcome_of(partition))
    (ignored,) = partition.take(pushed(f"{QA}:1.0", "one", actor="towline"))
    assert (ignored.verdict, ignored.hops) == ("ignore", 1)
    (promoted,) = partition.take(ticked(3660))
    assert (promoted.hops, promoted.pushed_by) == (2, "dora"), "it is still the same chain"


def test_an_outcome_that_comes_after_its_webhook_tells_the_chain() -> None:
    partition = Partition(published(*CHAIN), pushed(TAG, "one", actor="dora"))
    ended = outcome_of(partition)
    assert partition.verdicts(pushed(f"{QA}:1.0", "one", actor="towline")) == ["hold"]
    assert partition.verdicts(ended) == ["ignore"]
    (promoted,) = partition.take(ticked(3660))
    assert (promoted.hops, promoted.pushed_by) == (2, "dora")


def test_a_chain_that_is_too_long_ends_even_when_time_decides() -> None:
    partition = Partition(published(CHAIN[1]))
    copy = completed("c" * 64, copy_to(QA, hops=limits.hop_count))
    (denied,) = partition.take(outcome(copy))
    assert (denied.verdict, "looks like a loop" in denied.reason) == ("deny", True)
    assert partition.take(ticked(7200)) == []


def test_a_chain_that_claims_any_length_is_denied_and_breaks_nothing() -> None:
    partition = Partition(published(CHAIN[1]))
    (denied,) = partition.take(outcome(completed("c" * 64, copy_to(QA, hops=2**53 - 1))))
    assert (denied.verdict, denied.hops) == ("deny", limits.hop_count + 1)


def copy_to(repository: str, hops: int) -> CopyImage:
    fields = {"decision_id": "d" * 64, "policy": "p", "source": TAG, "digest": digest("one"), "hops": hops}
    return CopyImage.model_validate({**fields, "target": f"{repository}:1.0"})


@pytest.mark.parametrize(("target", "verdict"), [(f"{PROD}:hot-fix", "promote"), ("remote/app:hot-fix", "mirror")])
def test_a_person_may_ask_for_an_image_whatever_the_policies_say(target: str, verdict: str) -> None:
    never = policy("never", DEV, PROD, rule_on("tag", "equals", "never"))
    partition = Partition(published(never), pushed(TAG, "one", actor="dora"))
    (made,) = partition.take(requested(TAG, "one", target, by="ann", comment="hot fix"))
    assert (made.policy, made.verdict, made.actor, made.pushed_by) == (MANUAL, verdict, "ann", "dora")
    assert (str(made.target), made.digest, made.hops, made.revision) == (target, digest("one"), 1, 1)
    assert made.reason == "ann asked for it: hot fix"
    (copy,) = partition.copies
    assert (copy.policy, str(copy.target), copy.digest) == (MANUAL, target, digest("one"))


def test_a_request_for_an_earlier_digest_does_not_name_who_pushed_the_newer_one() -> None:
    partition = Partition(pushed(TAG, "one", actor="dora"), pushed(TAG, "two", actor="eve"))
    (made,) = partition.take(requested(TAG, "one", f"{QA}:1.0"))
    assert (made.digest, made.pushed_by) == (digest("one"), None)


def test_a_request_that_is_delivered_again_is_decided_once() -> None:
    partition = Partition(pushed(TAG, "one"))
    request = requested(TAG, "one", f"{QA}:1.0")
    assert partition.verdicts(request, request, published(*CHAIN, revision=1)) == ["promote", "promote"]
    assert partition.take(request) == []
    assert partition.step is not None
    assert partition.step.changes == ()
    assert partition.verdicts(requested(TAG, "one", f"{QA}:1.0", key="asked again")) == ["promote"]


def test_a_policy_that_only_watches_decides_and_nothing_follows() -> None:
    shadow = policy("p", DEV, QA, rule_on("approved", ">=", "1"), mode="shadow", facts="always")
    partition = Partition(published(shadow))
    assert [(made.verdict, made.mode) for made in partition.take(pushed(TAG, "one"))] == [("hold", "shadow")]
    (made,) = partition.take(approved(DEV, "one", "p", "ann"))
    assert (made.verdict, made.mode, str(made.target)) == ("promote", "shadow", f"{QA}:1.0")
    assert (partition.copies, partition.carried) == ([], [])


def test_a_disabled_policy_is_as_if_it_were_not_there() -> None:
    off = policy("p", DEV, QA, rule_on("size", ">", "0"), mode="disabled")
    partition = Partition(published(off))
    (ignored,) = partition.take(pushed(TAG, "one"))
    assert (ignored.verdict, ignored.policy, partition.inspections) == ("ignore", None, [])


def test_what_a_glob_matched_goes_into_target_and_tag() -> None:
    glob = policy("glob", "local/*/team-*/**", "local/{2}/{1}/{3}", tag="{2}-%n")
    partition = Partition(published(glob))
    (made,) = partition.take(pushed("local/dev/team-web/shop/cart:1.0", "one"))
    assert str(made.target) == "local/web/dev/shop/cart:web-1.0"
    assert partition.verdicts(pushed("local/dev/web/shop:1", "one")) == ["ignore"]
    assert partition.verdicts(pushed("remote/dev/team-web/shop:1", "one")) == ["ignore"]
    whole = policy("whole", "local/**", "remote/mirror/{repository}")
    (made,) = Partition(published(whole)).take(pushed(TAG, "one"))
    assert str(made.target) == "remote/mirror/dev/app:1.0"


def test_a_glob_of_many_stars_is_matched_at_once() -> None:
    many = policy("many", f"local/{'*a' * 100}*b", QA)
    partition = Partition(published(many))
    assert partition.verdicts(pushed(f"local/{'a' * 240}:1", "one")) == ["ignore"]
    assert partition.verdicts(pushed(f"local/{'a' * 240}b:1", "one")) == ["promote"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (policy("p", "local/dev/app*", "local/qa/x-{1}"), "makes no repository"),
        (policy("p", "local/dev/*", "local/qa/{2}"), "makes no repository"),
        (policy("p", "local/**", QA, tag="{1}"), "makes no valid tag"),
    ],
    ids=["empty", "unknown", "slash"],
)
def test_a_capture_that_makes_no_repository_or_tag_is_denied_with_the_reason(given: Policy, reason: str) -> None:
    (made,) = Partition(published(given)).take(pushed(TAG, "one"))
    assert (made.verdict, made.target) == ("deny", None)
    assert reason in made.reason
