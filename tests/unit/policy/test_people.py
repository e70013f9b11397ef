"""Approvals and signatures: whose count, and for how long."""

import pytest

from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from tests.support.builders import arrived, at, policy, published, pushed, rule_on
from tests.support.facts import approval_revoked, approved, signed
from tests.unit.policy.playing import DEV, QA, TAG, Partition

APPROVED = policy("approved", DEV, QA, rule_on("approved", ">=", "1"))
FOUR_EYES = policy("approved", DEV, QA, rule_on("approved", ">=", "2"))
PUSH = pushed(TAG, "one", media_type=OCI_MANIFEST)


def test_the_pusher_cannot_approve_and_is_told_so() -> None:
    partition = Partition(published(APPROVED), PUSH)
    (held,) = partition.take(approved(DEV, "one", "approved", "ci"))
    assert held.verdict == "hold"
    assert "ci pushed the image" in held.reason
    assert partition.verdicts(approved(DEV, "one", "approved", "ann")) == ["promote"]


def test_nobody_who_ever_pushed_the_digest_can_approve_it_in_this_repository() -> None:
    partition = Partition(published(APPROVED), pushed(f"{DEV}:old", "one", actor="ann"), PUSH)
    assert set(partition.verdicts(approved(DEV, "one", "approved", "ann"))) == {"hold"}
    partition = Partition(published(policy("approved", QA, "remote/app", rule_on("approved", ">=", "1"))))
    transfer = arrived(f"{QA}:1.0", "one", hops=1)
    known = transfer.data.model_copy(update={"pushed_by": "ann"})
    partition.take(Envelope(transfer.id, transfer.source, transfer.subject, transfer.time, known))
    partition.take(pushed(f"{QA}:1.0", "one", actor="towline"))
    (held,) = partition.take(approved(QA, "one", "approved", "ann"))
    assert (held.verdict, held.pushed_by, held.hops) == ("hold", "ann", 2), "the webhook of the copy hides nobody"


def test_two_approvals_are_of_two_people() -> None:
    partition = Partition(published(FOUR_EYES), PUSH)
    ann = approved(DEV, "one", "approved", "ann")
    assert partition.verdicts(ann, approved(DEV, "one", "approved", "ann", key="twice")) == ["hold", "hold"]
    assert partition.verdicts(approved(DEV, "one", "approved", "bob")) == ["promote"]


def test_an_approval_before_the_push_counts_and_one_of_another_digest_or_policy_does_not() -> None:
    given = [approved(DEV, "one", "approved", "ann")]
    assert Partition(published(APPROVED), *given).verdicts(PUSH) == ["promote"]
    others = [
        approved(DEV, "two", "approved", "ann"),
        approved(DEV, "one", "other", "ann"),
        approved(QA, "one", "approved", "ann"),
    ]
    assert Partition(published(APPROVED), *others).verdicts(PUSH) == ["hold"]


@pytest.mark.parametrize("by", ["ann", "bob"])
def test_an_approval_that_was_revoked_counts_no_more(by: str) -> None:
    partition = Partition(published(FOUR_EYES), PUSH, approved(DEV, "one", "approved", by))
    assert partition.verdicts(approval_revoked(DEV, "one", "approved", by)) == ["hold"]
    assert partition.verdicts(approved(DEV, "one", "approved", "cy")) == ["hold"]
    assert partition.verdicts(approved(DEV, "one", "approved", by, key="again")) == ["promote"]


def test_an_approval_counts_until_the_moment_it_expires() -> None:
    for seconds, verdict in ((59, "promote"), (60, "hold")):
        partition = Partition(published(FOUR_EYES), PUSH, approved(DEV, "one", "approved", "ann", expires_at=at(60)))
        last = approved(DEV, "one", "approved", "bob", time=at(seconds))
        assert partition.verdicts(last) == [verdict]


def test_a_signature_releases_and_all_of_waits_for_the_last() -> None:
    both = policy("signed", DEV, QA, rule_on("signed-by", "all-of", "release", "security"))
    partition = Partition(published(both), PUSH)
    (held,) = partition.take(signed(DEV, "one", "release"))
    assert held.reason.endswith("waits: a signature by security")
    assert partition.verdicts(signed(DEV, "one", "security")) == ["promote"]
