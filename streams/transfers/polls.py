"""What the log tells of the polls of sources: when each was asked, how the last one ended, and the log's clock."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from schemas.commands import PollRepository
from schemas.envelope import Envelope
from schemas.events import ClockTicked, PollCompleted, PollFailed
from schemas.patterns import SourcePattern
from schemas.references import Frozen
from streams.history import recorded
from streams.log import ReadableLog
from streams.topics import COMMANDS, EVENTS, partition_for, source_key
from towline.policy.publish import PROPOSAL_PARTITION

#: The cause of a poll that was not made because a later one asks the same: it says nothing about its source.
SUPERSEDED: Final = "superseded"


@dataclass(slots=True)
class Polls:
    """The polls of one source."""

    #: When it was last asked because it was time, or its policy was new: the interval counts from there. What a person
    #: or a difference had asked besides does not count.
    asked_at: str | None = None
    ended_at: str | None = None
    succeeded_at: str | None = None
    #: The last one, when it failed.
    failure: PollFailed | None = None


@dataclass(slots=True)
class Heard:
    """The polls of some sources, and what time it is in the log."""

    now: str | None = None
    polls: dict[SourcePattern, Polls] = field(default_factory=dict)


async def read_polls(log: ReadableLog, sources: Collection[SourcePattern]) -> Heard:
    """Return what the log tells of the polls of these sources.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    heard = Heard(polls={source: Polls() for source in sources})
    homes = {partition_for(source_key(source), await log.partitions(COMMANDS)) for source in sources}
    for partition in sorted(homes):
        async for item in recorded(log, COMMANDS, partition):
            _take_command(heard, item.envelope)
    homes = {partition_for(source_key(source), await log.partitions(EVENTS)) for source in sources}
    for partition in sorted({PROPOSAL_PARTITION, *homes}):
        async for item in recorded(log, EVENTS, partition):
            _take_event(heard, item.envelope)
    return heard


def _take_command(heard: Heard, command: Envelope[Frozen]) -> None:
    data = command.data
    if not isinstance(data, PollRepository) or data.cause == "manual" or data.is_complete:
        return
    if data.source in heard.polls:
        polls = heard.polls[data.source]
        polls.asked_at = max(command.time, polls.asked_at or "")


def _take_event(heard: Heard, event: Envelope[Frozen]) -> None:
    match event.data:
        case ClockTicked() as data:
            heard.now = max(data.now, heard.now or "")
        # Of a glob each repository completes too; the poll itself names none.
        case PollCompleted() as data if data.source in heard.polls and data.repository == data.source.repository:
            polls = heard.polls[data.source]
            polls.ended_at = polls.succeeded_at = event.time
            polls.failure = None
        case PollFailed() as data if data.source in heard.polls and data.cause != SUPERSEDED:
            polls = heard.polls[data.source]
            polls.ended_at, polls.failure = event.time, data
        case _:
            pass
