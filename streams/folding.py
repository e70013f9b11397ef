"""From a record of the log to what follows from it; the same for the evaluator and for replay."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from schemas.catalogue import EVENT_TYPES, UnreadableRecordError, decode, encode, type_of
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.log import Append, LogRecord
from streams.routing import POLICIES_KEY, broadcast_appends, command_append, event_append, home_partition
from streams.topics import DECISIONS, repository_key
from towline import limits
from towline.errors import UnusableInputError
from towline.policy.agenda import News
from towline.policy.state.values import Change, StateView
from towline.policy.step import Step, take

Quarantined = Collection[tuple[int, int]]
"""The partitions and offsets of events that the evaluators set aside: whoever folds anew leaves them out."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What one record leads to. Bytes are made when they are asked for: replay compares decisions only."""

    event: Envelope[Frozen]
    partition: int
    #: Of the log.
    partitions: int
    step: Step

    @property
    def decisions(self) -> tuple[Append, ...]:
        """The decisions, each in the partition of its event, so that both topics' partitions are complete."""
        return tuple(
            Append(DECISIONS, repository_key(decision.data.source.repository), encode(decision), self.partition)
            for decision in self.step.decisions
        )

    @property
    def commands(self) -> tuple[Append, ...]:
        """The commands, each for its agent."""
        return tuple(command_append(command) for command in self.step.commands)

    @property
    def events(self) -> tuple[Append, ...]:
        """Events that follow: facts for the repositories of targets, and publications for every partition."""
        facts = (event_append(fact) for fact in self.step.carried)
        announced = (broadcast_appends(one, POLICIES_KEY, self.partitions) for one in self.step.announcements)
        return (*facts, *chain.from_iterable(announced))

    @property
    def changes(self) -> tuple[Change, ...]:
        """What becomes of the state."""
        return self.step.changes

    @property
    def news(self) -> News | None:
        """Whether the event told a change as a webhook should, or found one that no webhook had told."""
        return self.step.news


def read_event(record: LogRecord, partitions: int) -> Envelope[Frozen]:
    """Return the event in a record of the log.

    Raises:
        UnusableInputError: it is none, it is too large, or it is in a partition where it does not belong.
    """
    if not record.value:
        raise UnusableInputError("the record is empty")
    if len(record.value) > limits.event_bytes:
        raise UnusableInputError(f"{len(record.value)} bytes are more than the {limits.event_bytes} of an event")
    try:
        event = decode(record.value)
    except UnreadableRecordError as error:
        raise UnusableInputError(str(error)) from None
    if type_of(event.data) not in EVENT_TYPES:
        raise UnusableInputError(f"{type_of(event.data)} is not an event")
    home = home_partition(event, partitions)
    if home is not None and home != record.partition:
        raise UnusableInputError(f"{event.subject} belongs into partition {home}, not {record.partition}")
    return event


def fold(state: StateView, record: LogRecord, partitions: int) -> Folded:
    """Return what follows from a record, given the state before it.

    Raises:
        UnusableInputError: the record holds no event; nothing follows from it but a dead letter.
    """
    event = read_event(record, partitions)
    return Folded(event, record.partition, partitions, take(state, event))
