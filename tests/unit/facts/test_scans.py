"""Scanners' reports become findings."""

from typing import Any

import pytest

from schemas.facts import Vulnerability
from tests.support.builders import digest
from tests.unit.facts.reports import NAMES, changed, content, document, read
from towline.errors import UnusableInputError
from towline.facts import read_report

MANIFEST, INDEX = digest("manifest"), digest("index")
BACKDOOR = Vulnerability(
    id="CVE-2024-3094", severity="critical", score_tenths=100, component="liblzma5", version="5.6.0-1"
)


def found(name: str) -> list[tuple[str, str, int | None, str, str]]:
    vulnerabilities = read_report(content(name)).vulnerabilities
    assert vulnerabilities is not None
    return [(v.id, v.severity, v.score_tenths, v.component, v.version) for v in vulnerabilities]


def test_a_trivy_report_is_read() -> None:
    report = read_report(content("trivy"))
    assert report.tool == "trivy 0.68.1"
    assert report.digests == (INDEX,)
    assert report.platform == "linux/arm64/v8"
    assert report.occurred_at == "2026-11-24T06:30:12.123456Z"
    assert found("trivy") == [
        # Red Hat rates it, and with CVSS 3: before another's CVSS 4 and NVD's CVSS 2.
        ("CVE-2019-1549", "medium", 48, "libssl3", "1:3.0.15-1"),
        ("CVE-2023-99999", "unknown", None, "libssl3", "1:3.0.15-1"),
        ("CVE-2024-3094", "critical", 100, "liblzma5", "5.6.0-1"),
        # In two files: once, and the worse of the two ratings.
        ("CVE-2025-22870", "medium", 53, "golang.org/x/net", "v0.30.0"),
    ]


def test_the_packages_of_a_trivy_report_have_the_versions_of_its_findings() -> None:
    components = read_report(content("trivy")).components
    assert components is not None
    assert [(c.name, c.version, c.licenses) for c in components] == [
        ("golang.org/x/net", "v0.30.0", ()),
        ("liblzma5", "5.6.0-1", (("0BSD", "GPL-2.0-or-later"),)),
        ("libssl3", "1:3.0.15-1", (("Apache-2.0",),)),
    ]
    assert components[0].purl == "pkg:golang/golang.org/x/net@v0.30.0"


def test_a_trivy_report_without_packages_lists_none() -> None:
    report = changed("trivy", lambda value: [result.pop("Packages", None) for result in value["Results"]])
    assert report.components is None


def test_a_trivy_score_is_computed_where_only_the_vector_is_given() -> None:
    report = changed("trivy", lambda value: value["Results"][1]["Vulnerabilities"].pop(1))
    assert report.vulnerabilities is not None
    assert report.vulnerabilities[-1].score_tenths == 17


@pytest.mark.parametrize("results", [None, []])
def test_an_image_without_packages_has_no_vulnerabilities(results: Any) -> None:
    report = changed("trivy", lambda value: (value.update(Results=results), value["Metadata"].pop("OS")))
    assert report.vulnerabilities == ()


SECRETS = [{"Target": "/app/key.pem", "Class": "secret"}]


@pytest.mark.parametrize(
    ("results", "system"), [([], {"Family": "debian"}), (SECRETS, {"Family": "debian"}), (SECRETS, None)]
)
def test_a_report_that_looked_for_no_vulnerabilities_is_not_taken_for_a_clean_one(results: Any, system: Any) -> None:
    with pytest.raises(UnusableInputError, match="--scanners vuln"):
        changed("trivy", lambda value: (value.update(Results=results), value["Metadata"].update(OS=system)))


@pytest.mark.parametrize("kind", ["filesystem", "repository", "vm"])
def test_a_trivy_report_about_something_else_is_refused(kind: str) -> None:
    with pytest.raises(UnusableInputError, match=r"ArtifactType: .* `trivy image"):
        changed("trivy", lambda value: value.update(ArtifactType=kind))


def test_another_schema_version_of_trivy_is_refused() -> None:
    with pytest.raises(UnusableInputError, match="SchemaVersion: 3 is unknown"):
        changed("trivy", lambda value: value.update(SchemaVersion=3))


def test_an_older_trivy_report_does_not_say_its_version() -> None:
    assert changed("trivy", lambda value: value.pop("Trivy")).tool == "trivy"


def test_a_grype_report_is_read() -> None:
    report = read_report(content("grype"))
    assert report.tool == "grype 0.104.0"
    assert report.digests == (MANIFEST,)
    assert report.platform == "linux/amd64"
    assert report.components is None
    assert report.occurred_at == "2026-11-24T07:30:12.500000Z"
    assert found("grype") == [
        ("CVE-2011-3374", "negligible", 43, "libapt-pkg6.0", "2.6.1"),
        # The distribution's advisory has no score; the CVE that it is about has.
        ("CVE-2024-3094", "critical", 100, "liblzma5", "5.6.0-1"),
        ("GHSA-qxp5-gwg8-xv66", "medium", 44, "golang.org/x/net", "v0.30.0"),
    ]


def test_what_the_registry_calls_an_image_comes_before_what_a_daemon_made_of_it() -> None:
    daemon = changed("grype", lambda value: value["source"]["target"].update(manifestDigest=digest("made up")))
    assert daemon.digests == (MANIFEST,)
    alone = changed("grype", lambda value: value["source"]["target"].update(repoDigests=None))
    assert alone.digests == (MANIFEST,)


def test_a_grype_report_about_a_directory_is_refused() -> None:
    with pytest.raises(UnusableInputError, match=r"source\.type: 'directory' is no image"):
        changed("grype", lambda value: value.update(source={"type": "directory", "target": "src"}))


def test_a_grype_report_about_an_sbom_names_no_image() -> None:
    report = changed("grype", lambda value: value.update(source={"type": "sbom-file", "target": "sbom.json"}))
    assert (report.digests, report.platform) == ((), None)


@pytest.mark.parametrize("name", ["harbor", "harbor-api"])
def test_a_report_of_harbor_is_read(name: str) -> None:
    report = read_report(content(name))
    assert report.tool == "trivy 0.58.1"
    assert report.digests == (MANIFEST,)
    assert report.components is None
    assert found(name) == [
        ("CVE-2019-1549", "negligible", 50, "libssl3", "3.0.15-1"),
        ("CVE-2024-3094", "critical", 100, "liblzma5", "5.6.0-1"),
    ]


def test_the_score_that_harbor_prefers_comes_after_that_of_nvd() -> None:
    def prefer(value: dict[str, Any]) -> None:
        value["vulnerabilities"][0]["preferred_cvss"].update(score_v3=8.1)

    chosen = changed("harbor", prefer).vulnerabilities
    assert chosen is not None
    assert chosen[1].score_tenths == 100


def test_the_artifact_of_a_report_of_harbor_is_the_image() -> None:
    elsewhere = changed("harbor", lambda value: value["vulnerabilities"][0].update(artifact_digests=[INDEX]))
    assert elsewhere.digests == (MANIFEST,)


def test_a_report_of_harbor_without_findings_is_clean() -> None:
    assert changed("harbor", lambda value: value.pop("vulnerabilities")).vulnerabilities == ()


def test_an_answer_of_harbor_about_an_index_names_all_its_images() -> None:
    answer = document("harbor-api")
    (body,) = answer.values()
    body["vulnerabilities"][0]["artifact_digests"] = [digest("arm64")]
    assert read(answer).digests == tuple(sorted((MANIFEST, digest("arm64"))))


def test_several_reports_of_harbor_at_once_are_refused() -> None:
    answer = document("harbor-api")
    (body,) = answer.values()
    with pytest.raises(UnusableInputError, match="2 vulnerability reports"):
        read(answer | {"application/vnd.security.vulnerability.report; version=1.2": body})


def test_an_sbom_in_a_report_of_harbor_is_to_be_submitted_itself() -> None:
    with pytest.raises(UnusableInputError, match='member "sbom"'):
        changed("harbor", lambda value: value.update(sbom={}))


@pytest.mark.parametrize("name", ["trivy", "grype", "harbor", "harbor-api"])
def test_the_same_vulnerability_has_the_same_score_with_every_scanner(name: str) -> None:
    vulnerabilities = read_report(content(name)).vulnerabilities
    assert vulnerabilities is not None
    assert BACKDOOR in vulnerabilities


@pytest.mark.parametrize(
    ("word", "severity"),
    [("CRITICAL", "critical"), ("Important", "high"), ("Moderate", "medium"), ("None", "negligible"), ("", "unknown")],
)
def test_the_words_of_scanners_are_severities_of_ours(word: str, severity: str) -> None:
    report = changed("grype", lambda value: value["matches"][0]["vulnerability"].update(severity=word))
    assert report.vulnerabilities is not None
    assert report.vulnerabilities[1].severity == severity


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_a_tool_lists_things_makes_no_difference(name: str) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in reversed(value)] if isinstance(value, list) else value

    assert read(turned(document(name))) == read_report(content(name))
