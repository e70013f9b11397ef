"""What is known of an image is known at the target of its promotion, and never outranks what was found out there."""

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.facts import ImageInspected, ScanCompleted, SignatureVerified, VulnerabilityOverridden
from schemas.references import Frozen, Reference
from tests.support.builders import at, digest, policy, published, pushed, rule_on
from tests.support.facts import (
    approved,
    component,
    inspected,
    overridden,
    platform_image,
    requested,
    sbom,
    scanned,
    signed,
    vulnerability,
)
from tests.unit.policy.playing import DEV, QA, TAG, Partition

RELEASE = rule_on("approved", ">=", "1")
KNOWN = (
    inspected(DEV, "one"),
    scanned(DEV, "one", vulnerability("CVE-1")),
    sbom(DEV, "one", component("xz")),
    signed(DEV, "one", "release"),
    overridden(DEV, "CVE-1", image="one"),
    overridden(DEV, "CVE-9"),
)
PUSH = pushed(TAG, "one", media_type=OCI_MANIFEST)
GRANT = approved(DEV, "one", "p", "ann")


def carried(target: str, **more: object) -> list[Frozen]:
    partition = Partition(published(policy("p", DEV, target, RELEASE, **more)), PUSH, *KNOWN)
    assert partition.carried == []
    (decision,) = partition.take(GRANT)
    assert decision.verdict in {"promote", "mirror"}
    return partition.carried


def test_a_promotion_carries_every_fact_about_the_digest_but_no_approval_and_nothing_of_the_repository() -> None:
    facts = carried(QA)
    assert {type(fact).__name__ for fact in facts} == {
        "ImageInspected", "ScanCompleted", "SbomSubmitted", "SignatureVerified", "VulnerabilityOverridden"
    }  # fmt: skip
    assert len(facts) == 5
    for fact in facts:
        told = fact.model_dump()
        assert (str(told["repository"]), told["digest"], str(told["carried_from"])) == (QA, digest("one"), TAG)
    (scan,) = (fact for fact in facts if isinstance(fact, ScanCompleted))
    assert scan.vulnerabilities == (vulnerability("CVE-1"),)


@pytest.mark.parametrize(
    ("target", "facts", "count"),
    [
        (QA, "promotion", 5),
        (QA, "always", 5),
        (QA, "never", 0),
        ("remote/app", "promotion", 0),
        ("remote/app", "always", 5),
        ("remote/app", "never", 0),
    ],
)
def test_mirrors_carry_facts_only_when_the_policy_says_so(target: str, facts: str, count: int) -> None:
    assert len(carried(target, facts=facts)) == count


def test_a_policy_that_only_watches_or_stays_in_its_repository_carries_nothing() -> None:
    assert carried(QA, mode="shadow") == []
    assert carried(DEV, tag="%n-released") == []


def test_of_an_index_the_facts_of_the_platforms_that_are_copied_go_along() -> None:
    images = platform_image("linux/amd64", "amd64"), platform_image("linux/arm64", "arm64")
    known = (inspected(DEV, "index", *images), scanned(DEV, "amd64"), scanned(DEV, "arm64"))
    for platforms, scans in (((), {"amd64", "arm64"}), (("linux/amd64",), {"amd64"})):
        given = policy("p", DEV, QA, RELEASE, platforms=platforms)
        partition = Partition(published(given), pushed(TAG, "index", media_type=OCI_INDEX), *known)
        partition.take(approved(DEV, "index", "p", "ann"))
        told = {fact.digest for fact in partition.carried if isinstance(fact, ScanCompleted)}
        assert told == {digest(name) for name in scans}


def test_a_manual_promotion_carries_and_a_manual_mirror_does_not() -> None:
    partition = Partition(PUSH, *KNOWN, requested(TAG, "one", f"{QA}:1.0"))
    assert len(partition.carried) == 5
    partition.take(requested(TAG, "one", "remote/app:1.0"))
    assert partition.carried == []


def events(partition: Partition) -> tuple[Envelope[Frozen], ...]:
    assert partition.step is not None
    return partition.step.carried


def at_source() -> tuple[Envelope[Frozen], ...]:
    return events(Partition(published(policy("p", DEV, QA, RELEASE)), PUSH, *KNOWN, GRANT))


def test_what_was_carried_is_judged_at_the_target_and_goes_on_from_there() -> None:
    onward = policy(
        "onward",
        QA,
        "local/prod/app",
        rule_on("vulnerability_all", "=", "0"),
        rule_on("signed-by", "one-of", "release"),
    )
    partition = Partition(published(onward), *at_source())
    assert partition.verdicts(pushed(f"{QA}:1.0", "one")) == ["promote"]
    assert partition.inspections != [], "another signature may have been made"
    told = [fact.carried_from for fact in partition.carried if not isinstance(fact, ImageInspected)]
    assert {str(reference) for reference in told} == {f"{QA}:1.0"}
    assert len({event.id for event in (*events(partition), *at_source())}) == 10


OWN = (
    inspected(QA, "one", platform_image("linux/s390x", "one")),
    scanned(QA, "one"),
    sbom(QA, "one"),
    signed(QA, "one", "release"),
    overridden(QA, "CVE-1", image="one", expires_at=at(60)),
)


def test_what_was_carried_never_outranks_what_was_found_out_at_the_target() -> None:
    partition = Partition(*OWN)
    before = dict(partition.state.values)
    partition.take(*at_source())
    assert partition.state.values == before
    partition = Partition(*at_source(), *OWN)
    assert {
        key: value["event"] for key, value in partition.state.values.items() if key.startswith(("scan", "sbom"))
    } == {
        f"scan {QA}@{digest('one')} ": OWN[1].id,
        f"sbom {QA}@{digest('one')} ": OWN[2].id,
    }


def test_a_carried_scan_of_a_platform_does_not_outrank_an_own_one_of_the_whole() -> None:
    clean = policy("clean", QA, "local/prod/app", rule_on("vulnerability_all", "=", "0"))
    there = scanned(QA, "one", vulnerability("CVE-1"), platform="linux/amd64", carried_from=Reference.parse(TAG))
    partition = Partition(published(clean), scanned(QA, "one"), there)
    assert partition.verdicts(pushed(f"{QA}:1.0", "one", media_type=OCI_MANIFEST)) == ["promote"]


def test_a_carried_fact_is_replaced_by_a_newer_carried_one() -> None:
    clean = policy("clean", QA, "local/prod/app", rule_on("vulnerability_all", "=", "0"))
    old = scanned(QA, "one", vulnerability("CVE-1"), carried_from=Reference.parse(TAG))
    new = scanned(QA, "one", carried_from=Reference.parse(TAG))
    push = pushed(f"{QA}:1.0", "one", media_type=OCI_MANIFEST)
    assert Partition(published(clean), old, push).verdicts(new) == ["promote"]


def test_carried_signatures_and_overrides_are_known_under_their_names() -> None:
    facts = [event.data for event in at_source()]
    assert [fact.key for fact in facts if isinstance(fact, SignatureVerified)] == ["release"]
    assert [fact.vulnerability for fact in facts if isinstance(fact, VulnerabilityOverridden)] == ["CVE-1"]
