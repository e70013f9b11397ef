"""Bringing manifests with everything that they name to a repository, content before name."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from schemas.descriptors import INDEX_TYPES
from towline.registry.blobcopy import BlobCopier, BlobFates
from towline.registry.client import RegistryClient
from towline.registry.closure import is_sparse
from towline.registry.errors import ContentMissingError, NotFoundError, RefusedError
from towline.registry.manifests import Manifest
from towline.registry.reduction import reduce_closure

Write = Callable[[Manifest], Awaitable[bool]]
"""Writes a manifest, and tells whether the registry lists it under its subject by itself."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is at the target now."""

    #: In the order in which it was written: those that were to be, but for indexes that were reduced.
    manifests: Sequence[Manifest]
    #: The digests of those that the registry lists under their subjects by itself.
    listed: frozenset[str]


class _SparseIndexRefusedError(Exception):
    """The registry does not take an index without everything that it names, and says so in whatever words."""


class ContentCopier:
    """Writes manifests by digest into the target repository of one command."""

    def __init__(
        self, blobs: BlobCopier, target: RegistryClient, repository: str, hit: Callable[[str], Awaitable[None]]
    ) -> None:
        self._blobs = blobs
        self._target = target
        self._repository = repository
        self._hit = hit

    async def copy(self, manifests: Sequence[Manifest], fates: BlobFates) -> Written:
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

    async def write(self, manifests: Sequence[Manifest], fates: BlobFates, last: Write | None = None) -> Written:
        """Write all manifests in the order given: children before parents.

        ``last`` writes the last one, when it gets its name at once. A registry that misses something which it said to
        have is believed the second time, once. One that does not take an index without what the command leaves out of
        it gets the index of the rest.

        Raises:
            RegistryError: the registry failed or refused.
        """
        write_last = last or self._put
        try:
            return await self._write(manifests, write_last)
        except (ContentMissingError, _SparseIndexRefusedError):
            # It may miss what it is to have as well, and in no answer is one told from the other.
            await self._blobs.copy_all(manifests, fates, doubted=True)
        try:
            return await self._write(manifests, write_last)
        except _SparseIndexRefusedError:
            return await self._write(reduce_closure(manifests), write_last)

    async def _write(self, manifests: Sequence[Manifest], last: Write) -> Written:
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
                    raise _SparseIndexRefusedError from error
                raise
        return Written(manifests, frozenset(listed))

    async def _put(self, manifest: Manifest) -> bool:
        return await self._target.put_manifest(self._repository, manifest.digest, manifest)
