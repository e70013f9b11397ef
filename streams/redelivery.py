"""Sending a stored delivery through again, so that nothing happens twice.

What producers wrote is in ``towline.inbound`` for a week; what the gateway took is in the log for ever, by its events.
Either is appended once more, byte for byte, and takes the same way: its events have the same ids, and what a tag has
heard is not decided again. But a tag remembers its last events only (``limits.recent_event_count``), and of a sender
that names none of its deliveries nobody can tell that it repeats itself. Where either could bring back an image that
the tag had long ago, its registry is asked what the tag has now.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageHinted, ImagePushed, TagRemoved
from schemas.facts import ScanNoticed
from schemas.instants import Instant
from schemas.outcomes import Arrived, Report
from schemas.references import Frozen, Reference
from streams.arrival import arrived_at
from streams.inbound import events_from_record
from streams.log import Append, EventLog, LogRecord
from streams.routing import event_append
from streams.topics import EVENTS, INBOUND, partition_for
from towline import limits
from towline.dialects.recording import record
from towline.errors import MisuseError

SOURCE: Final = "towline/redelivery"

#: A tag that had no more events since remembers the one that comes again, also when others come meanwhile.
_SINCE_MAX: Final = limits.recent_event_count // 2

#: Why a delivery that could be taken for another one is not sent itself.
NAMELESS: Final = "its sender does not name what it delivers"

#: What senders of webhooks tell.
_TOLD: Final = (ImagePushed, ImageDeleted, ImageHinted, ScanNoticed)


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What is to be appended in order to send a delivery through again."""

    #: What the delivery told.
    events: tuple[Envelope[Frozen], ...]
    appends: tuple[Append, ...]
    #: Why the tags are looked at instead; empty when the delivery itself is sent.
    instead: str = ""


async def inbound_again(log: EventLog, partition: int, offset: int, now: Instant) -> Redelivery:
    """Return what sends a record of ``towline.inbound`` through again; ``now`` is the time of recording.

    Raises:
        MisuseError: there is no such record, it is not kept any more, or no event follows from it.
        UnusableInputError: the record could not be used, and still cannot.
    """
    stored = await _stored(log, partition, offset)
    events = tuple(events_from_record(stored, arrived_at(stored)))
    if not events:
        raise MisuseError(f"{INBOUND} {partition}/{offset} tells of no image: no event follows from it")
    reason = NAMELESS if is_nameless(stored, events, now) else await _forgotten(log, events)
    return send_again(events, _same(stored), reason, now)


async def event_again(log: EventLog, event_id: str, now: Instant) -> Redelivery:
    """Return what sends an event of the log through again that a sender told; ``now`` is the time of recording.

    Raises:
        MisuseError: no event has this id, or no sender told it.
    """
    stored, event = await _found(log, event_id)
    if not isinstance(event.data, _TOLD):
        raise MisuseError(f"{event.subject}: no sender of webhooks told this event, so it cannot be sent again")
    return send_again((event,), _same(stored), await _forgotten(log, (event,)), now)


def is_nameless(stored: LogRecord, events: Sequence[Envelope[Frozen]], now: Instant) -> bool:
    """Tell whether an event of a delivery is another one when it is recorded at another moment."""
    later = events_from_record(stored, now)
    return any(event.id != other.id for event, other in zip(events, later, strict=True))


def _same(stored: LogRecord) -> Append:
    return Append(stored.topic, stored.key, stored.value or b"", stored.partition, stored.headers)


def send_again(events: tuple[Envelope[Frozen], ...], same: Append, reason: str, now: Instant) -> Redelivery:
    """Return what sends ``same`` again, or with a ``reason`` has the registries of its tags asked instead."""
    tags = dict.fromkeys(tag for event in events if (tag := moved_tag(event)) is not None)
    if not reason or not tags:
        return Redelivery(events, (same,))
    hints = [record(ImageHinted(repository=tag.repository, tag=tag.tag), None, SOURCE, now) for tag in tags]
    return Redelivery(events, tuple(event_append(hint) for hint in hints), reason)


def moved_tag(event: Envelope[Frozen]) -> Reference | None:
    """Return the tag whose image an event changes; None when it changes none."""
    data = event.data
    if isinstance(data, ImagePushed | ImageDeleted) and data.tag is not None:
        return Reference(data.repository, data.tag)
    return data.target if isinstance(data, Arrived | TagRemoved) else None


async def _forgotten(log: EventLog, events: Sequence[Envelope[Frozen]]) -> str:
    """Return which tag may not remember its event any more; empty when all do, or never heard of theirs."""
    for event in events:
        tag = moved_tag(event)
        if tag is not None and (since := await _since(log, event, tag)) > _SINCE_MAX:
            return f"{tag} had {since} events since"
    return ""


async def _since(log: EventLog, event: Envelope[Frozen], tag: Reference) -> int:
    """Count the events of a tag that came after the first of this id; 0 when the log has none of it."""
    key = event_append(event).key or b""
    count, is_there = 0, False
    async for stored in _records(log, partition_for(key, await log.partitions(EVENTS))):
        if stored.key != key:
            continue
        if not is_there:
            is_there = _has_id(stored, event.id)
        elif _may_be_of(stored, tag):
            count += 1
    return count


def _may_be_of(stored: LogRecord, tag: Reference) -> bool:
    """Tell whether a tag may remember a record of its repository."""
    event = _decoded(stored)
    if event is None:
        return False
    if isinstance(event.data, Report):
        return event.data.target == tag
    return getattr(event.data, "tag", tag.tag) == tag.tag


async def _found(log: EventLog, event_id: str) -> tuple[LogRecord, Envelope[Frozen]]:
    for partition in range(await log.partitions(EVENTS)):
        async for stored in _records(log, partition):
            if _has_id(stored, event_id) and (event := _decoded(stored)) is not None:
                return stored, event
    raise MisuseError(f"{EVENTS} has no event {event_id}")


async def _stored(log: EventLog, partition: int, offset: int) -> LogRecord:
    if partition >= await log.partitions(INBOUND):
        raise MisuseError(f"{INBOUND} has no partition {partition}")
    if offset < (low := await log.low_watermark(INBOUND, partition)):
        raise MisuseError(f"{INBOUND} {partition}/{offset} is not kept any more; what is kept begins with {low}")
    async for stored in log.read(INBOUND, partition, offset, offset + 1):
        return stored
    raise MisuseError(f"{INBOUND} {partition}/{offset}: there is no such record")


async def _records(log: EventLog, partition: int) -> AsyncIterator[LogRecord]:
    low, end = await log.low_watermark(EVENTS, partition), await log.high_watermark(EVENTS, partition)
    async for batch in log.read_batches(EVENTS, partition, low, end):
        for stored in batch:
            yield stored


def _has_id(stored: LogRecord, event_id: str) -> bool:
    # Most records do not even contain it: reading them all would take a hundred times as long.
    if stored.value is None or event_id.encode() not in stored.value:
        return False
    event = _decoded(stored)
    return event is not None and event.id == event_id


def _decoded(stored: LogRecord) -> Envelope[Frozen] | None:
    """Return the event in a record; None when it holds none."""
    try:
        return decode(stored.value or b"")
    except UnreadableRecordError:
        return None
