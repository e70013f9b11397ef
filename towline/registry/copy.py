"""The copy engine: makes a target tag point to a digest, with everything under it, content before name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from schemas.commands import CopyImage
from towline.failpoints import Failpoints
from towline.registry.attachments import AttachmentCopier, Attachments, read_attachments
from towline.registry.attestation import Attestor
from towline.registry.blobcopy import BlobCopier
from towline.registry.client import RegistryClient
from towline.registry.closure import Selection, read_closure
from towline.registry.content import ContentCopier
from towline.registry.errors import SourceGoneError
from towline.registry.flights import Flights
from towline.registry.gates import Gates
from towline.registry.known import KnownBlobs
from towline.registry.latecomers import find_latecomers
from towline.registry.manifests import Manifest
from towline.registry.progress import CopyProgress, CopyReport
from towline.registry.reduction import reduce_closure
from towline.registry.targettag import TargetTag


class CopyEngine:
    """Copies images between the registries that ``clients`` knows by name."""

    def __init__(
        self,
        clients: Callable[[str], RegistryClient],
        failpoints: Failpoints,
        *,
        attestor: Attestor | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clients = clients
        self.attestor = attestor
        self._failpoints = failpoints
        self.sleep = sleep
        self.flights = Flights()
        self.known = KnownBlobs()
        #: Repositories that are written to: a removal may have to be alone in one.
        self.gates = Gates()

    async def copy(self, command: CopyImage, progress: CopyProgress | None = None) -> CopyReport:
        """Carry out a command. It can be repeated at any time: what is there already is not copied again.

        A target tag that has the commanded digest already is taken as done, and so is one that has the index of the
        wanted platforms only, as a registry gets it that takes no other. What came to belong to the image since is
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
        self._is_within = command.source.repository == command.target.repository
        self._closure: list[Manifest] = []
        #: What the target tag has instead of the commanded digest.
        self._reduced: str | None = None

    async def run(self) -> CopyReport:
        present = await self._tag.look()
        await self._engine.hit("transfer.authorised")
        if await self._has_arrived(present):
            await self._attest_arrived(present)
            # An earlier attempt may have moved the tag without living to see it; then this is its completion.
            is_done = self._progress.tag_sent or await self._bring_latecomers()
            return self._progress.report(skipped=not is_done, reduced_digest=self._reduced)
        self._tag.check_free(present)
        closure = await self._read()
        self._progress.begin(closure)
        if self._is_within:
            await self._name(closure[-1])
        else:
            await self._copy_content(closure)
        await self._tag.verify()
        await self._engine.hit("transfer.verified")
        return self._progress.report(skipped=False, reduced_digest=self._reduced)

    async def _has_arrived(self, present: str | None) -> bool:
        """Tell whether a target tag with this digest has what is commanded."""
        if present == self._command.digest:
            return True
        if present is None or not self._command.options.platforms or self._is_within:
            return False
        if present != reduce_closure(await self._read())[-1].digest:
            return False
        self._reduced = present
        return True

    async def _read(self) -> list[Manifest]:
        if not self._closure:
            name, digest = self._command.source.repository.name, self._command.digest
            self._closure = await read_closure(self._source, name, digest, self._selection)
        return self._closure

    async def _name(self, root: Manifest) -> bool:
        self._reduced = None if root.digest == self._command.digest else root.digest
        await self._attest(root)
        await self._tag.make_way(root)
        await self._engine.hit("transfer.tag_next")
        listed = await self._tag.move(root)
        await self._engine.hit("transfer.tag_written")
        return listed

    async def _attest(self, root: Manifest) -> None:
        attestor = self._engine.attestor
        if attestor is not None and attestor.attests(self._command):
            await attestor.attach(self._command, root, self._target, self._engine.flights)
            await self._engine.hit("transfer.attested")

    async def _attest_arrived(self, digest: str | None) -> None:
        """Attest what the target tag has already: by this decision too, it is to be there."""
        attestor = self._engine.attestor
        if digest is not None and attestor is not None and attestor.attests(self._command):
            repository = self._command.target.repository.name
            await self._attest(await self._target.get_manifest(repository, digest, push=True))

    async def _bring_latecomers(self) -> bool:
        """Bring what came to belong to the image since it was copied; tell whether there was anything to bring."""
        if not self._command.options.referrers or self._is_within:
            return False
        try:
            closure = await self._read()
        except SourceGoneError:
            return False  # What is gone has no latecomers.
        found = await find_latecomers(
            self._source,
            self._target,
            origin=self._command.source.repository,
            copied_to=self._command.target.repository,
            image=closure if self._reduced is None else _kept(closure, reduce_closure(closure)),
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
        attachments = await self._find_attachments(closure)
        if not attachments.manifests:
            await content.write(closure, fates, last=self._name)
            return
        # What belongs to an image comes after it and before its name, so it is written without one first.
        written = (await content.write(closure, fates)).manifests
        if written[-1].digest != closure[-1].digest:
            # What belongs to an index that is not there stays behind.
            attachments = await self._find_attachments(_kept(closure, written))
        await self._copy_attachments(content, attachments)
        await self._name(written[-1])

    async def _find_attachments(self, image: list[Manifest]) -> Attachments:
        if not self._command.options.referrers:
            return Attachments()
        found = await read_attachments(self._source, self._command.source.repository.name, image)
        if found.manifests:
            self._progress.begin([*self._closure, *found.manifests.values()])
        return found


def _kept(closure: Sequence[Manifest], written: Sequence[Manifest]) -> list[Manifest]:
    """Return what of an image was not reduced."""
    there = {manifest.digest for manifest in written}
    return [manifest for manifest in closure if manifest.digest in there]
