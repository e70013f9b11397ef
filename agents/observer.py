"""The observer: finds out what images consist of, who signed them, and what repositories have."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from agents.command_runner import CommandRunner, Duty, Record
from agents.outcomes import end_id, known_now
from schemas.canonical import content_id
from schemas.commands import InspectImage, PollRepository
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PollFailed
from schemas.facts import ImageInspected, InspectionFailed, SignatureVerified
from schemas.instants import format_instant
from schemas.references import Frozen, Repository
from streams.log import EventLog
from streams.topics import repository_key, source_key
from streams.transfers.polls import SUPERSEDED
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import Attempts, Registries
from towline.registry.attempts import FailedError
from towline.registry.cosign import find_signers
from towline.registry.inspect import inspect_image
from towline.registry.polling import Poll
from towline.registry.signatures import PublicKey

SOURCE = "towline/observer"


class Observation:
    """Carries out the commands that look at registries. Repeating a command repeats the ids of its events."""

    def __init__(self, registries: Registries, keys: Mapping[str, PublicKey], attempts: Attempts) -> None:
        self._registries = registries
        self._keys = keys
        self._attempts = attempts
        self._poll = Poll(registries, attempts)

    async def carry_out(
        self, command_id: str, command: InspectImage | PollRepository, record: Record
    ) -> Envelope[Frozen]:
        """Look, record what is seen, and return the event that ends the command."""
        if isinstance(command, InspectImage):
            return await self._inspect(command_id, command, record)
        return await self._ask(command_id, command, record)

    async def _inspect(self, command_id: str, command: InspectImage, record: Record) -> Envelope[Frozen]:
        subject = f"{command.repository}@{command.digest}"
        try:
            inspected, signers = await self._attempts.until_done(lambda: self._look_at(command))
        except FailedError as error:
            failed = InspectionFailed(
                command_id=command_id,
                repository=command.repository,
                digest=command.digest,
                cause=error.failure.cause,
                detail=error.failure.detail,
                retryable=error.failure.retryable,
                attempts=error.failure.attempts,
            )
            return known_now(failed, id_=end_id(command_id), source=SOURCE, subject=subject)
        # Before the inspection: whoever is judged by both has both when the inspection comes.
        await record(
            [
                known_now(
                    SignatureVerified(repository=command.repository, digest=command.digest, key=key),
                    id_=content_id(command_id, "signature", key),
                    source=SOURCE,
                    subject=subject,
                )
                for key in signers
            ]
        )
        return known_now(inspected, id_=end_id(command_id), source=SOURCE, subject=subject)

    async def _look_at(self, command: InspectImage) -> tuple[ImageInspected, tuple[str, ...]]:
        client = self._registries(command.repository.registry)
        inspected = await inspect_image(client, command.repository, command.digest)
        return inspected, await find_signers(client, self._keys, command.repository, command.digest)

    async def _ask(self, command_id: str, command: PollRepository, record: Record) -> Envelope[Frozen]:
        exact = command.source.repository
        tags = 0
        try:
            for repository in [exact] if exact else await self._poll.repositories(command.source):
                found = await self._observe(command_id, command, repository, record)
                tags += found
                if exact is None:
                    await record([_polled(command_id, command, repository, found)])
        except FailedError as error:
            failed = PollFailed(
                command_id=command_id,
                source=command.source,
                cause=error.failure.cause,
                detail=error.failure.detail,
                retryable=error.failure.retryable,
                attempts=error.failure.attempts,
            )
            return known_now(failed, id_=end_id(command_id), source=SOURCE, subject=str(command.source))
        done = PollCompleted(command_id=command_id, source=command.source, repository=exact, tags=tags)
        return known_now(done, id_=end_id(command_id), source=SOURCE, subject=str(command.source))

    async def _observe(self, command_id: str, command: PollRepository, repository: Repository, record: Record) -> int:
        # What is pushed while this goes on is newer than what is seen, whichever of the two is in the log first.
        began_at = format_instant(datetime.now(UTC))
        found = await self._poll.tags(repository, listed=command.source.repository is None)
        await record(
            [
                Envelope(
                    # With the digest: a repetition that sees another one has seen something else.
                    content_id(command_id, "observation", str(repository), tag, named.digest),
                    SOURCE,
                    f"{repository}:{tag}",
                    began_at,
                    ImageObserved(
                        repository=repository,
                        tag=tag,
                        digest=named.digest,
                        media_type=named.media_type,
                        size=named.size,
                        command_id=command_id,
                        cause=command.cause,
                    ),
                )
                for tag, named in found
            ]
        )
        return len(found)


def _polled(command_id: str, command: PollRepository, repository: Repository, tags: int) -> Envelope[Frozen]:
    return known_now(
        PollCompleted(command_id=command_id, source=command.source, repository=repository, tags=tags),
        id_=content_id(command_id, "polled", str(repository)),
        source=SOURCE,
        subject=str(repository),
    )


def make_observer(
    log: EventLog,
    event_partitions: int,
    observation: Observation,
    failpoints: Failpoints,
    on_failure: Callable[[BaseException], None],
) -> CommandRunner[InspectImage | PollRepository]:
    """Return the handler that looks at registries."""
    duty: Duty[InspectImage | PollRepository] = Duty(
        name="observer",
        commands=(InspectImage, PollRepository),
        ends=(ImageInspected, InspectionFailed, PollCompleted, PollFailed),
        key=_key,
        queue=lambda command: (
            (command.repository, command.digest) if isinstance(command, InspectImage) else command.source
        ),
        carry_out=observation.carry_out,
        superseded=_superseded,
        at_a_time=limits.parallel_observation_count,
    )
    return CommandRunner(duty, log, event_partitions, failpoints, on_failure)


def _superseded(
    command_id: str,
    command: InspectImage | PollRepository,
    later_id: str,
    _: InspectImage | PollRepository,
) -> Envelope[Frozen] | None:
    if isinstance(command, InspectImage):
        return None  # Each looks at what is signed by then.
    failed = PollFailed(
        command_id=command_id,
        source=command.source,
        cause=SUPERSEDED,
        detail=f"the later command {later_id} asks the same",
        retryable=False,
        attempts=0,
    )
    return known_now(failed, id_=end_id(command_id), source=SOURCE, subject=str(command.source))


def _key(command: InspectImage | PollRepository) -> bytes:
    return repository_key(command.repository) if isinstance(command, InspectImage) else source_key(command.source)
