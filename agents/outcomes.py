"""Outcomes in the log: how a transfer that ended is written, and which commands the log knows to have ended."""

from datetime import UTC, datetime

from schemas.canonical import content_id
from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from schemas.instants import format_instant
from schemas.outcomes import Outcome
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import EVENTS

TRANSFERRER_SOURCE = "towline/transferrer"


def outcome_event(
    outcome: TransferCompleted | TransferSkipped | TransferFailed,
) -> Envelope[TransferCompleted | TransferSkipped | TransferFailed]:
    """Return the event of an outcome that is known now."""
    return Envelope(
        id=content_id(outcome.command_id, "outcome"),
        source=TRANSFERRER_SOURCE,
        subject=str(outcome.target),
        time=format_instant(datetime.now(UTC)),
        data=outcome,
    )


async def ended_since(log: EventLog, partition: int, start: int = 0) -> list[str]:
    """Return the ids of the commands whose outcomes a partition of the log holds from ``start`` on.

    Raises:
        LogUnavailableError: the log cannot be read now.
    """
    first = max(start, await log.low_watermark(EVENTS, partition))
    end = await log.high_watermark(EVENTS, partition)
    found = []
    async for record in log.read(EVENTS, partition, first, end):
        try:
            data: Frozen = decode(record.value or b"").data
        except UnreadableRecordError:
            continue  # The evaluator makes its dead letter; an outcome it is not.
        if isinstance(data, Outcome):
            found.append(data.command_id)
    return found
