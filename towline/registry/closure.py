"""Everything that has to be there before a manifest: the manifests under it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from schemas.descriptors import INDEX_TYPES
from towline import limits
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, PlatformMissingError, SourceGoneError, TooLargeError
from towline.registry.manifests import Manifest
from towline.registry.platforms import entries, platform_of, unwanted

#: All manifests of one image together: they are held in memory while it is copied. A thousand of usual size are 2 MiB.
CLOSURE_BYTES: Final = 16 * limits.manifest_bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of an index."""

    #: Only these platforms; empty: everything.
    platforms: tuple[str, ...] = ()
    #: With the attestations that the index has about them.
    attestations: bool = True


EVERYTHING: Final = Selection()


async def read_closure(
    source: RegistryClient, repository: str, digest: str, selection: Selection = EVERYTHING
) -> list[Manifest]:
    """Return the manifest of ``digest`` and all under it, each once, children before parents, itself last.

    An index of which only some platforms are wanted is returned as it is, and the others are not.

    Raises:
        SourceGoneError: one of them is not there.
        PlatformMissingError: it is an index, and has none of the wanted platforms.
        TooLargeError: deeper, wider or larger than the bounds.
    """
    reading = _Reading(source, repository, selection)
    if not await reading.visit(digest, limits.index_depth):
        raise PlatformMissingError(
            f"{digest} has none of the platforms {', '.join(selection.platforms)}; it has "
            f"{', '.join(sorted(reading.platforms)) or 'none'}"
        )
    return list(reading.done.values())


def is_sparse(index: Manifest, present: Collection[str]) -> bool:
    """Tell whether an index names manifests that are not among ``present``."""
    return any(child.digest not in present for child in index.manifests)


class _Reading:
    def __init__(self, source: RegistryClient, repository: str, selection: Selection) -> None:
        self._source = source
        self._repository = repository
        self._selection = selection
        self._visited: set[str] = set()
        self._size = 0
        #: Those that the indexes name, wanted or not.
        self.platforms: set[str] = set()
        self.done: dict[str, Manifest] = {}

    async def visit(self, digest: str, depth: int) -> bool:
        """Read what is under a digest, and tell whether anything there is wanted."""
        if digest in self._visited:
            return digest in self.done
        if depth < 0:
            raise TooLargeError(f"{digest} is nested deeper than {limits.index_depth} indexes")
        if len(self._visited) > limits.index_manifest_count:
            raise TooLargeError(f"more than {limits.index_manifest_count} manifests under one image")
        self._visited.add(digest)
        manifest = await self._read(digest)
        left_out = self._left_out(manifest)
        found = False
        for child in manifest.manifests:
            if child.digest not in left_out:
                found = await self.visit(child.digest, depth - 1) or found
        if self._selection.platforms and manifest.media_type in INDEX_TYPES and not found:
            return False
        self.done[digest] = manifest
        return True

    def _left_out(self, manifest: Manifest) -> frozenset[str]:
        if not self._selection.platforms or manifest.media_type not in INDEX_TYPES:
            return frozenset()
        self.platforms |= {platform for it in entries(manifest) if (platform := platform_of(it.get("platform")))}
        return unwanted(manifest, self._selection.platforms, attestations=self._selection.attestations)

    async def _read(self, digest: str) -> Manifest:
        try:
            manifest = await self._source.get_manifest(self._repository, digest)
        except NotFoundError as error:
            raise SourceGoneError(str(error), status=error.status, codes=error.codes) from error
        self._size += len(manifest.content)
        if self._size > CLOSURE_BYTES:
            raise TooLargeError(f"the manifests under one image exceed {CLOSURE_BYTES} bytes")
        return manifest
