"""Looks at single tags: somebody hinted at one, and its registry is asked what it has, if it is there at all.

Many may hint at a tag at once, and a registry is not to be asked once for each of them. A look that begins after a hint
is known sees what the hint told of; so one look answers all commands that wait behind it when it begins, and each of
them still has an end of its own, with the actor that its hint named. A look that had begun before may have missed it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from agents.outcomes import end_id
from agents.remembered import Remembered
from schemas.commands import ResolveTag
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved, PollFailed
from schemas.instants import format_instant
from schemas.references import Frozen, Reference
from towline.policy.arrival import attached_to
from towline.policy.polls import pattern_of
from towline.registry import Attempts, Registries
from towline.registry.attempts import FailedError, Failure
from towline.registry.client import Named
from towline.registry.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look saw."""

    #: What is pushed while it is asked is newer than what is seen, whichever of the two is in the log first.
    began_at: str
    #: None: there is no such tag.
    found: Named | Failure | None


@dataclass(slots=True)
class _Shared:
    """What the commands of one tag share that were there when the look began."""

    #: The last of them, by its id.
    last_id: str
    #: None while the look has no end.
    seen: _Seen | None = None


class Resolving:
    """Carries out the commands to look at a tag, those of one tag in their order, one after the other."""

    def __init__(self, registries: Registries, attempts: Attempts, remembered: Remembered, source: str) -> None:
        self._registries = registries
        self._attempts = attempts
        self._remembered = remembered
        self._source = source
        self._shared: dict[Reference, _Shared] = {}

    def forget(self) -> None:
        """Share nothing of what is under way: others may go on with it."""
        self._shared.clear()

    def wait_for(self, command: ResolveTag, last_id: str) -> None:
        """Note the last command that waits behind one that begins now: it and those between share the answer.

        Those that are to share an answer already keep to it: what came meanwhile waits for the next look.
        """
        self._shared.setdefault(_tag_of(command), _Shared(last_id))

    async def carry_out(self, command_id: str, command: ResolveTag) -> Envelope[Frozen]:
        """Look, unless the answer is there, and return the event that ends the command."""
        reference = _tag_of(command)
        shared = self._shared.get(reference)
        seen = None if shared is None else shared.seen
        if seen is None:
            seen = await self._look(reference)
            self._remember(reference, seen)
        if shared is not None:
            shared.seen = seen
            if shared.last_id == command_id and self._shared.get(reference) is shared:
                del self._shared[reference]
        return Envelope(
            end_id(command_id), self._source, str(reference), seen.began_at, _end(command_id, command, seen)
        )

    async def _look(self, reference: Reference) -> _Seen:
        began_at = format_instant(datetime.now(UTC))

        async def ask() -> Named | None:
            try:
                return await self._registries(reference.repository.registry).look_up(
                    reference.repository.name, reference.tag
                )
            except NotFoundError:
                return None

        try:
            return _Seen(began_at, await self._attempts.until_done(ask))
        except FailedError as error:
            return _Seen(began_at, error.failure)

    def _remember(self, reference: Reference, seen: _Seen) -> None:
        # It is recorded next, or this process knows nothing any more. Polls leave out what belongs to a digest.
        if not isinstance(seen.found, Failure) and attached_to(reference.tag) is None:
            digest = None if seen.found is None else seen.found.digest
            self._remembered.note(reference.repository, reference.tag, digest)


def _tag_of(command: ResolveTag) -> Reference:
    return Reference(command.repository, command.tag)


def _end(command_id: str, command: ResolveTag, seen: _Seen) -> Frozen:
    match seen.found:
        case None:
            # Who hinted need not be who took it away.
            return ImageDeleted(repository=command.repository, tag=command.tag, command_id=command_id)
        case Failure() as failure:
            return PollFailed(
                command_id=command_id,
                source=pattern_of(command.repository),
                cause=failure.cause,
                detail=failure.detail,
                retryable=failure.retryable,
                attempts=failure.attempts,
            )
        case Named() as named:
            return ImageObserved(
                repository=command.repository,
                tag=command.tag,
                digest=named.digest,
                media_type=named.media_type,
                size=named.size,
                command_id=command_id,
                cause="hint",
                actor=command.actor,
            )
