"""From a record of the log to what follows from it; the same for the evaluator and for replay."""

from dataclasses import dataclass

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
from towline.policy.step import take


@dataclass(frozen=True, slots=True)
class Folded:
    """What one record leads to, in bytes."""

    event: Envelope[Frozen]
    decisions: tuple[Append, ...]
    commands: tuple[Append, ...]
    #: Events that follow: publications for every partition, and facts for the repositories of targets.
    events: tuple[Append, ...]
    changes: tuple[Change, ...]
    #: Whether the event told a change as a webhook should, or found one that no webhook had told.
    news: News | None


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
    step = take(state, event)
    return Folded(
        event,
        # A decision stands in the partition of its event, so that each partition of both topics is complete by itself.
        tuple(
            Append(DECISIONS, repository_key(decision.data.source.repository), encode(decision), record.partition)
            for decision in step.decisions
        ),
        tuple(command_append(command) for command in step.commands),
        (
            *(event_append(fact) for fact in step.carried),
            *(
                append
                for announcement in step.announcements
                for append in broadcast_appends(announcement, POLICIES_KEY, partitions)
            ),
        ),
        step.changes,
        step.news,
    )
