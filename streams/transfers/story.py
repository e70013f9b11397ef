"""One transfer with what led to it: the event, the decision, the command, its end."""

from dataclasses import dataclass

from schemas.catalogue import type_of
from schemas.commands import CopyImage
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.history import Recorded, recorded_of
from streams.log import EventLog
from streams.topics import COMMANDS, DECISIONS, EVENTS
from streams.transfers.ledger import Entry, find, read_transfer
from streams.transfers.retries import Retry, read_retries
from streams.transfers.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Cause:
    """A record that led to a transfer."""

    id: str
    type: str
    subject: str
    time: str
    position: str


@dataclass(frozen=True, slots=True)
class TransferStory:
    """A transfer, where its command stands, and what led to it."""

    transfer: Transfer
    position: str
    #: None when the topics do not hold it: a command that a test or a foreign producer wrote.
    decision: Cause | None
    verdict: str | None
    reason: str | None
    event: Cause | None
    #: The event that asked for it again after it failed, and the command that followed.
    retry: Cause | None
    retried_as: str | None


async def read_transfer_story(log: EventLog, prefix: str) -> TransferStory:
    """Return the transfer whose command's id begins with ``prefix``, with what led to it.

    Raises:
        MisuseError: none does, or several do.
        LogUnavailableError: the log cannot be reached.
    """
    entry = await find(log, prefix)
    decided = await _record(log, DECISIONS, entry, entry.command.decision_id)
    decision = decided.envelope.data if decided and isinstance(decided.envelope.data, Decision) else None
    event = None if decision is None else await _record(log, EVENTS, entry, decision.event_id)
    retry = (await read_retries(log)).of.get(entry.id)
    return TransferStory(
        await read_transfer(log, entry),
        entry.recorded.position,
        None if decided is None else _cause(decided),
        None if decision is None else decision.verdict,
        None if decision is None else decision.reason,
        None if event is None else _cause(event),
        None if retry is None else _cause(retry.asked),
        None if retry is None else await _command_of(log, entry, retry),
    )


async def _command_of(log: EventLog, entry: Entry, retry: Retry) -> str | None:
    """Return the id of the command of a retry, which has the same target."""
    async for item in recorded_of(log, COMMANDS, [entry.command.target.repository]):
        if isinstance(item.envelope.data, CopyImage) and item.envelope.data.decision_id == retry.decision_id:
            return item.envelope.id
    return None


async def _record(log: EventLog, topic: str, entry: Entry, id_: str) -> Recorded | None:
    """Return the first record with an id about the source of a transfer."""
    found = None
    async for item in recorded_of(log, topic, [entry.command.source.repository]):
        if item.envelope.id == id_ and found is None:
            found = item
    return found


def _cause(item: Recorded) -> Cause:
    envelope: Envelope[Frozen] = item.envelope
    return Cause(envelope.id, type_of(envelope.data), envelope.subject, envelope.time, item.position)
