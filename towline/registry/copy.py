"""The copy engine: makes a target tag point to a digest, with everything under it, content before name."""

import asyncio
from collections.abc import Awaitable, Callable

from schemas.commands import CopyImage
from towline.failpoints import Failpoints
from towline.registry.attachments import AttachmentCopier, Attachments, read_attachments
from towline.registry.blobcopy import BlobCopier
from towline.registry.client import RegistryClient
from towline.registry.closure import Selection, read_closure
from towline.registry.content import ContentCopier
from towline.registry.flights import Flights
from towline.registry.gates import Gates
from towline.registry.known import KnownBlobs
from towline.registry.latecomers import find_latecomers
from towline.registry.manifests import Manifest
from towline.registry.progress import CopyProgress, CopyReport
from towline.registry.targettag import TargetTag


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
        self.known = KnownBlobs()
        #: Repositories that are written to: a removal may have to be alone in one.
        self.gates = Gates()

    async def copy(self, command: CopyImage, progress: CopyProgress | None = None) -> CopyReport:
        """Carry out a command. It can be repeated at any time: what is there already is not copied again.

        A target tag that has the commanded digest already is taken as done. What came to belong to the image since is
        brought, if the command wants that; when there is nothing of it the copy is skipped. On failure and on
        cancellation the target tag keeps what it had, unless the failure came after its writing, and open upload
        sessions are given up.

        Raises:
            RegistryError: it could not be done; the error says if a retry can help.
            SettingsError: a registry of the command is not in the settings.
        """
        async with self.gates.together(command.target.repository):
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
        self._tag = TargetTag(self._target, command, progress, engine.sleep)
        self._selection = Selection(command.options.platforms, attestations=command.options.referrers)

    async def run(self) -> CopyReport:
        present = await self._tag.look()
        await self._engine.hit("transfer.authorised")
        if present == self._command.digest:
            # An earlier attempt may have moved the tag without living to see it; then this is its completion.
            is_done = self._progress.tag_sent or await self._bring_latecomers()
            return self._progress.report(skipped=not is_done)
        source = self._command.source.repository
        closure = await read_closure(self._source, source.name, self._command.digest, self._selection)
        self._progress.begin(closure)
        if source == self._command.target.repository:
            await self._name(closure[-1])
        else:
            await self._copy_content(closure)
        await self._tag.verify()
        await self._engine.hit("transfer.verified")
        return self._progress.report(skipped=False)

    async def _name(self, root: Manifest) -> bool:
        await self._tag.make_way()
        await self._engine.hit("transfer.tag_next")
        listed = await self._tag.move(root)
        await self._engine.hit("transfer.tag_written")
        return listed

    async def _bring_latecomers(self) -> bool:
        """Bring what came to belong to the image since it was copied; tell whether there was anything to bring."""
        source, target = self._command.source.repository, self._command.target.repository
        if not self._command.options.referrers or source == target:
            return False
        found = await find_latecomers(
            self._source,
            self._target,
            origin=source,
            copied_to=target,
            digest=self._command.digest,
            selection=self._selection,
        )
        if not found.manifests:
            return False
        self._progress.begin(found.manifests.values())
        await self._copy_attachments(self._content(), found)
        return True

    def _content(self) -> ContentCopier:
        engine = self._engine
        blobs = BlobCopier(
            engine.flights,
            engine.known,
            engine.hit,
            self._progress.blobs.sent,
            source=self._source,
            target=self._target,
            command=self._command,
        )
        return ContentCopier(blobs, self._target, self._command.target.repository.name, engine.hit)

    async def _copy_attachments(self, content: ContentCopier, attachments: Attachments) -> None:
        engine, target = self._engine, self._command.target.repository
        await AttachmentCopier(content, self._target, target, engine.flights).copy(attachments, self._progress.blobs)
        await engine.hit("transfer.referrers_copied")

    async def _copy_content(self, closure: list[Manifest]) -> None:
        content, fates = self._content(), self._progress.blobs
        await content.bring(closure, fates)
        attachments = Attachments()
        if self._command.options.referrers:
            attachments = await read_attachments(self._source, self._command.source.repository.name, closure)
        if not attachments.manifests:
            await content.write(closure, fates, last=self._name)
            return
        self._progress.begin([*closure, *attachments.manifests.values()])
        # What belongs to an image comes after it and before its name, so it is written without one first.
        await content.write(closure, fates)
        await self._copy_attachments(content, attachments)
        await self._name(closure[-1])
