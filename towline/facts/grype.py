"""Grype's JSON report (https://github.com/anchore/grype, output ``json``)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.facts import Vulnerability
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError
from towline.facts.findings import merged_vulnerabilities, severity_of, vulnerability
from towline.facts.parts import Part, Report, Vector, digests_in, platform_of
from towline.facts.scores import Rating, score_tenths

#: An image, or an SBOM of one, or whatever was piped in; a directory or a file is none.
_KINDS: Final = frozenset({"image", "sbom-file", "unknown"})

_NAMES: Final[Mapping[str, str]] = {
    "id": "vulnerability.id",
    "component": "artifact.name",
    "version": "artifact.version",
}


class _Metrics(Part):
    base_score: Annotated[float | None, Field(alias="baseScore")] = None


class _Cvss(Part):
    source: str | None = None
    version: str | None = None
    vector: Vector | None = None
    metrics: _Metrics | None = None


class _Vulnerability(Part):
    id: str
    severity: str | None = None
    cvss: list[_Cvss] | None = None


class _Related(Part):
    cvss: list[_Cvss] | None = None


class _Artifact(Part):
    name: str
    version: str | None = None


class _Match(Part):
    vulnerability: _Vulnerability
    related: Annotated[list[_Related] | None, Field(alias="relatedVulnerabilities")] = None
    artifact: _Artifact


class _Target(Part):
    manifest_digest: Annotated[str | None, Field(alias="manifestDigest")] = None
    repo_digests: Annotated[list[str] | None, Field(alias="repoDigests")] = None
    os: str | None = None
    architecture: str | None = None
    variant: Annotated[str | None, Field(alias="architectureVariant")] = None


class _Source(Part):
    kind: Annotated[str, Field(alias="type")]
    # Of other sources than images it is a text.
    target: Any = None


class _Descriptor(Part):
    name: str
    version: str | None = None
    timestamp: str | None = None


class _Document(Part):
    matches: list[_Match] | None
    source: _Source | None = None
    descriptor: _Descriptor


def recognises(document: Mapping[str, Any]) -> bool:
    """Tell if this is a report of Grype's."""
    return "matches" in document and "descriptor" in document


def read(document: Mapping[str, Any]) -> Report:
    """Return what the report says. It lists the packages with findings only, so it lists none.

    Raises:
        UnusableInputError: not about an image, or a part of it cannot be used.
    """
    report = fitted(_Document, document)
    target = _target(report.source)
    tool = report.descriptor
    return Report(
        tool=f"{tool.name} {tool.version or ''}".strip(),
        # What a registry calls the image comes first: of one that a daemon has, the manifest is made up.
        digests=digests_in(target.repo_digests or ()) or digests_in([target.manifest_digest]),
        platform=platform_of(target.os, target.architecture, target.variant, "source.target"),
        vulnerabilities=merged_vulnerabilities(_vulnerabilities(report.matches or [])),
        components=None,
        occurred_at=instant_or_none(tool.timestamp or ""),
    )


def _target(source: _Source | None) -> _Target:
    if source is None:
        return _Target()
    if source.kind not in _KINDS:
        raise UnusableInputError(
            f"source.type: {shown(source.kind)} is no image; scan the image itself: `grype IMAGE --output json`"
        )
    return fitted(_Target, source.target, "source.target") if source.kind == "image" else _Target()


def _vulnerabilities(matches: list[_Match]) -> Iterable[Vulnerability]:
    for number, match in enumerate(matches):
        path = f"matches.{number}"
        found = match.vulnerability
        told = {
            "id": found.id,
            "severity": severity_of(found.severity, f"{path}.vulnerability.severity"),
            "score_tenths": score_tenths(_ratings(match), ("nvd",), f"{path}.vulnerability.cvss"),
            "component": match.artifact.name,
            "version": match.artifact.version or "",
        }
        yield vulnerability(told, path, _NAMES)


def _ratings(match: _Match) -> Iterator[Rating]:
    # An advisory of a distribution often has no score of its own, but the CVE that it is about has.
    for each in (match.vulnerability, *(match.related or ())):
        for cvss in each.cvss or ():
            source = "nvd" if (cvss.source or "").lower().startswith("nvd") else cvss.source or ""
            version = int(cvss.version[0]) if cvss.version and cvss.version[0] in "234" else 2
            yield Rating(source, version, cvss.metrics.base_score if cvss.metrics else None, cvss.vector)
