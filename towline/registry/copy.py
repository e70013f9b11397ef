"""The copy engine: makes a target tag point to a digest, with everything under it, content before name."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from schemas.commands import CopyImage
from towline.failpoints import Failpoints
from towline.registry.blobcopy import BlobCopier, BlobFates
from towline.registry.client import RegistryClient
from towline.registry.closure import read_closure
from towline.registry.errors import ContentMissingError, NotFoundError, TagImmutableError, TagMovedError
from towline.registry.flights import Flights
from towline.registry.manifests import Manifest

#: Looks at the target tag after it was written, and the pauses between them: registries on object stores may show a
#: tag some seconds late.
VERIFY_PAUSES_SECONDS: Final = (0.1, 0.4, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did. ``skipped``: the target tag had the digest already and nothing was done."""

    previous_digest: str | None
    skipped: bool
    bytes_copied: int = 0
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_skipped: int = 0


@dataclass(slots=True)
class CopyProgress:
    """What is known of a copy while it runs, across its attempts."""

    #: Whether the target tag was looked at; from then on ``previous_digest`` says what it pointed to.
    target_read: bool = False
    previous_digest: str | None = None
    #: Whether a write of the tag was begun: it may have taken effect although its answer was lost.
    tag_sent: bool = False
    blobs: BlobFates = field(default_factory=BlobFates)
    attempts: int = 0


class CopyEngine:
    """Copies images between the registries that ``clients`` knows by name."""

    def __init__(
        self,
        clients: Callable[[str], RegistryClient],
        failpoints: Failpoints,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clients = clients
        self._failpoints = failpoints
        self.sleep = sleep
        self.flights = Flights()

    async def copy(self, command: CopyImage, progress: CopyProgress | None = None) -> CopyReport:
        """Carry out a command. It can be repeated at any time: what is there already is not copied again.

        On failure and on cancellation the target tag keeps what it had, unless the failure came after its writing,
        and open upload sessions are given up.

        Raises:
            RegistryError: it could not be done; the error says if a retry can help.
            SettingsError: a registry of the command is not in the settings.
        """
        return await _Copy(self, command, progress or CopyProgress()).run()

    def client(self, name: str) -> RegistryClient:
        """Return the client of a registry."""
        return self._clients(name)

    async def hit(self, site: str) -> None:
        """Mark a step for failpoints."""
        await self._failpoints.hit(site)


class _Copy:
    """One run of one command."""

    def __init__(self, engine: CopyEngine, command: CopyImage, progress: CopyProgress) -> None:
        self._engine = engine
        self._command = command
        self._progress = progress
        self._source = engine.client(command.source.repository.registry)
        self._target = engine.client(command.target.repository.registry)
        self._target_name = command.target.repository.name

    async def run(self) -> CopyReport:
        digest, tag = self._command.digest, self._command.target.tag
        present = await self._tag_digest()
        if not self._progress.target_read:
            self._progress.previous_digest, self._progress.target_read = present, True
        await self._engine.hit("transfer.authorised")
        if present == digest:
            # An earlier attempt may have moved the tag without living to see it; then this is its completion.
            return self._report(skipped=not self._progress.tag_sent)
        closure = await read_closure(self._source, self._command.source.repository.name, digest)
        if self._command.source.repository != self._command.target.repository:
            await self._write_content(closure)
        await self._engine.hit("transfer.tag_next")
        await self._write_tag(closure[-1], tag)
        await self._engine.hit("transfer.tag_written")
        await self._verify_tag()
        await self._engine.hit("transfer.verified")
        return self._report(skipped=False)

    async def _write_content(self, closure: list[Manifest]) -> None:
        """Write all blobs, then all manifests, children before parents.

        A registry that misses something which it said to have is believed the second time, once.
        """
        copier = BlobCopier(self._engine.flights, self._engine.hit, self._source, self._target, self._command)
        await copier.copy_all(closure, self._progress.blobs)
        await self._engine.hit("transfer.blobs_copied")
        try:
            await self._write_manifests(closure)
        except ContentMissingError:
            await copier.copy_all(closure, self._progress.blobs)
            await self._write_manifests(closure)

    async def _write_manifests(self, closure: list[Manifest]) -> None:
        *children, root = closure
        for child in children:
            await self._target.put_manifest(self._target_name, child.digest, child)
        await self._engine.hit("transfer.children_copied")
        await self._target.put_manifest(self._target_name, root.digest, root)

    async def _write_tag(self, root: Manifest, tag: str) -> None:
        self._progress.tag_sent = True
        try:
            await self._target.put_manifest(self._target_name, tag, root)
        except TagImmutableError:
            # Somebody may have put the very same image there in between; then there is nothing to move.
            if await self._tag_digest() != root.digest:
                raise

    async def _verify_tag(self) -> None:
        found = await self._tag_digest()
        for pause in VERIFY_PAUSES_SECONDS:
            # What was there before may be shown a little longer; anything else was written by somebody after us.
            if found not in {None, self._progress.previous_digest}:
                break
            await self._engine.sleep(pause)
            found = await self._tag_digest()
        if found != self._command.digest:
            raise TagMovedError(f"{self._command.target} was written as {self._command.digest} and now is {found}")

    async def _tag_digest(self) -> str | None:
        try:
            return await self._target.resolve(self._target_name, self._command.target.tag, push=True)
        except NotFoundError:
            return None

    def _report(self, *, skipped: bool) -> CopyReport:
        blobs = self._progress.blobs
        return CopyReport(
            previous_digest=self._progress.previous_digest,
            skipped=skipped,
            bytes_copied=blobs.bytes_copied,
            blobs_copied=blobs.count("copied"),
            blobs_mounted=blobs.count("mounted"),
            blobs_skipped=blobs.count("skipped"),
        )
