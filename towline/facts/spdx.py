"""SPDX 2.3 SBOMs in JSON (https://spdx.github.io/spdx-spec/v2.3/)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.facts import Component
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError
from towline.facts.cyclonedx import oci_version
from towline.facts.findings import component, merged_components
from towline.facts.parts import Part, Report, digests_in

_VERSION: Final = "SPDX-2.3"
_IMAGE: Final = "CONTAINER"
_NO_PACKAGES: Final = frozenset({_IMAGE, "FILE"})
_NOT_SAID: Final = frozenset({None, "", "NOASSERTION", "NONE"})


class _ExternalReference(Part):
    kind: Annotated[str, Field(alias="referenceType")]
    locator: Annotated[str, Field(alias="referenceLocator")]


class _Package(Part):
    name: str
    version: Annotated[str | None, Field(alias="versionInfo")] = None
    purpose: Annotated[str | None, Field(alias="primaryPackagePurpose")] = None
    concluded: Annotated[str | None, Field(alias="licenseConcluded")] = None
    declared: Annotated[str | None, Field(alias="licenseDeclared")] = None
    references: Annotated[list[_ExternalReference] | None, Field(alias="externalRefs")] = None


class _CreationInfo(Part):
    created: str | None = None


class _Document(Part):
    creation: Annotated[_CreationInfo | None, Field(alias="creationInfo")] = None
    packages: list[_Package] | None = None


def recognises(document: Mapping[str, Any]) -> bool:
    """Tell if this is an SPDX 2 document."""
    return "spdxVersion" in document


def read(document: Mapping[str, Any]) -> Report:
    """Return what the SBOM says. Of a licence that was concluded and one that was declared, the former counts.

    Raises:
        UnusableInputError: another version of the format, or a part of it cannot be used.
    """
    version = document.get("spdxVersion")
    if version != _VERSION:
        raise UnusableInputError(f"spdxVersion: {shown(str(version))} is unknown; known is {_VERSION}")
    sbom = fitted(_Document, document)
    packages = sbom.packages or []
    images = [package for package in packages if package.purpose == _IMAGE]
    return Report(
        tool="spdx 2.3",
        digests=digests_in(_digests(images)),
        platform=None,
        vulnerabilities=None,
        components=merged_components(_components(packages)),
        occurred_at=instant_or_none((sbom.creation.created if sbom.creation else None) or ""),
    )


def _digests(images: list[_Package]) -> Iterator[str | None]:
    for image in images:
        yield image.version
        yield oci_version(_purl(image))


def _components(packages: list[_Package]) -> Iterator[Component]:
    for number, package in enumerate(packages):
        if package.purpose not in _NO_PACKAGES:
            licence = package.declared if package.concluded in _NOT_SAID else package.concluded
            yield component(package.name, package.version, _purl(package), [licence or ""], f"packages.{number}")


def _purl(package: _Package) -> str | None:
    return next((each.locator for each in package.references or () if each.kind == "purl"), None)
