"""Removing a target tag: looked at, removed by itself where the registry does that, and looked at again.

The distribution specification lets a registry refuse to delete a single tag (400 or 405). Then what the tag points to
is deleted, which takes along every tag that points to it: only when nothing else in the repository needs it.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from schemas.commands import RemoveTag
from schemas.descriptors import INDEX_TYPES
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved
from towline import limits
from towline.registry.attempts import Attempts, FailedError
from towline.registry.client import Named, RegistryClient
from towline.registry.copy import CopyEngine
from towline.registry.errors import (
    DigestSharedError,
    NotFoundError,
    NotRemovedError,
    RemovalRefusedError,
    TooLargeError,
)
from towline.registry.parallel import each
from towline.registry.targettag import VERIFY_PAUSES_SECONDS

RemovalOutcome = TagRemoved | RemovalSkipped | RemovalFailed
Reduced = Callable[[RemoveTag], Awaitable[str | None]]
"""Returns the index that the target tag got in place of the commanded digest, if it got one."""

_ATTEMPTS: Final = Attempts()
#: How many of the tags that share a digest a failure names.
_NAMED_COUNT: Final = 5


async def remove(
    command_id: str, command: RemoveTag, engine: CopyEngine, reduced: Reduced, *, attempts: Attempts = _ATTEMPTS
) -> RemovalOutcome:
    """Remove a tag that still has what was brought, and return the outcome, within the bounds of attempts and time.

    That is the commanded digest, or what it was reduced to for this target: ``reduced`` is asked when the tag has
    another digest.

    Whatever is not a registry's error or a setting that is wrong (bugs, failpoints, cancellation) is raised, so that
    the caller does not take it for an outcome.
    """
    removal = _Removal(engine, command, reduced)
    try:
        reason = await attempts.until_done(removal.run)
    except FailedError as error:
        failure = error.failure
        return RemovalFailed(
            **command.outcome_members(command_id),
            previous_digest=removal.previous_digest,
            cause=failure.cause,
            detail=failure.detail,
            retryable=failure.retryable,
            attempts=failure.attempts,
        )
    members = command.outcome_members(command_id) | {"previous_digest": removal.previous_digest}
    return TagRemoved(**members) if reason is None else RemovalSkipped(**members, reason=reason)


class _Removal:
    """One command, over its attempts."""

    def __init__(self, engine: CopyEngine, command: RemoveTag, reduced: Reduced) -> None:
        self.previous_digest: str | None = None
        self._engine = engine
        self._repository = command.target.repository
        self._name = command.target.repository.name
        self._tag = command.target.tag
        self._command = command
        self._reduced = reduced
        #: What is removed: the commanded digest, or what the tag got in place of it.
        self._digest = command.digest
        #: Whether a removal was begun: it may have taken effect although its answer was lost.
        self._sent = False

    async def run(self) -> str | None:
        """Remove the tag; return why it was left, or None."""
        client = self._engine.client(self._repository.registry)
        present = await self._look(client)
        self.previous_digest = self.previous_digest or present
        if present not in {None, self._digest} and present == await self._reduced(self._command):
            self._digest = present
        if present == self._digest:
            await self._engine.hit("removal.tag_next")
            await self._remove(client)
            await self._engine.hit("removal.tag_removed")
            present = await self._look_again(client)
        if present is None:
            return None if self._sent else "the tag is gone already"
        return f"the tag has {present}, and not {self._digest}: it is not ours to remove"

    async def _look(self, client: RegistryClient) -> str | None:
        try:
            return await client.resolve(self._name, self._tag)
        except NotFoundError:
            return None

    async def _look_again(self, client: RegistryClient) -> str | None:
        """Return what the tag has after its removal: registries on object stores may show it some seconds longer."""
        for pause in (0.0, *VERIFY_PAUSES_SECONDS):
            if pause:
                await self._engine.sleep(pause)
            present = await self._look(client)
            if present != self._digest:
                return present
        raise NotRemovedError(f"{self._repository}:{self._tag} was removed, and still has {self._digest}")

    async def _remove(self, client: RegistryClient) -> None:
        try:
            await self._delete(client, self._tag)
        except RemovalRefusedError as refusal:
            # Alone: a copy under way may be about to name what would be deleted here.
            async with self._engine.gates.alone(self._repository):
                if await self._look(client) != self._digest:
                    return
                await self._require_unshared(client, refusal)
                await self._delete(client, self._digest)

    async def _delete(self, client: RegistryClient, reference: str) -> None:
        self._sent = True
        try:
            await client.delete_manifest(self._name, reference)
        except NotFoundError:
            return  # Somebody else was there first, or an attempt whose answer was lost.
        except RemovalRefusedError:
            self._sent = False
            raise

    async def _require_unshared(self, client: RegistryClient, refusal: RemovalRefusedError) -> None:
        """Make sure that no other tag of the repository points to the digest, or to an index that names it.

        Raises:
            DigestSharedError: one does.
        """

        async def look_up(tag: str) -> Named | None:
            try:
                return await client.look_up(self._name, tag)
            except NotFoundError:
                return None

        tags = await self._other_tags(client)
        looked = await each(tags, look_up, at_a_time=limits.parallel_poll_count)
        found = [(tag, named) for tag, named in zip(tags, looked, strict=True) if named is not None]
        sharing = [tag for tag, named in found if named.digest == self._digest]
        if not sharing:
            indexes = {named.digest for _, named in found if named.media_type in {*INDEX_TYPES, None}}
            naming = {digest for digest in sorted(indexes) if await self._is_under(client, digest)}
            sharing = [tag for tag, named in found if named.digest in naming]
        if sharing:
            raise DigestSharedError(
                f"{self._repository} needs {self._digest} for {', '.join(sharing[:_NAMED_COUNT])} too "
                f"({len(sharing)} tags), and the registry removes no tag without what it points to: {refusal}"
            )

    async def _other_tags(self, client: RegistryClient) -> list[str]:
        tags: set[str] = set()
        async for tag in client.list_tags(self._name):
            tags.add(tag)
            if len(tags) > limits.poll_tag_count:
                raise TooLargeError(f"{self._repository} has more than {limits.poll_tag_count} tags")
        return sorted(tags - {self._tag})

    async def _is_under(self, client: RegistryClient, index: str) -> bool:
        """Tell whether an index names the digest, itself or by an index under it.

        What is missing ends nothing: a sparse index lacks what nobody wanted of it, and needs all the rest.

        Raises:
            TooLargeError: more manifests than the bound.
        """
        waiting, seen = [index], {index}
        while waiting:
            try:
                manifest = await client.get_manifest(self._name, waiting.pop())
            except NotFoundError:
                continue
            named = {child.digest for child in manifest.manifests} - seen
            if self._digest in named:
                return True
            waiting += sorted(named)
            seen |= named
            if len(seen) > limits.index_manifest_count:
                raise TooLargeError(f"more than {limits.index_manifest_count} manifests under {index}")
        return False
