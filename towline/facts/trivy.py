"""Trivy's JSON report, schema version 2 (https://trivy.dev/latest/docs/configuration/reporting/#json)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.facts import Component, Vulnerability
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError
from towline.facts.findings import component, merged_components, merged_vulnerabilities, severity_of, vulnerability
from towline.facts.parts import Part, Report, Vector, digests_in, platform_of
from towline.facts.scores import Rating, score_tenths

#: An image, or an SBOM of one; a directory or a virtual machine is none.
_KINDS: Final = frozenset({"container_image", "cyclonedx", "spdx"})

#: The classes of results that come from looking at packages.
_PACKAGE_CLASSES: Final = frozenset({"os-pkgs", "lang-pkgs"})

_NAMES: Final[Mapping[str, str]] = {"id": "VulnerabilityID", "component": "PkgName", "version": "InstalledVersion"}


class Cvss(Part):
    """The scores of one source, as Trivy and its adapter for Harbor write them."""

    v2_score: Annotated[float | None, Field(alias="V2Score")] = None
    v2_vector: Annotated[Vector | None, Field(alias="V2Vector")] = None
    v3_score: Annotated[float | None, Field(alias="V3Score")] = None
    v3_vector: Annotated[Vector | None, Field(alias="V3Vector")] = None
    v4_score: Annotated[float | None, Field(alias="V40Score")] = None
    v4_vector: Annotated[Vector | None, Field(alias="V40Vector")] = None


class _Finding(Part):
    id: Annotated[str, Field(alias="VulnerabilityID")]
    component: Annotated[str, Field(alias="PkgName")]
    version: Annotated[str | None, Field(alias="InstalledVersion")] = None
    severity: Annotated[str | None, Field(alias="Severity")] = None
    severity_source: Annotated[str | None, Field(alias="SeveritySource")] = None
    cvss: Annotated[dict[str, Cvss] | None, Field(alias="CVSS")] = None


class _Identifier(Part):
    purl: Annotated[str | None, Field(alias="PURL")] = None


class _Package(Part):
    name: Annotated[str, Field(alias="Name")]
    version: Annotated[str | None, Field(alias="Version")] = None
    release: Annotated[str | None, Field(alias="Release")] = None
    epoch: Annotated[int | None, Field(alias="Epoch")] = None
    identifier: Annotated[_Identifier | None, Field(alias="Identifier")] = None
    licences: Annotated[list[str] | None, Field(alias="Licenses")] = None


class _Result(Part):
    kind: Annotated[str | None, Field(alias="Class")] = None
    findings: Annotated[list[_Finding] | None, Field(alias="Vulnerabilities")] = None
    packages: Annotated[list[_Package] | None, Field(alias="Packages")] = None


class _System(Part):
    family: Annotated[str | None, Field(alias="Family")] = None


class _ImageConfig(Part):
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None


class _Metadata(Part):
    system: Annotated[_System | None, Field(alias="OS")] = None
    repo_digests: Annotated[list[str] | None, Field(alias="RepoDigests")] = None
    config: Annotated[_ImageConfig | None, Field(alias="ImageConfig")] = None


class _Tool(Part):
    version: Annotated[str | None, Field(alias="Version")] = None


class _Document(Part):
    schema_version: Annotated[int, Field(alias="SchemaVersion")]
    created_at: Annotated[str | None, Field(alias="CreatedAt")] = None
    kind: Annotated[str | None, Field(alias="ArtifactType")] = None
    metadata: Annotated[_Metadata | None, Field(alias="Metadata")] = None
    results: Annotated[list[_Result] | None, Field(alias="Results")] = None
    tool: Annotated[_Tool | None, Field(alias="Trivy")] = None


def recognises(document: Mapping[str, Any]) -> bool:
    """Tell if this is a report of Trivy's."""
    return "SchemaVersion" in document


def read(document: Mapping[str, Any]) -> Report:
    """Return what the report says.

    Raises:
        UnusableInputError: another schema version, not about an image, no packages were looked at, or a part of it
            cannot be used.
    """
    report = fitted(_Document, document)
    if report.schema_version != 2:
        raise UnusableInputError(f"SchemaVersion: {report.schema_version} is unknown; known is 2")
    if report.kind not in _KINDS | {None}:
        raise UnusableInputError(
            f"ArtifactType: {shown(report.kind or '')} is no image; scan the image itself: `trivy image --format json`"
        )
    metadata = report.metadata or _Metadata()
    results = report.results or []
    _refuse_unscanned(metadata, results)
    config = metadata.config or _ImageConfig()
    version = (report.tool.version if report.tool else None) or ""
    return Report(
        tool=f"trivy {version}".strip(),
        digests=digests_in(metadata.repo_digests or ()),
        platform=platform_of(config.os, config.architecture, config.variant, "Metadata.ImageConfig"),
        vulnerabilities=merged_vulnerabilities(_vulnerabilities(results)),
        components=_components(results),
        occurred_at=instant_or_none(report.created_at or ""),
    )


def ratings(cvss: Mapping[str, Cvss]) -> Iterator[Rating]:
    """Yield the scores of all sources."""
    for source, scores in cvss.items():
        yield Rating(source, 2, scores.v2_score, scores.v2_vector)
        yield Rating(source, 3, scores.v3_score, scores.v3_vector)
        yield Rating(source, 4, scores.v4_score, scores.v4_vector)


def _refuse_unscanned(metadata: _Metadata, results: list[_Result]) -> None:
    # A search for secrets or misconfigurations reads like a scan that found nothing, and must not pass for one.
    scanned = any(result.kind in _PACKAGE_CLASSES or result.findings or result.packages for result in results)
    has_packages = metadata.system is not None and bool(metadata.system.family)
    if not scanned and (results or has_packages):
        raise UnusableInputError(
            "Results: none of them is about packages, so the report says nothing about vulnerabilities; scan with "
            "`trivy image --scanners vuln --format json`"
        )


def _vulnerabilities(results: list[_Result]) -> Iterable[Vulnerability]:
    for number, result in enumerate(results):
        for place, found in enumerate(result.findings or ()):
            path = f"Results.{number}.Vulnerabilities.{place}"
            # Trivy takes the severity from whom it trusts most about this package.
            preferred = ("nvd", found.severity_source or "nvd")
            told = {
                "id": found.id,
                "severity": severity_of(found.severity, f"{path}.Severity"),
                "score_tenths": score_tenths(ratings(found.cvss or {}), preferred, f"{path}.CVSS"),
                "component": found.component,
                "version": found.version or "",
            }
            yield vulnerability(told, path, _NAMES)


def _components(results: list[_Result]) -> tuple[Component, ...] | None:
    if all(result.packages is None for result in results):
        return None
    return merged_components(
        component(
            package.name,
            _full_version(package),
            package.identifier.purl if package.identifier else None,
            package.licences or (),
            f"Results.{number}.Packages.{place}",
        )
        for number, result in enumerate(results)
        for place, package in enumerate(result.packages or ())
    )


def _full_version(package: _Package) -> str:
    # As Trivy writes InstalledVersion, so that a package and its vulnerabilities have the same.
    if not package.version:
        return ""
    epoch = f"{package.epoch}:" if package.epoch else ""
    release = f"-{package.release}" if package.release else ""
    return f"{epoch}{package.version}{release}"
