"""Indexes: everything that a policy copies must be known before it is judged by what is in it."""

from itertools import permutations

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import policy, published, pushed, rule_on
from tests.support.facts import component, inspected, overridden, platform_image, sbom, scanned, vulnerability
from tests.unit.policy.playing import DEV, QA, TAG, Partition

AMD64, ARM64 = "linux/amd64", "linux/arm64"
CLEAN = policy("clean", DEV, QA, rule_on("vulnerability_all", "=", "0"))
ONE_PLATFORM = policy("clean", DEV, QA, rule_on("vulnerability_all", "=", "0"), platforms=(AMD64,))
PUSH = pushed(TAG, "index", media_type=OCI_INDEX)
INSPECTED = inspected(DEV, "index", platform_image(AMD64, "amd64"), platform_image(ARM64, "arm64", size=500))
BY_DIGEST = (scanned(DEV, "amd64"), scanned(DEV, "arm64"))
BY_PLATFORM = (scanned(DEV, "index", platform=AMD64), scanned(DEV, "index", platform=ARM64))


@pytest.mark.parametrize("scans", [BY_DIGEST, BY_PLATFORM, (BY_DIGEST[0], BY_PLATFORM[1])])
def test_an_index_is_judged_with_the_last_of_its_inspection_and_scans_in_any_order(
    scans: tuple[Envelope[Frozen], ...],
) -> None:
    for order in permutations((INSPECTED, *scans)):
        partition = Partition(published(CLEAN), PUSH)
        made = partition.take(*order)
        assert [decision.verdict for decision in made][-1] == "promote"
        assert {decision.verdict for decision in made[:-1]} <= {"hold"}
        assert partition.copies, "not before the last"


def test_a_hold_names_the_platform_that_is_missing() -> None:
    partition = Partition(published(CLEAN), PUSH, INSPECTED)
    (held,) = partition.take(BY_DIGEST[0])
    assert held.reason.endswith("waits: a scan of linux/arm64")


def test_of_a_policy_that_copies_some_platforms_only_those_must_be_known() -> None:
    partition = Partition(published(ONE_PLATFORM), PUSH, INSPECTED)
    assert partition.verdicts(BY_DIGEST[0]) == ["promote"]
    partition = Partition(published(ONE_PLATFORM), PUSH, INSPECTED)
    assert partition.verdicts(scanned(DEV, "arm64", vulnerability())) == ["hold"], "the other one does not count"


def test_a_choice_of_platform_without_a_variant_takes_every_variant() -> None:
    chosen = policy("p", DEV, QA, rule_on("size", "=", "3"), platforms=("linux/arm",))
    images = [platform_image(name, name, size=n) for n, name in enumerate(("linux/arm/v6", "linux/arm/v7", ARM64), 1)]
    partition = Partition(published(chosen), PUSH)
    assert partition.verdicts(inspected(DEV, "index", *images)) == ["promote"]


def test_an_image_without_any_of_the_platforms_is_denied_and_is_not_while_they_are_unknown() -> None:
    chosen = policy("p", DEV, QA, rule_on("approved", ">=", "1"), platforms=("windows/amd64",))
    partition = Partition(published(chosen))
    assert partition.verdicts(PUSH) == ["hold"]
    (denied,) = partition.take(INSPECTED)
    assert (denied.verdict, denied.reason) == ("deny", "the image has none of the platforms windows/amd64")


def test_what_several_platforms_share_counts_once_and_each_platform_adds_its_own() -> None:
    given = policy("p", DEV, QA, rule_on("vulnerability_all", "=", "3"))
    shared = vulnerability("CVE-1")
    first = scanned(DEV, "amd64", shared, vulnerability("CVE-2"))
    second = scanned(DEV, "index", shared, vulnerability("CVE-1", component="other"), platform=ARM64)
    assert Partition(published(given), PUSH, INSPECTED, first).verdicts(second) == ["promote"]


def test_an_override_may_name_the_index_or_the_platform() -> None:
    bad = scanned(DEV, "amd64", vulnerability("CVE-1"))
    for image in ("index", "amd64", None):
        partition = Partition(published(CLEAN), PUSH, INSPECTED, BY_DIGEST[1], bad)
        assert partition.verdicts(overridden(DEV, "CVE-1", image=image)) == ["promote"]
    partition = Partition(published(CLEAN), PUSH, INSPECTED, BY_DIGEST[1], bad)
    assert set(partition.verdicts(overridden(DEV, "CVE-1", image="arm64"))) == {"deny"}


def test_a_platform_that_two_indexes_share_decides_for_both() -> None:
    other = inspected(DEV, "other", platform_image(AMD64, "amd64"))
    latest = pushed(f"{DEV}:latest", "other", media_type=OCI_INDEX)
    partition = Partition(published(ONE_PLATFORM), PUSH, INSPECTED, latest, other)
    made = partition.take(BY_DIGEST[0])
    assert {str(decision.source) for decision in made} == {TAG, f"{DEV}:latest"}


def test_components_of_all_platforms_are_looked_at() -> None:
    none = policy("p", DEV, QA, rule_on("component.name", "not-one-of", "xz"))
    partition = Partition(published(none), PUSH, INSPECTED, sbom(DEV, "amd64", component("musl")))
    assert partition.verdicts(sbom(DEV, "index", component("xz"), platform=ARM64)) == ["deny"]


def test_an_image_of_unknown_kind_waits_for_its_inspection_and_a_manifest_does_not() -> None:
    for media_type, verdict in ((None, "hold"), (OCI_MANIFEST, "promote")):
        partition = Partition(published(CLEAN), pushed(TAG, "index", media_type=media_type))
        assert partition.verdicts(scanned(DEV, "index")) == [verdict]
    assert "an inspection of the image" in Partition(published(CLEAN)).take(pushed(TAG, "index"))[0].reason
