"""Bringing blobs to the target: skip what is there, mount what the registry has, stream the rest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Final, Literal

from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from towline import limits
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, RegistryError, SourceGoneError, UploadLostError
from towline.registry.flights import Flights
from towline.registry.known import KnownBlobs
from towline.registry.manifests import Manifest
from towline.registry.parallel import each
from towline.registry.uploads import Upload

#: How long giving up an upload session may take. Registries forget sessions by themselves, so it is a courtesy that
#: must not hold up a shutdown.
CANCEL_SECONDS: Final = 10.0

Fate = Literal["copied", "mounted", "skipped"]


class BlobFates:
    """What became of the blobs of one command, over all its attempts: what was done first counts."""

    def __init__(self) -> None:
        self._fates: dict[str, Fate] = {}
        self._under_way: dict[str, int] = {}
        #: Bytes of the blobs that were streamed, and of those that needed no streaming.
        self.bytes_copied = 0
        self.bytes_spared = 0

    @property
    def bytes_sent(self) -> int:
        """Bytes of the blobs that were streamed, and what was sent of those under way."""
        return self.bytes_copied + sum(self._under_way.values())

    def sent(self, blob: Descriptor, count: int) -> None:
        """Note how many bytes of a blob are sent so far; fewer than before when it begins anew."""
        self._under_way[blob.digest] = count

    def record(self, blob: Descriptor, fate: Fate) -> None:
        """Note what was done with a blob."""
        self._under_way.pop(blob.digest, None)
        if blob.digest not in self._fates:
            self._fates[blob.digest] = fate
            if fate == "copied":
                self.bytes_copied += blob.size
            else:
                self.bytes_spared += blob.size

    def count(self, fate: Fate) -> int:
        """Return how many blobs had this fate."""
        return sum(1 for found in self._fates.values() if found == fate)


class BlobCopier:
    """The blobs of one command. Copies of the same blob into the same repository are one flight over all commands.

    ``sent`` hears, with every chunk, how many bytes of a blob went out so far.
    """

    def __init__(
        self,
        flights: Flights,
        known: KnownBlobs,
        hit: Callable[[str], Awaitable[None]],
        sent: Callable[[Descriptor, int], None],
        *,
        source: RegistryClient,
        target: RegistryClient,
        command: CopyImage,
    ) -> None:
        self._flights = flights
        self._known = known
        self._hit = hit
        self._sent = sent
        self._source = source
        self._target = target
        self._from = command.source.repository
        self._to = command.target.repository

    async def copy_all(self, manifests: Sequence[Manifest], fates: BlobFates, *, doubted: bool = False) -> None:
        """Make sure that the target has every blob that the manifests name.

        ``doubted``: the target missed one of them, so nothing that was known before counts.

        Raises:
            RegistryError: the first failure; the other copies are stopped and their upload sessions given up.
        """
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        for digest in blobs if doubted else ():
            self._known.forget(self._to, digest)
        await each(list(blobs.values()), lambda blob: self._copy(blob, fates), at_a_time=limits.parallel_blob_count)

    async def _copy(self, blob: Descriptor, fates: BlobFates) -> None:
        async with self._flights.join((self._to, blob.digest)) as ours:
            # Not asked again, and least of all mounted again: distribution 2.8 rewrites the link of a blob that is
            # mounted, and refuses every manifest that it verifies in that moment.
            if not ours or self._known.has(self._to, blob.digest):
                fates.record(blob, "skipped")
                return
            fate = await self._bring(blob)
            fates.record(blob, fate)
            self._note(blob, fate)

    async def _bring(self, blob: Descriptor) -> Fate:
        if self._origin(blob) is None:
            # One at a time over all repositories of the registry: the others can mount what the first one brings.
            async with self._flights.join((self._to.registry, blob.digest)) as ours:
                if ours:
                    return await self._bring_first(blob)
        if (origin := self._origin(blob)) is None:
            return await self._bring_first(blob)
        # A mount costs as much as the question whether the blob is there already, and answers it as well.
        return await self._send(blob, origin)

    async def _bring_first(self, blob: Descriptor) -> Fate:
        is_there = await self._target.has_blob(self._to.name, blob.digest, push=True)
        fate: Fate = "skipped" if is_there else await self._send(blob, None)
        self._note(blob, fate)
        return fate

    def _note(self, blob: Descriptor, fate: Fate) -> None:
        # What was there already shows nothing of what the source has.
        self._known.note(self._to, blob.digest, source=None if fate == "skipped" else self._from.registry)

    async def _send(self, blob: Descriptor, origin: str | None) -> Fate:
        try:
            return await self._upload(blob, origin)
        except UploadLostError:
            # Never continued: distribution 2.8 appends what is sent twice. Whoever loses two in a row tries later.
            return await self._upload(blob, None)

    async def _upload(self, blob: Descriptor, origin: str | None) -> Fate:
        opening = asyncio.ensure_future(self._open(blob, origin))
        try:
            upload = await asyncio.shield(opening)
            if upload is None:
                return "mounted"
            await self._target.put_blob(upload, blob, lambda: self._chunks(blob))
        except BaseException:
            # Also when cancelled while it is being opened: the registry may have opened it already.
            await _to_its_end(self._give_up(opening))
            raise
        return "copied"

    def _origin(self, blob: Descriptor) -> str | None:
        """Return a repository of the target's registry from which the blob can be mounted."""
        if self._from.registry == self._to.registry:
            return self._from.name
        return self._known.origin(self._to.registry, blob.digest, source=self._from.registry)

    async def _open(self, blob: Descriptor, origin: str | None) -> Upload | None:
        if origin is not None:
            return await self._target.mount_blob(self._to.name, blob.digest, origin)
        return await self._target.start_upload(self._to.name)

    async def _give_up(self, opening: Awaitable[Upload | None]) -> None:
        # The failure is what counts. A session that cannot be given up now is forgotten by the registry.
        with suppress(RegistryError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                upload = await opening
                if upload is not None:
                    await self._target.cancel_upload(upload)

    async def _chunks(self, blob: Descriptor) -> AsyncIterator[bytes]:
        count = 0
        try:
            async with self._source.open_blob(self._from.name, blob) as chunks:
                async for chunk in chunks:
                    await self._hit("transfer.blob_chunk")
                    yield chunk
                    count += len(chunk)
                    self._sent(blob, count)
        except NotFoundError as error:
            raise SourceGoneError(str(error), status=error.status, codes=error.codes) from error


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Await something short even when cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interruption = error
    task.result()
    if interruption is not None:
        raise interruption
