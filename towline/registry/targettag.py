"""The target tag of a command: looked at, guarded, moved, and looked at again."""

from collections.abc import Awaitable, Callable
from typing import Final

from schemas.commands import CopyImage
from towline.registry.blobs import digest_of
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, NotWrittenError, TagImmutableError, TagMovedError, TargetExistsError
from towline.registry.manifests import Manifest
from towline.registry.progress import CopyProgress

#: Looks at a tag after it was written, and the pauses between them: registries on object stores may show a tag some
#: seconds late.
VERIFY_PAUSES_SECONDS: Final = (0.1, 0.4, 1.0, 2.0, 4.0)

#: Hex digits of the previous digest in the name of a backup: no two digests of one tag share so many by chance.
_BACKUP_DIGITS: Final = 12
_TAG_LENGTH: Final = 128


def backup_tag(tag: str, digest: str) -> str:
    """Return the tag under which ``digest``, which ``tag`` pointed to, is kept: the same at every repetition."""
    suffix = f"-backup-{digest.partition(':')[2][:_BACKUP_DIGITS]}"
    return f"{tag[: _TAG_LENGTH - len(suffix)]}{suffix}"


class TargetTag:
    """What one run of a command does with its target tag."""

    def __init__(
        self,
        target: RegistryClient,
        command: CopyImage,
        progress: CopyProgress,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._target = target
        self._command = command
        self._progress = progress
        self._sleep = sleep
        self._name = command.target.repository.name
        #: The digest that the tag is to have: the commanded one, until it turns out that an index is reduced.
        self._wanted = command.digest

    async def look(self) -> str | None:
        """Return the digest that the tag points to now; the first look of a command is its previous digest.

        Raises:
            RegistryError: the registry failed or refused.
        """
        present = await self._digest_of(self._command.target.tag)
        if not self._progress.target_read:
            self._progress.previous_digest, self._progress.target_read = present, True
        return present

    def check_free(self, present: str | None) -> None:
        """Check that the tag may be moved away from a digest.

        Raises:
            TargetExistsError: it is another one than wanted, and the tag is never to be overwritten.
        """
        if self._command.options.overwrite == "never" and present not in {None, self._wanted}:
            raise TargetExistsError(f"{self._command.target} is {present}, and its policy never overwrites")

    async def make_way(self, root: Manifest) -> None:
        """Look at the tag once more before it is moved to ``root``, and keep what it has under another if so wanted.

        Another writer may have come since the first look, and what is not looked at cannot be kept. There is no way
        to write a tag only if it is unchanged, so a moment remains.

        Raises:
            TargetExistsError: it is not to be moved any more.
            TagMovedError: the backup was written and somebody else moved it.
            RegistryError: the registry failed or refused.
        """
        self._wanted = root.digest
        if self._command.options.overwrite == "if-different":
            return
        present = await self.look()
        self.check_free(present)
        if present is None or present == self._wanted:
            return
        backup = backup_tag(self._command.target.tag, present)
        if await self._digest_of(backup) != present:
            kept = await self._target.get_manifest(self._name, present, push=True)
            await self._target.put_manifest(self._name, backup, kept)
            await self._verify(backup, present, before=None)

    async def move(self, root: Manifest) -> bool:
        """Make the tag point to ``root``; tell whether the registry lists that under its subject by itself.

        Raises:
            TagImmutableError: the registry does not let it be moved.
        """
        self._progress.tag_sent = True
        try:
            return await self._target.put_manifest(self._name, self._command.target.tag, root)
        except TagImmutableError:
            # Somebody may have put the very same image there in between; then there is nothing to move.
            if await self._digest_of(self._command.target.tag) != root.digest:
                raise
            return False

    async def verify(self) -> None:
        """Check that the tag points to what it was moved to.

        Raises:
            TagMovedError: it points to something else.
            NotWrittenError: it does not show within the time that registries on object stores may need.
        """
        await self._verify(self._command.target.tag, self._wanted, before=self._progress.previous_digest)

    async def _verify(self, tag: str, digest: str, *, before: str | None) -> None:
        found = await self._digest_of(tag)
        for pause in VERIFY_PAUSES_SECONDS:
            # What was there before may be shown a little longer; anything else was written by somebody after us.
            if found not in {None, before}:
                break
            await self._sleep(pause)
            found = await self._digest_of(tag)
        if found is None:
            raise NotWrittenError(f"{self._command.target.repository}:{tag} was written as {digest} and is not there")
        if found != digest:
            raise TagMovedError(f"{self._command.target.repository}:{tag} was written as {digest} and now is {found}")

    async def _digest_of(self, tag: str) -> str | None:
        algorithm = self._command.digest.partition(":")[0]
        try:
            found = await self._target.resolve(self._name, tag, push=True)
            if found.startswith(f"{algorithm}:"):
                return found
            # It names what it has by an algorithm of its own; only the content tells whether it is the same.
            content = (await self._target.get_manifest(self._name, found, push=True)).content
        except NotFoundError:
            return None
        ours = digest_of(content, algorithm)
        return ours if ours in {self._command.digest, self._wanted} else found
