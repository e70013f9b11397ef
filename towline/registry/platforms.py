"""Platforms of an index (OCI image specification): which of its manifests are wanted."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from schemas.descriptors import INDEX_TYPES
from towline.registry.manifests import Manifest

#: The platform of what is for none, such as the attestations that build tools put into an index.
NO_PLATFORM: Final = "unknown/unknown"

#: Build tools mark attestations in an index with these, the second names the image that they are about.
_ATTESTATION_TYPE: Final = "vnd.docker.reference.type"
_ATTESTATION_SUBJECT: Final = "vnd.docker.reference.digest"


def platform_of(parts: Any) -> str | None:
    """Return the OS/ARCHITECTURE[/VARIANT] of a ``platform`` object or an image's configuration; None: it has none."""
    if not isinstance(parts, Mapping):
        return None
    named = [parts.get("os"), parts.get("architecture"), parts.get("variant")]
    if not all(isinstance(part, str) and part for part in named[:2]):
        return None
    return "/".join(part for part in named if isinstance(part, str) and part)


def is_wanted(platform: str, wanted: Collection[str]) -> bool:
    """Tell whether a platform is among those wanted; one that names no variant stands for all of its variants."""
    return any(platform == one or (one.count("/") == 1 and platform.startswith(f"{one}/")) for one in wanted)


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry of an index is an attestation about another entry, and no image."""
    return _annotation(entry, _ATTESTATION_TYPE) is not None or platform_of(entry.get("platform")) == NO_PLATFORM


def entries(index: Manifest) -> list[dict[str, Any]]:
    """Return the entries of an index, as they are written."""
    return [entry for entry in index.document().get("manifests") or () if isinstance(entry, dict)]


def unwanted(index: Manifest, wanted: Collection[str], *, attestations: bool) -> frozenset[str]:
    """Return the digests that a copy of some platforms leaves out.

    An index inside of the index is not among them unless it has a platform of its own, since what it holds may be
    wanted. With ``attestations``, those about a wanted image are wanted.
    """
    found, kept = entries(index), set()
    for entry in found:
        platform = platform_of(entry.get("platform"))
        if is_wanted(platform, wanted) if platform else entry.get("mediaType") in INDEX_TYPES:
            kept.add(entry["digest"])
    if attestations:
        kept |= {
            entry["digest"]
            for entry in found
            if is_attestation(entry) and _annotation(entry, _ATTESTATION_SUBJECT) in kept
        }
    return frozenset(entry["digest"] for entry in found) - kept


def _annotation(entry: Mapping[str, Any], name: str) -> str | None:
    annotations = entry.get("annotations")
    value = annotations.get(name) if isinstance(annotations, Mapping) else None
    return value if isinstance(value, str) else None
