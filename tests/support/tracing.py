"""Where events, commands and dead letters come from (fault catalogue: I2, I6, I9, I10, I15), from the topics alone."""

import base64
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from schemas.catalogue import decode
from schemas.commands import CopyImage, InspectImage, PollRepository, ResolveTag, TargetCommand
from schemas.deadletters import DeadLetter, InputRequeued
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImageHinted,
    ImageObserved,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    PollCompleted,
    PollFailed,
    PromotionRequested,
    RemovalFailed,
    SyncRequested,
    TagsListed,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    ScanNoticed,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.outcomes import Report
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from schemas.webhooks import (
    DeliverWebhook,
    SubscriptionEnded,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)
from streams.folding import read_event
from streams.log import LogRecord
from streams.topics import EVENTS
from towline import limits
from towline.errors import UnusableInputError

#: What deliveries, producers, operators and the clock tell: nothing in the topics comes before it.
TOLD: Final[tuple[type[Frozen], ...]] = (
    ImagePushed,
    ImageHinted,
    PolicyProposed,
    ClockTicked,
    ScanCompleted,
    ScanNoticed,
    SbomSubmitted,
    VulnerabilityOverridden,
    OverrideRevoked,
    ApprovalGranted,
    ApprovalRevoked,
    PromotionRequested,
    SyncRequested,
    RollbackRequested,
    RollbackApproved,
    SubscriptionsProposed,
)
#: What is recorded by whoever carries out a command, and names it.
COMMANDED: Final[tuple[type[Frozen], ...]] = (
    Report,
    ImageObserved,
    TagsListed,
    PollCompleted,
    PollFailed,
    InspectionFailed,
    WebhookDelivered,
    WebhookFailed,
    SubscriptionEnded,
)
#: What is recorded by whoever inspects an image, and names only that.
INSPECTED: Final[tuple[type[Frozen], ...]] = (ImageInspected, SignatureVerified)
#: What an evaluator makes of an event that it names.
PUBLISHED: Final[tuple[type[Frozen], ...]] = (PolicyPublished, SubscriptionsPublished)
#: What the fold makes of others, and only that: ``check_determinism`` and ``check_rollbacks`` know of which.
FOLDED: Final[tuple[type[Frozen], ...]] = (DigestBarred,)
#: Told, or seen by whoever looked.
EITHER: Final[tuple[type[Frozen], ...]] = (ImageDeleted,)

MOST_ATTEMPTS: Final = limits.transfer_attempt_count + limits.rate_limit_wait_count

#: What tells how far a command is, and ends none.
_UNDER_WAY: Final = (TransferStarted, TransferProgressed, TagsListed)

#: An event of this source is what the fold makes of others.
_EVALUATOR: Final = "towline/evaluator"


@dataclass(frozen=True)
class Traces:
    """The content of the topics, decoded."""

    events: tuple[Envelope[Frozen], ...]
    decisions: tuple[Envelope[Frozen], ...]
    commands: tuple[Envelope[Frozen], ...]

    @cached_property
    def event_ids(self) -> frozenset[str]:
        """The id of each event."""
        return frozenset(event.id for event in self.events)

    @cached_property
    def command_ids(self) -> frozenset[str]:
        """The id of each command."""
        return frozenset(command.id for command in self.commands)

    @cached_property
    def made_decisions(self) -> dict[str, Decision]:
        """Each decision by its id."""
        return {item.id: item.data for item in self.decisions if isinstance(item.data, Decision)}

    @cached_property
    def inspections(self) -> frozenset[tuple[str, str]]:
        """The images that somebody was asked to inspect."""
        asked = (item.data for item in self.commands if isinstance(item.data, InspectImage))
        return frozenset((str(data.repository), data.digest) for data in asked)

    def check_origins(self, told: Collection[str] | None = None) -> None:
        """I2: each event was told, or somebody was asked to look, or the fold made it of another one.

        ``told`` has the ids of everything that was accepted from outside; None: nobody counted.
        """
        for event in self.events:
            if event.source != _EVALUATOR:
                assert self._has_origin(event, told), f"{event.subject}: nothing led to event {event.id}"

    def _has_origin(self, event: Envelope[Frozen], told: Collection[str] | None) -> bool:
        data: Any = event.data
        if isinstance(data, COMMANDED) or (isinstance(data, EITHER) and data.command_id is not None):
            return data.command_id in self.command_ids
        if isinstance(data, INSPECTED):
            return (str(data.repository), data.digest) in self.inspections
        if isinstance(data, PolicyPublished):
            return data.proposal_id in self.event_ids
        if isinstance(data, SubscriptionsPublished):
            return data.cause_id in self.event_ids
        assert isinstance(data, TOLD + EITHER), f"nobody said where {type(data).__name__} comes from"
        return told is None or event.id in told

    def check_causes(self) -> None:
        """I6: each command has the decision or the event that it names, and says the same."""
        for command in self.commands:
            data: Any = command.data
            if isinstance(data, InspectImage | PollRepository | ResolveTag):
                assert data.event_id in self.event_ids, f"command {command.id} without its event"
            elif isinstance(data, DeliverWebhook):
                causes = self.event_ids | self.made_decisions.keys()
                assert data.cause_id in causes, f"command {command.id} without its cause"
            else:
                self._check_decided(command.id, data)

    def _check_decided(self, command_id: str, data: TargetCommand) -> None:
        cause = self.made_decisions.get(data.decision_id)
        assert cause is not None, f"command {command_id} without its decision"
        decided, told = ((item.source, item.digest, item.target) for item in (cause, data))
        assert told == decided, f"command {command_id} differs from its decision"

    def check_amplification(self) -> None:
        """I15: one event leads to one copy of a digest to a target at most, and no copy is further than the limit."""
        copies = {item.id: item.data for item in self.commands if isinstance(item.data, CopyImage)}
        causes = Counter(
            (self.made_decisions[data.decision_id].event_id, data.digest, data.target) for data in copies.values()
        )
        for (event_id, digest, target), count in causes.items():
            assert count == 1, f"event {event_id} leads to {count} copies of {digest} to {target}"
        for command_id, data in copies.items():
            assert data.hops <= limits.hop_count, f"command {command_id} makes {data.hops} hops"

    def check_ended(self) -> None:
        """I9: each command has ended, and took no more attempts than it has. Holds once nothing goes wrong any more."""
        ended = {getattr(item.data, "command_id", None) for item in self.events if _ends(item.data)}
        seen = {
            (item.data.repository, item.data.digest) for item in self.events if isinstance(item.data, ImageInspected)
        }
        for command in self.commands:
            data: Any = command.data
            is_seen = isinstance(data, InspectImage) and (data.repository, data.digest) in seen
            assert is_seen or command.id in ended, f"command {command.id} has not ended: {command.subject}"
        for event in self.events:
            data = event.data
            if isinstance(data, TransferFailed | RemovalFailed | PollFailed | InspectionFailed):
                assert data.attempts <= MOST_ATTEMPTS, f"command {data.command_id} took {data.attempts} attempts"


def check_dead_letters(letters: Iterable[LogRecord], inputs: Iterable[LogRecord], partitions: int) -> None:
    """I10: of each event that could not be used there is one dead letter, with its reason and its bytes.

    Of an event that could be used there is none. ``inputs`` is everything in the topics that letters may be about.
    """
    by_place = {(record.topic, record.partition, record.offset): record for record in inputs}
    unusable = {
        place for place, record in by_place.items() if record.topic == EVENTS and not _is_event(record, partitions)
    }
    told: dict[tuple[str, int, int], bytes | None] = {}
    ids: set[str] = set()
    for letter in letters:
        envelope = decode(letter.value or b"")
        data = envelope.data
        if isinstance(data, InputRequeued):
            assert data.letter_id in ids, f"{envelope.subject} was sent again, and its letter is not before that"
            continue
        assert isinstance(data, DeadLetter), "no dead letter"
        ids.add(envelope.id)
        place = (data.topic, data.partition, data.offset)
        assert place in by_place, f"a dead letter of {place}, which is not there"
        assert place in unusable or data.topic != EVENTS, f"a dead letter of {place}, which could be used"
        assert told.setdefault(place, letter.value) == letter.value, f"two dead letters of {place}"
        value = by_place[place].value or b""
        kept = base64.b64decode(data.value_base64 or "")
        assert kept == value or len(value) > limits.deadletter_value_bytes, (
            f"the dead letter of {place} has other bytes"
        )
        assert data.reason, f"the dead letter of {place} has no reason"
    assert unusable <= told.keys(), f"no dead letter of {sorted(unusable - told.keys())}"


def _ends(data: Frozen) -> bool:
    """Tell whether an event with this data ends the command that it names: what a poll saw does not end it."""
    return data.cause == "hint" if isinstance(data, ImageObserved) else not isinstance(data, _UNDER_WAY)


def _is_event(record: LogRecord, partitions: int) -> bool:
    try:
        read_event(record, partitions)
    except UnusableInputError:
        return False
    return True
