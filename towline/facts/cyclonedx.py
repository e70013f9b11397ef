"""CycloneDX SBOMs in JSON, 1.4 to 1.7 (https://cyclonedx.org/specification/overview/)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import unquote

from pydantic import Field

from schemas.facts import Component
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError
from towline.facts.findings import component, merged_components
from towline.facts.parts import Part, Report, digests_in

_VERSIONS: Final = ("1.4", "1.5", "1.6", "1.7")

#: What is no package: data that components have beside their code.
_NO_PACKAGES: Final = frozenset({"file", "data", "cryptographic-asset", "machine-learning-model"})

_REPO_DIGEST: Final = "aquasecurity:trivy:RepoDigest"


class _Licence(Part):
    id: str | None = None
    name: str | None = None


class _LicenceChoice(Part):
    licence: Annotated[_Licence | None, Field(alias="license")] = None
    expression: str | None = None


class _Property(Part):
    name: str | None = None
    value: str | None = None


class _Component(Part):
    kind: Annotated[str, Field(alias="type")]
    name: str
    group: str | None = None
    version: str | None = None
    purl: str | None = None
    licences: Annotated[list[_LicenceChoice] | None, Field(alias="licenses")] = None
    properties: list[_Property] | None = None
    components: "list[_Component] | None" = None


class _Metadata(Part):
    timestamp: str | None = None
    component: _Component | None = None


class _Document(Part):
    version: Annotated[str, Field(alias="specVersion")]
    metadata: _Metadata | None = None
    components: list[_Component] | None = None


def recognises(document: Mapping[str, Any]) -> bool:
    """Tell if this is a CycloneDX document."""
    return document.get("bomFormat") == "CycloneDX"


def read(document: Mapping[str, Any]) -> Report:
    """Return what the SBOM says.

    Raises:
        UnusableInputError: another version of the format, or a part of it cannot be used.
    """
    version = document.get("specVersion")
    if version not in _VERSIONS:
        raise UnusableInputError(f"specVersion: {shown(str(version))} is unknown; known are {', '.join(_VERSIONS)}")
    sbom = fitted(_Document, document)
    metadata = sbom.metadata or _Metadata()
    return Report(
        tool=f"cyclonedx {sbom.version}",
        digests=_digests(metadata.component),
        platform=None,
        vulnerabilities=None,
        components=merged_components(_components(sbom.components or (), "components")),
        occurred_at=instant_or_none(metadata.timestamp or ""),
    )


def _digests(image: _Component | None) -> tuple[str, ...]:
    if image is None or image.kind != "container":
        return ()
    told = digests_in(each.value for each in image.properties or () if each.name == _REPO_DIGEST)
    # Trivy also gives the package URL of the image, Syft its digest as the version.
    return told or digests_in([oci_version(image.purl), image.version])


def oci_version(purl: str | None) -> str | None:
    """Return the version in a package URL of type ``oci``, which is the digest of the image."""
    if purl is None or not purl.startswith("pkg:oci/"):
        return None
    return unquote(purl.partition("?")[0].rpartition("@")[2])


def _components(found: "list[_Component] | tuple[()]", path: str) -> Iterator[Component]:
    for number, each in enumerate(found):
        place = f"{path}.{number}"
        if each.kind not in _NO_PACKAGES:
            yield component(_full_name(each), each.version, each.purl, _licences(each), place)
        yield from _components(each.components or (), f"{place}.components")


def _full_name(each: _Component) -> str:
    if not each.group:
        return each.name
    # As the ecosystem itself writes it, and scanners in their findings.
    separator = ":" if (each.purl or "").startswith("pkg:maven/") else "/"
    return f"{each.group}{separator}{each.name}"


def _licences(each: _Component) -> Iterator[str]:
    for choice in each.licences or ():
        if choice.licence is not None:
            yield choice.licence.id or choice.licence.name or ""
        elif choice.expression is not None:
            yield choice.expression
