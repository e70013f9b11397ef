"""What is found out after the push: scans, overrides, approvals, signatures. Each decides again what it can change."""

import pytest

from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import at, deleted, policy, published, pushed, rule, rule_on
from tests.support.facts import (
    approval_revoked,
    approved,
    component,
    inspected,
    inspection_failed,
    overridden,
    override_revoked,
    sbom,
    scanned,
    signed,
    vulnerability,
)
from tests.unit.policy.playing import DEV, QA, TAG, Partition

CLEAN = policy("clean", DEV, QA, rule_on("vulnerability_critical", "=", "0"))
APPROVED = policy("approved", DEV, QA, rule_on("approved", ">=", "1"))
SIGNED = policy("signed", DEV, QA, rule_on("signed-by", "one-of", "release"))
PUSH = pushed(TAG, "one", media_type=OCI_MANIFEST)
BAD = vulnerability("CVE-1")


def test_a_hold_becomes_a_denial_by_the_scan_and_a_promotion_by_the_override() -> None:
    partition = Partition(published(CLEAN))
    assert partition.verdicts(PUSH) == ["hold"]
    (denied,) = partition.take(scanned(DEV, "one", BAD))
    assert (denied.verdict, denied.reason) == ("deny", "vulnerability_critical = 0 fails for 1 (CVE-1)")
    override = overridden(DEV, "CVE-1", image="one")
    (promoted,) = partition.take(override)
    assert promoted.verdict == "promote"
    assert override.id in promoted.rules[0].events, "the finding names what it counted on"
    assert [str(copy.target) for copy in partition.copies] == [f"{QA}:1.0"]
    assert partition.take(override_revoked(DEV, "CVE-1", image="one")) == [], "what is promoted stays promoted"


def test_the_same_with_an_override_for_the_whole_repository() -> None:
    partition = Partition(published(CLEAN), PUSH, scanned(DEV, "one", BAD))
    assert partition.verdicts(overridden(DEV, "CVE-2")) == ["deny"]
    assert partition.verdicts(overridden(DEV, "CVE-1", component="other")) == ["deny"]
    assert partition.verdicts(overridden(DEV, "CVE-1", component="xz")) == ["promote"]
    assert partition.take(overridden(DEV, "CVE-1")) == []


def test_an_override_that_was_revoked_or_has_expired_counts_no_more() -> None:
    partition = Partition(published(CLEAN))
    partition.take(overridden(DEV, "CVE-1"), override_revoked(DEV, "CVE-1"))
    partition.take(overridden(DEV, "CVE-2", image="one", expires_at=at(60)))
    bad = scanned(DEV, "one", BAD, vulnerability("CVE-2"), time=at(59))
    (denied,) = partition.take(PUSH, bad)[1:]
    assert denied.rules[0].actual == "1", "one is revoked"
    (later,) = partition.take(scanned(DEV, "one", BAD, vulnerability("CVE-2"), key="again", time=at(60)))
    assert later.rules[0].actual == "2", "the other has expired"


def test_an_override_of_one_image_that_has_expired_does_not_hide_that_of_the_repository() -> None:
    partition = Partition(published(CLEAN))
    partition.take(overridden(DEV, "CVE-1"), overridden(DEV, "CVE-1", image="one", expires_at=at(1)))
    assert partition.verdicts(PUSH, scanned(DEV, "one", BAD, time=at(2))) == ["hold", "promote"]


def test_a_denial_by_vulnerabilities_is_decided_again_by_the_next_scan() -> None:
    partition = Partition(published(CLEAN), PUSH)
    assert partition.verdicts(scanned(DEV, "one", BAD), scanned(DEV, "one", key="rescan")) == ["deny", "promote"]


def test_the_newest_scan_counts_whatever_platform_it_names() -> None:
    partition = Partition(published(CLEAN), PUSH, scanned(DEV, "one", BAD))
    assert partition.verdicts(scanned(DEV, "one", platform="linux/amd64")) == ["promote"]


def test_after_a_promotion_no_fact_decides_again() -> None:
    partition = Partition(published(CLEAN, APPROVED), PUSH, scanned(DEV, "one"))
    assert partition.verdicts(approved(DEV, "one", "approved", "ann")) == ["promote"]
    facts = (
        scanned(DEV, "one", BAD),
        approval_revoked(DEV, "one", "approved", "ann"),
        approved(DEV, "one", "approved", "bob"),
        overridden(DEV, "CVE-1"),
        inspected(DEV, "one"),
    )
    assert partition.take(*facts) == []


def test_a_fact_decides_only_for_policies_that_look_at_its_kind() -> None:
    named = policy("named", DEV, QA, rule("equals", "other"))
    partition = Partition(published(CLEAN, APPROVED, SIGNED, named), PUSH)
    assert [d.policy for d in partition.take(scanned(DEV, "one", BAD))] == ["clean"]
    assert [d.policy for d in partition.take(signed(DEV, "one", "other"))] == ["signed"]
    assert [d.policy for d in partition.take(approved(DEV, "one", "approved", "ci"))] == ["approved"]
    assert partition.take(approved(DEV, "one", "clean", "ann"), sbom(DEV, "one")) == []


def test_a_failed_inspection_is_told_and_a_later_one_decides() -> None:
    partition = Partition(published(policy("small", DEV, QA, rule_on("size", "<", "1GB"))), PUSH)
    (held,) = partition.take(inspection_failed(DEV, "one"))
    assert (held.verdict, "the registry did not answer" in held.reason) == ("hold", True)
    assert partition.verdicts(inspected(DEV, "one")) == ["promote"]


def test_components_come_from_an_sbom_or_else_from_a_scan_that_lists_them() -> None:
    needs = policy("needs", DEV, QA, rule_on("component.name", "one-of", "musl"))
    partition = Partition(published(needs), PUSH)
    assert partition.verdicts(scanned(DEV, "one")) == ["hold"], "this scan lists no packages"
    assert partition.verdicts(scanned(DEV, "one", components=(component("glibc"),))) == ["deny"]
    assert partition.verdicts(sbom(DEV, "one", component("musl"))) == ["promote"]


REDELIVERED = (
    scanned(DEV, "one", BAD),
    overridden(DEV, "CVE-2", image="one"),
    overridden(DEV, "CVE-2"),
    override_revoked(DEV, "CVE-3"),
    override_revoked(DEV, "CVE-3", image="one"),
    approved(DEV, "one", "approved", "ci"),
    approval_revoked(DEV, "one", "approved", "ci"),
    signed(DEV, "one", "other"),
    inspected(DEV, "one"),
    inspection_failed(DEV, "one"),
    sbom(DEV, "one"),
)


@pytest.mark.parametrize("fact", REDELIVERED, ids=lambda fact: type(fact.data).__name__)
def test_a_fact_that_is_delivered_again_changes_nothing(fact: Envelope[Frozen]) -> None:
    partition = Partition(published(CLEAN, APPROVED, SIGNED), PUSH, fact, scanned(DEV, "one", key="between"))
    before = dict(partition.state.values)
    assert partition.take(fact) == []
    assert partition.step is not None
    assert (partition.step.changes, partition.step.commands) == ((), ())
    assert partition.state.values == before


def test_a_fact_about_a_digest_that_moved_away_from_the_tag_decides_nothing() -> None:
    for leave in (pushed(TAG, "two", media_type=OCI_MANIFEST), deleted(TAG)):
        partition = Partition(published(CLEAN), PUSH, leave)
        assert partition.take(scanned(DEV, "one")) == []
        assert partition.take(overridden(DEV, "CVE-1", image="one")) == []


def test_a_tag_that_came_back_with_another_digest_is_not_judged_by_facts_about_the_one_before() -> None:
    partition = Partition(published(CLEAN), PUSH, deleted(TAG))
    assert partition.verdicts(pushed(TAG, "two", media_type=OCI_MANIFEST)) == ["hold"]
    assert partition.take(scanned(DEV, "one")) == []


def test_a_tag_that_was_released_and_moved_on_is_not_judged_by_facts_about_what_it_had() -> None:
    any_tag = policy("clean", DEV, QA)
    partition = Partition(published(CLEAN), PUSH, published(any_tag, revision=2))
    partition.take(pushed(TAG, "one", key="again"), published(CLEAN, revision=3))
    assert partition.verdicts(pushed(TAG, "two", media_type=OCI_MANIFEST)) == ["hold"]
    assert partition.take(scanned(DEV, "one")) == []


def test_a_fact_decides_for_every_tag_that_has_the_digest() -> None:
    partition = Partition(published(CLEAN), PUSH, pushed(f"{DEV}:latest", "one", media_type=OCI_MANIFEST))
    made = partition.take(scanned(DEV, "one"))
    assert {(str(decision.source), decision.verdict) for decision in made} == {
        (TAG, "promote"),
        (f"{DEV}:latest", "promote"),
    }


def test_a_policy_that_is_replaced_while_a_hold_is_pending_judges_as_it_is_now() -> None:
    lenient = policy("clean", DEV, QA, rule_on("vulnerability_critical", "<=", "1"), initial_evaluation=False)
    partition = Partition(published(CLEAN), PUSH, published(lenient, revision=2))
    (decision,) = partition.take(scanned(DEV, "one", BAD))
    assert (decision.verdict, decision.revision) == ("promote", 2)


def test_what_waited_is_forgotten_when_its_tag_is_decided_while_the_policy_is_gone() -> None:
    other = policy("other", DEV, "remote/app", initial_evaluation=False)
    later = CLEAN.model_copy(update={"initial_evaluation": False})
    partition = Partition(published(CLEAN), PUSH, published(other, revision=2))
    assert partition.verdicts(pushed(TAG, "one", key="again")) == ["mirror"]
    partition.take(published(later, revision=3))
    assert partition.take(scanned(DEV, "one")) == [], "it judges only what is new"


def test_a_policy_that_is_gone_decides_no_more() -> None:
    for revised in ((), (CLEAN.model_copy(update={"mode": "disabled"}),)):
        partition = Partition(published(CLEAN), PUSH, published(*revised, revision=2))
        assert partition.take(scanned(DEV, "one")) == []
