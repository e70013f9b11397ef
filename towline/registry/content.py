"""Bringing manifests with everything that they name to a repository, content before name."""

from collections.abc import Awaitable, Callable, Sequence

from schemas.descriptors import INDEX_TYPES
from towline.registry.blobcopy import BlobCopier, BlobFates
from towline.registry.client import RegistryClient
from towline.registry.closure import is_sparse
from towline.registry.errors import ContentMissingError, NotFoundError, RefusedError, SparseIndexRefusedError
from towline.registry.manifests import Manifest

Write = Callable[[Manifest], Awaitable[bool]]
"""Writes a manifest, and tells whether the registry lists it under its subject by itself."""


class ContentCopier:
    """Writes manifests by digest into the target repository of one command."""

    def __init__(
        self, blobs: BlobCopier, target: RegistryClient, repository: str, hit: Callable[[str], Awaitable[None]]
    ) -> None:
        self._blobs = blobs
        self._target = target
        self._repository = repository
        self._hit = hit

    async def copy(self, manifests: Sequence[Manifest], fates: BlobFates) -> frozenset[str]:
        """Bring all blobs, then write all manifests, as :meth:`write` does.

        Raises:
            RegistryError: the registry failed or refused.
        """
        await self.bring(manifests, fates)
        return await self.write(manifests, fates)

    async def bring(self, manifests: Sequence[Manifest], fates: BlobFates) -> None:
        """Make sure that the target has every blob that the manifests name.

        Raises:
            RegistryError: the registry failed or refused.
        """
        await self._blobs.copy_all(manifests, fates)
        await self._hit("transfer.blobs_copied")

    async def write(self, manifests: Sequence[Manifest], fates: BlobFates, last: Write | None = None) -> frozenset[str]:
        """Write all manifests in the order given: children before parents.

        ``last`` writes the last one, when it gets its name at once. A registry that misses something which it said to
        have is believed the second time, once. Returns the digests of those that the registry lists under their
        subjects by itself.

        Raises:
            SparseIndexRefusedError: the registry wants what an index names and the command leaves out.
            RegistryError: another failure.
        """
        try:
            return await self._write(manifests, last or self._put)
        except ContentMissingError:
            await self._blobs.copy_all(manifests, fates, doubted=True)
            return await self._write(manifests, last or self._put)

    async def _write(self, manifests: Sequence[Manifest], last: Write) -> frozenset[str]:
        present = {manifest.digest for manifest in manifests}
        listed = set()
        for manifest in manifests:
            is_last = manifest is manifests[-1]
            if is_last:
                await self._hit("transfer.children_copied")
            try:
                if await (last if is_last else self._put)(manifest):
                    listed.add(manifest.digest)
            except (ContentMissingError, NotFoundError, RefusedError) as error:
                if manifest.media_type in INDEX_TYPES and is_sparse(manifest, present):
                    raise SparseIndexRefusedError(
                        f"{self._target.name} does not take {manifest.digest} without all of its platforms: {error}",
                        status=error.status,
                        codes=error.codes,
                    ) from error
                raise
        return frozenset(listed)

    async def _put(self, manifest: Manifest) -> bool:
        return await self._target.put_manifest(self._repository, manifest.digest, manifest)
