"""Ends of commands in the log: how they are told, and which commands the log knows to have ended."""

from datetime import UTC, datetime
from typing import TypeVar

from schemas.canonical import content_id
from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.instants import format_instant
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import EVENTS

DataT = TypeVar("DataT", bound=Frozen)


def end_id(command_id: str) -> str:
    """Return the id of the event that ends a command, whichever it is: it has one end by id."""
    return content_id(command_id, "outcome")


def known_now(data: DataT, *, id_: str, source: str, subject: str) -> Envelope[DataT]:
    """Return the event of a fact that is known now."""
    return Envelope(id=id_, source=source, subject=subject, time=format_instant(datetime.now(UTC)), data=data)


async def ends_since(log: EventLog, partition: int, ends: tuple[type[Frozen], ...], start: int = 0) -> list[str]:
    """Return the ids of the events of these types that a partition of the log holds from ``start`` on.

    Raises:
        LogUnavailableError: the log cannot be read now.
    """
    first = max(start, await log.low_watermark(EVENTS, partition))
    end = await log.high_watermark(EVENTS, partition)
    found = []
    async for record in log.read(EVENTS, partition, first, end):
        try:
            event = decode(record.value or b"")
        except UnreadableRecordError:
            continue  # The evaluator makes its dead letter; the end of a command it is not.
        if isinstance(event.data, ends):
            found.append(event.id)
    return found
