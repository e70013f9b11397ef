"""The observer: finds out what images consist of, who signed them, and what repositories and single tags have."""

from collections.abc import Callable, Hashable, Mapping
from functools import partial

from agents.command_runner import CommandRunner, Duty, Record
from agents.outcomes import end_id, known_now
from agents.polling import Polling
from agents.remembered import Remembered
from agents.resolving import Resolving
from schemas.canonical import content_id
from schemas.commands import InspectImage, PollRepository, ResolveTag
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved, PollCompleted, PollFailed
from schemas.facts import ImageInspected, InspectionFailed, SignatureVerified
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import repository_key, source_key
from streams.transfers.polls import SUPERSEDED
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import Attempts, Registries
from towline.registry.attempts import FailedError
from towline.registry.cosign import find_signers
from towline.registry.inspect import inspect_image
from towline.registry.signatures import PublicKey

SOURCE = "towline/observer"

Look = InspectImage | PollRepository | ResolveTag
"""The commands that look at registries."""


class Observation:
    """Carries out the commands that look at registries. Repeating a command repeats the ids of its events."""

    def __init__(self, registries: Registries, keys: Mapping[str, PublicKey], attempts: Attempts) -> None:
        self._registries = registries
        self._keys = keys
        self._attempts = attempts
        self._remembered = Remembered()
        self._polling = Polling(registries, attempts, self._remembered, SOURCE)
        self.resolving = Resolving(registries, attempts, self._remembered, SOURCE)

    def forget(self) -> None:
        """Know nothing of what is recorded or under way: others may go on."""
        self._remembered.forget_all()
        self.resolving.forget()

    async def carry_out(self, command_id: str, command: Look, record: Record) -> Envelope[Frozen]:
        """Look, record what is seen, and return the event that ends the command."""
        match command:
            case InspectImage():
                return await self._inspect(command_id, command, record)
            case ResolveTag():
                return await self.resolving.carry_out(command_id, command)
            case PollRepository():
                return await self._polling.carry_out(command_id, command, record)

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


class Observer(CommandRunner[Look]):
    """The handler of the commands that look at registries."""

    def __init__(
        self,
        duty: Duty[Look],
        log: EventLog,
        event_partitions: int,
        failpoints: Failpoints,
        *,
        on_failure: Callable[[BaseException], None],
        observation: Observation,
    ) -> None:
        super().__init__(duty, log, event_partitions, failpoints, on_failure)
        self._observation = observation

    async def closed(self, partition: int) -> None:
        """See Handler; what is recorded of the sources of a partition is from now on another's to know."""
        await super().closed(partition)
        self._observation.forget()


def make_observer(
    log: EventLog,
    event_partitions: int,
    observation: Observation,
    failpoints: Failpoints,
    on_failure: Callable[[BaseException], None],
) -> Observer:
    """Return the handler that looks at registries."""
    duty: Duty[Look] = Duty(
        name="observer",
        commands=(InspectImage, PollRepository, ResolveTag),
        ends=(ImageInspected, InspectionFailed, PollCompleted, PollFailed, ImageObserved, ImageDeleted),
        key=_key,
        queue=_queue,
        carry_out=observation.carry_out,
        superseded=partial(_superseded, observation.resolving),
        at_a_time=limits.parallel_observation_count,
    )
    return Observer(duty, log, event_partitions, failpoints, on_failure=on_failure, observation=observation)


def _superseded(
    resolving: Resolving, command_id: str, command: Look, later_id: str, _: Look
) -> Envelope[Frozen] | None:
    if isinstance(command, InspectImage):
        return None  # Each looks at what is signed by then.
    if isinstance(command, ResolveTag):
        resolving.wait_for(command, later_id)
        return None  # Each ends with who hinted.
    failed = PollFailed(
        command_id=command_id,
        source=command.source,
        cause=SUPERSEDED,
        detail=f"the later command {later_id} asks the same",
        retryable=False,
        attempts=0,
    )
    return known_now(failed, id_=end_id(command_id), source=SOURCE, subject=str(command.source))


def _queue(command: Look) -> Hashable:
    match command:
        case InspectImage():
            return command.repository, command.digest
        case ResolveTag():
            return command.repository, command.tag
        case PollRepository():
            return command.source


def _key(command: Look) -> bytes:
    return source_key(command.source) if isinstance(command, PollRepository) else repository_key(command.repository)
