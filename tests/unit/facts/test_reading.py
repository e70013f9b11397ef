"""Reports are recognised, bounded, and refused with the place of what is wrong."""

from typing import Any

import pytest

from tests.unit.facts.reports import NAMES, content, document, read
from towline import limits
from towline.errors import UnusableInputError
from towline.facts import findings, read_report


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"not JSON", "not JSON"),
        (b"[]", "a report is a JSON object; known are Trivy JSON, Grype JSON"),
        (b'{"vulnerabilities": []}', "no report that is known; known are Trivy JSON, Grype JSON"),
        (b'{"SchemaVersion": 2, "spdxVersion": "SPDX-2.3"}', "looks like Trivy JSON and SPDX 2.3 JSON at once"),
        (b'{"SchemaVersion": 2, "SchemaVersion": 2}', "occurs twice"),
        (b'{"SchemaVersion": NaN}', "NaN is not JSON"),
        (b'{"SchemaVersion": 2, "x": ' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper"),
    ],
)
def test_what_is_no_report_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableInputError, match=reason):
        read_report(body)


def test_a_report_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "report_bytes", 1000)
    with pytest.raises(UnusableInputError, match="at most 1000 are taken"):
        read_report(content("trivy"))


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


@pytest.mark.parametrize(
    ("name", "place", "member", "value"),
    [
        ("trivy", "Results.0.Vulnerabilities.0", "VulnerabilityID", None),
        ("trivy", "Results.0.Vulnerabilities.0", "VulnerabilityID", ""),
        ("trivy", "Results.0.Vulnerabilities.0", "VulnerabilityID", "C" * 513),
        ("trivy", "Results.0.Vulnerabilities.0", "PkgName", 7),
        ("trivy", "Results.0.Vulnerabilities.0", "InstalledVersion", ["1"]),
        ("trivy", "Results.0.Vulnerabilities.0", "Severity", "AWFUL"),
        ("trivy", "Results.0.Vulnerabilities.0", "CVSS", []),
        ("trivy", "Results.0.Vulnerabilities.0.CVSS.nvd", "V3Score", "10"),
        ("trivy", "Results.0.Vulnerabilities.0.CVSS.nvd", "V3Score", True),
        ("trivy", "Results.1", "Vulnerabilities", {}),
        ("trivy", "Metadata.ImageConfig", "architecture", "AMD 64"),
        ("grype", "matches.0.vulnerability", "id", None),
        ("grype", "matches.0.artifact", "name", ""),
        ("grype", "matches.0.vulnerability", "severity", "Awful"),
        ("grype", "source.target", "os", 1),
        ("harbor", "vulnerabilities.1", "package", ""),
        ("harbor", "vulnerabilities.1", "severity", "Awful"),
        ("harbor", "scanner", "name", None),
        ("cyclonedx", "components.1", "name", ""),
        ("cyclonedx", "components.2.components.0", "version", "1" * 513),
        ("cyclonedx", "components.1", "licenses", [{"license": "MIT"}]),
        ("spdx", "packages.0", "name", None),
        ("spdx", "packages.0", "externalRefs", [{"referenceType": "purl"}]),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(name: str, place: str, member: str, value: object) -> None:
    report = document(name)
    _at(report, place)[member] = value
    with pytest.raises(UnusableInputError) as caught:
        read(report)
    # The package of a finding stands in another object than its vulnerability; the place of both is their match.
    assert place.removesuffix(".artifact").removesuffix(".ImageConfig") in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["trivy", "grype", "harbor"])
def test_more_findings_than_an_event_takes_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "VULNERABILITIES_MAX", 1)
    with pytest.raises(UnusableInputError, match=r"the report has \d vulnerabilities; at most 1 are taken"):
        read_report(content(name))


@pytest.mark.parametrize("name", ["trivy", "cyclonedx", "spdx"])
def test_more_packages_than_an_event_takes_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "COMPONENTS_MAX", 2)
    with pytest.raises(UnusableInputError, match=r"the report has \d packages; at most 2 are taken"):
        read_report(content(name))


@pytest.mark.parametrize("name", NAMES)
def test_members_that_nobody_knows_are_the_business_of_the_tool(name: str) -> None:
    assert read(document(name) | {"later": {"versions": ["have", 1.5]}}) == read_report(content(name))
