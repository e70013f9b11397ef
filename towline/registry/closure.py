"""Everything that has to be there before a manifest: the manifests under it."""

from typing import Final

from towline import limits
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, SourceGoneError, TooLargeError
from towline.registry.manifests import Manifest

#: All manifests of one image together: they are held in memory while it is copied. A thousand of usual size are 2 MiB.
CLOSURE_BYTES: Final = 16 * limits.manifest_bytes


async def read_closure(source: RegistryClient, repository: str, digest: str) -> list[Manifest]:
    """Return the manifest of ``digest`` and all under it, each once, children before parents, itself last.

    Raises:
        SourceGoneError: one of them is not there.
        TooLargeError: deeper, wider or larger than the bounds.
    """
    reading = _Reading(source, repository)
    await reading.visit(digest, limits.index_depth)
    return list(reading.done.values())


class _Reading:
    def __init__(self, source: RegistryClient, repository: str) -> None:
        self._source = source
        self._repository = repository
        self._visited: set[str] = set()
        self._size = 0
        self.done: dict[str, Manifest] = {}

    async def visit(self, digest: str, depth: int) -> None:
        if digest in self._visited:
            return
        if depth < 0:
            raise TooLargeError(f"{digest} is nested deeper than {limits.index_depth} indexes")
        if len(self._visited) > limits.index_manifest_count:
            raise TooLargeError(f"more than {limits.index_manifest_count} manifests under one image")
        self._visited.add(digest)
        manifest = await self._read(digest)
        for child in manifest.manifests:
            await self.visit(child.digest, depth - 1)
        self.done[digest] = manifest

    async def _read(self, digest: str) -> Manifest:
        try:
            manifest = await self._source.get_manifest(self._repository, digest)
        except NotFoundError as error:
            raise SourceGoneError(str(error), status=error.status, codes=error.codes) from error
        self._size += len(manifest.content)
        if self._size > CLOSURE_BYTES:
            raise TooLargeError(f"the manifests under one image exceed {CLOSURE_BYTES} bytes")
        return manifest
