"""An index of fewer platforms, for a registry that takes no index without everything that it names."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.canonical import canonical_bytes
from schemas.descriptors import INDEX_TYPES
from towline.registry.blobs import digest_of
from towline.registry.errors import UnsupportedManifestError
from towline.registry.manifests import Manifest, parse_manifest


def reduce_closure(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Return the manifests of an image with each index left to name only those of them that are here.

    ``manifests`` are in the order of :func:`towline.registry.closure.read_closure`: children before parents, the image
    itself last. An index that names no more than is here stays as it is. Any other keeps its members, media type,
    annotations and subject, and of its entries those for what is here: word for word and in their order, but for an
    index inside of it that was reduced itself. Its bytes are canonical, so that two copies make the same index.

    Raises:
        UnsupportedManifestError: an index holds a number that canonical JSON has no one spelling for.
    """
    reduced: dict[str, Manifest] = {}
    for manifest in manifests:
        reduced[manifest.digest] = _reduce(manifest, reduced) if manifest.media_type in INDEX_TYPES else manifest
    return list(reduced.values())


def _reduce(index: Manifest, here: Mapping[str, Manifest]) -> Manifest:
    if all(child.digest in here and here[child.digest].digest == child.digest for child in index.manifests):
        return index
    left_out = {child.digest for child in index.manifests} - here.keys()
    document = index.document()
    entries = [_entry(entry, here) for entry in document["manifests"] if entry["digest"] not in left_out]
    try:
        content = canonical_bytes({**document, "manifests": entries})
    except (TypeError, ValueError) as error:
        raise UnsupportedManifestError(f"{index.digest} cannot be written for fewer platforms: {error}") from None
    digest = digest_of(content, index.digest.partition(":")[0])
    return parse_manifest(content, digest, index.media_type)


def _entry(entry: Mapping[str, Any], here: Mapping[str, Manifest]) -> Mapping[str, Any]:
    child = here.get(entry["digest"])
    if child is None or child.digest == entry["digest"]:
        return entry
    return {**entry, "digest": child.digest, "size": len(child.content)}
