"""From a record of the log to what follows from it; the same for the evaluator and for replay."""

from dataclasses import dataclass

from schemas.catalogue import EVENT_TYPES, UnreadableRecordError, decode, encode, type_of
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.log import Append, LogRecord
from streams.routing import POLICIES_KEY, broadcast_appends, home_partition
from streams.topics import COMMANDS, DECISIONS, repository_key
from towline.errors import UnusableInputError
from towline.policy.decide import decide
from towline.policy.evolve import evolve
from towline.policy.plan import plan
from towline.policy.publish import announce
from towline.policy.state import Change, StateView


@dataclass(frozen=True, slots=True)
class Folded:
    """What one record leads to, in bytes."""

    decisions: tuple[Append, ...]
    commands: tuple[Append, ...]
    announcements: tuple[Append, ...]
    changes: tuple[Change, ...]


def read_event(record: LogRecord, partitions: int) -> Envelope[Frozen]:
    """Return the event in a record of the log.

    Raises:
        UnusableInputError: it is none, or it is in a partition where it does not belong.
    """
    if not record.value:
        raise UnusableInputError("the record is empty")
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
    decisions = decide(state, event)
    commands = [command for decision in decisions for command in plan(decision)]
    announcements = announce(state, event)
    return Folded(
        # A decision stands in the partition of its event, so that each partition of both topics is complete by itself.
        tuple(
            Append(DECISIONS, repository_key(decision.data.source.repository), encode(decision), record.partition)
            for decision in decisions
        ),
        tuple(
            Append(COMMANDS, repository_key(command.data.target.repository), encode(command)) for command in commands
        ),
        tuple(
            append
            for announcement in announcements
            for append in broadcast_appends(announcement, POLICIES_KEY, partitions)
        ),
        evolve(state, event),
    )
