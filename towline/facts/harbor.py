"""Harbor's vulnerability report (pluggable scanner API 1.1), alone or under its media type as Harbor's API answers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.facts import Vulnerability
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted
from towline.errors import UnusableInputError
from towline.facts.findings import merged_vulnerabilities, severity_of, vulnerability
from towline.facts.parts import Part, Report, Vector, digests_in
from towline.facts.scores import Rating, score_tenths
from towline.facts.trivy import Cvss, ratings

_MEDIA_TYPE: Final = "application/vnd.security.vulnerability.report"
_SBOM_MEMBER: Final = "sbom"

_NAMES: Final[Mapping[str, str]] = {"component": "package"}


class _Preferred(Part):
    score_v3: float | None = None
    vector_v3: Vector | None = None
    score_v2: float | None = None
    vector_v2: Vector | None = None


class _Attributes(Part):
    cvss: Annotated[dict[str, Cvss] | None, Field(alias="CVSS")] = None


class _Finding(Part):
    id: str
    package: str
    version: str | None = None
    severity: str | None = None
    preferred_cvss: _Preferred | None = None
    artifact_digests: list[str] | None = None
    vendor_attributes: _Attributes | None = None


class _Artifact(Part):
    digest: str | None = None


class _Scanner(Part):
    name: str
    version: str | None = None


class _Document(Part):
    generated_at: str | None = None
    artifact: _Artifact | None = None
    scanner: _Scanner
    findings: Annotated[list[_Finding] | None, Field(alias="vulnerabilities")] = None


def recognises(document: Mapping[str, Any]) -> bool:
    """Tell if this is a report of Harbor's."""
    return ("generated_at" in document and "scanner" in document) or bool(_media_types(document))


def read(document: Mapping[str, Any]) -> Report:
    """Return what the report says. Packages without findings are not in it, so it lists none.

    Raises:
        UnusableInputError: several reports at once, an SBOM in place of findings, or a part of it cannot be used.
    """
    names = _media_types(document)
    if len(names) > 1:
        raise UnusableInputError(f"there are {len(names)} vulnerability reports in it; submit one")
    body = document[names[0]] if names else document
    if isinstance(body, dict) and _SBOM_MEMBER in body:
        raise UnusableInputError(f'the report carries an SBOM; submit what is in its member "{_SBOM_MEMBER}"')
    prefix = names[0] if names else ""
    report = fitted(_Document, body, prefix)
    scanner = report.scanner
    findings = report.findings or []
    return Report(
        tool=f"{scanner.name.lower()} {(scanner.version or '').removeprefix('v')}".strip(),
        digests=_digests(report.artifact, findings),
        platform=None,
        vulnerabilities=merged_vulnerabilities(_vulnerabilities(findings, f"{prefix}." if prefix else "")),
        components=None,
        occurred_at=instant_or_none(report.generated_at or ""),
    )


def _media_types(document: Mapping[str, Any]) -> list[str]:
    return [name for name in document if name.partition(";")[0].strip() == _MEDIA_TYPE]


def _digests(artifact: _Artifact | None, findings: list[_Finding]) -> tuple[str, ...]:
    named = digests_in([artifact.digest]) if artifact else ()
    # Harbor's own answers do not say which artifact they are about; its findings do.
    return named or digests_in(digest for finding in findings for digest in finding.artifact_digests or ())


def _vulnerabilities(findings: list[_Finding], prefix: str) -> Iterable[Vulnerability]:
    for number, found in enumerate(findings):
        path = f"{prefix}vulnerabilities.{number}"
        told = {
            "id": found.id,
            "severity": severity_of(found.severity, f"{path}.severity"),
            "score_tenths": score_tenths(_ratings(found), ("nvd", "preferred"), path),
            "component": found.package,
            "version": found.version or "",
        }
        yield vulnerability(told, path, _NAMES)


def _ratings(found: _Finding) -> Iterator[Rating]:
    if found.vendor_attributes is not None:
        yield from ratings(found.vendor_attributes.cvss or {})
    if (preferred := found.preferred_cvss) is not None:
        yield Rating("preferred", 3, preferred.score_v3, preferred.vector_v3)
        yield Rating("preferred", 2, preferred.score_v2, preferred.vector_v2)
