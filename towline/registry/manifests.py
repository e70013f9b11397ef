"""What a manifest or index names (OCI image specification, Docker image manifest version 2 schema 2).

Manifests are copied verbatim; they are parsed only to learn what has to be there before them.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import ValidationError

from schemas.descriptors import INDEX_TYPES, OCI_INDEX, OCI_MANIFEST, SCHEMA1_TYPES, Descriptor
from towline import limits
from towline.registry.errors import TooLargeError, UnsupportedManifestError

#: Layers that registries do not hold: their descriptors point elsewhere. They are copied as descriptors and never
#: fetched, least of all with credentials.
FOREIGN_TYPES: Final = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index with its verbatim bytes, and what it names, each digest once."""

    digest: str
    media_type: str
    content: bytes
    blobs: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON object; read anew each time, because most manifests are only passed on."""
        return _read_object(self.content, self.digest)

    def names_foreign_layers(self) -> bool:
        """Tell whether it names layers that registries do not hold."""
        layers = self.document().get("layers")
        return any(layer.get("mediaType") in FOREIGN_TYPES for layer in layers or () if isinstance(layer, dict))


def parse_manifest(content: bytes, digest: str, content_type: str) -> Manifest:
    """Read a manifest or index; ``content_type`` is what the registry said, the document's own media type wins.

    Unknown media types are taken as they are: by the specification their members mean what they mean elsewhere.

    Raises:
        UnsupportedManifestError: docker schema 1, no JSON object, both manifest and index at once, or a member that is
            not a descriptor.
        TooLargeError: an index with more manifests than the bound.
    """
    document = _read_object(content, digest)
    media_type = _media_type(document, content_type, digest)
    children = _descriptors(document, "manifests", digest)
    named = [
        *_descriptors(document, "config", digest),
        *_descriptors(document, "layers", digest),
        *_descriptors(document, "blobs", digest),  # the artifact manifest of the OCI 1.1 release candidates
    ]
    if children and named:
        # Readers would disagree on what it is (CVE-2021-41190).
        raise UnsupportedManifestError(f"{digest} is a manifest and an index at once")
    if len(children) > limits.index_manifest_count:
        raise TooLargeError(
            f"index {digest} names {len(children)} manifests, {limits.index_manifest_count} are allowed"
        )
    # Build caches list layers in an index; what is not called manifest or index is a blob.
    manifests = [child for child in children if _is_manifest_type(child.media_type)]
    blobs = [*named, *(child for child in children if not _is_manifest_type(child.media_type))]
    held = [blob for blob in blobs if blob.media_type not in FOREIGN_TYPES]
    return Manifest(digest, media_type, content, _unique(held), _unique(manifests))


def _read_object(content: bytes, digest: str) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnsupportedManifestError(f"{digest} is not JSON: {error.msg}") from None
    if not isinstance(document, dict):
        raise UnsupportedManifestError(f"{digest} is not a JSON object")
    return document


def _media_type(document: dict[str, Any], content_type: str, digest: str) -> str:
    own = document.get("mediaType")
    media_type = own if isinstance(own, str) and own else content_type.partition(";")[0].strip().lower()
    if document.get("schemaVersion") == 1 or media_type in SCHEMA1_TYPES:
        raise UnsupportedManifestError(
            f"{digest} is a docker schema 1 manifest, which cannot be copied; push the image again with a current tool"
        )
    if media_type and media_type not in {"application/json", "application/octet-stream", "text/plain"}:
        return media_type
    # Static file servers do not know the type; OCI leaves it out of the document.
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def _is_manifest_type(media_type: str) -> bool:
    return media_type in INDEX_TYPES or "manifest" in media_type or media_type.endswith(".index.v1+json")


def _descriptors(document: dict[str, Any], member: str, digest: str) -> list[Descriptor]:
    value = document.get(member)
    entries = value if isinstance(value, list) else [] if value is None else [value]
    try:
        return [
            Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"]) for entry in entries
        ]
    except (KeyError, TypeError, ValidationError):
        raise UnsupportedManifestError(f"{digest}: {member} holds something that is not a descriptor") from None


def _unique(descriptors: list[Descriptor]) -> tuple[Descriptor, ...]:
    return tuple({descriptor.digest: descriptor for descriptor in descriptors}.values())
