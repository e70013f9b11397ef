"""Descriptors and media types of the OCI image specification."""

from typing import Final

from schemas.references import Count, Digest, Frozen

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_SCHEMA1_UNSIGNED: Final = "application/vnd.docker.distribution.manifest.v1+json"

MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
SCHEMA1_TYPES: Final = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_UNSIGNED})


class Descriptor(Frozen):
    """What names a piece of content: its media type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: Count
