"""A report becomes a fact about the image that it is about, and about no other."""

import pytest

from schemas.canonical import canonical_bytes
from schemas.facts import SbomSubmitted, ScanCompleted
from schemas.references import Repository
from tests.support.builders import digest
from tests.unit.facts.reports import NAMES, changed, content
from towline.errors import MisuseError, UnusableInputError
from towline.facts import fact_about, read_report

REPOSITORY = Repository.parse("local/dev/website")
MANIFEST, INDEX, OTHER = digest("manifest"), digest("index"), digest("other")


def test_a_scan_becomes_a_fact() -> None:
    report = read_report(content("trivy"))
    fact = fact_about(report, REPOSITORY, INDEX, actor="ci")
    assert isinstance(fact, ScanCompleted)
    assert (fact.repository, fact.digest, fact.platform) == (REPOSITORY, INDEX, "linux/arm64/v8")
    assert (fact.scanner, fact.actor) == ("trivy 0.68.1", "ci")
    assert fact.occurred_at == "2026-11-24T06:30:12.123456Z"
    assert (fact.vulnerabilities, fact.components) == (report.vulnerabilities, report.components)


def test_an_sbom_becomes_a_fact() -> None:
    report = read_report(content("spdx"))
    fact = fact_about(report, REPOSITORY, MANIFEST, "linux/amd64")
    assert isinstance(fact, SbomSubmitted)
    assert (fact.format, fact.platform, fact.components) == ("spdx 2.3", "linux/amd64", report.components)


@pytest.mark.parametrize("name", NAMES)
def test_a_fact_is_of_the_contract_and_has_canonical_bytes(name: str) -> None:
    report = read_report(content(name))
    fact = fact_about(report, REPOSITORY, report.digests[0])
    written = canonical_bytes(fact.model_dump(mode="json"))
    assert type(fact).model_validate_json(written) == fact


@pytest.mark.parametrize("name", NAMES)
def test_a_report_about_another_image_is_refused_with_both_digests(name: str) -> None:
    report = read_report(content(name))
    with pytest.raises(MisuseError) as caught:
        fact_about(report, REPOSITORY, OTHER)
    assert OTHER in str(caught.value)
    assert report.digests[0] in str(caught.value)


def test_a_report_that_names_no_image_is_taken_for_the_given_one() -> None:
    report = changed("trivy", lambda value: value["Metadata"].pop("RepoDigests"))
    assert fact_about(report, REPOSITORY, OTHER).digest == OTHER


def test_a_report_about_another_platform_is_refused() -> None:
    report = read_report(content("trivy"))
    with pytest.raises(MisuseError, match="about platform linux/arm64/v8, and is submitted for linux/amd64"):
        fact_about(report, REPOSITORY, INDEX, "linux/amd64")
    assert fact_about(report, REPOSITORY, INDEX, "linux/arm64/v8").platform == "linux/arm64/v8"


@pytest.mark.parametrize("platform", ["amd64", "Linux/amd64", "linux/amd64/v1/v2", ""])
def test_what_is_no_platform_is_refused(platform: str) -> None:
    with pytest.raises(UnusableInputError, match=r"report\.platform"):
        fact_about(read_report(content("spdx")), REPOSITORY, MANIFEST, platform or " ")
