"""Which offsets a slice has: chosen so that what it holds of the log replays like the log.

Events begin where the log begins, since what is decided depends on everything before it. Decisions end with the last
one that an event of the slice led to, and checkpoints with the last one over these decisions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas.instants import Instant, parse_instant
from schemas.references import Repository
from streams.arrival import arrived_at
from streams.log import LogRecord, ReadableLog
from streams.slices.form import Range
from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS, partition_for, repository_key

#: What a slice has unless asked otherwise; `towline.inbound` is what outsiders sent, before anything was made of it.
DEFAULT_TOPICS: Final = (EVENTS, DECISIONS, COMMANDS, DEADLETTERS, CHECKPOINTS)

Ranges = dict[str, tuple[Range | None, ...]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for."""

    topics: tuple[str, ...] = DEFAULT_TOPICS
    #: Of commands, dead letters and inbound records, what was recorded from here on.
    since: Instant | None = None
    #: Everything that was recorded before this moment. A clock that is ahead can let a little of what came later in.
    until: Instant | None = None
    #: The partitions of these repositories only, whole.
    repositories: tuple[Repository, ...] = ()


async def choose(log: ReadableLog, choice: Choice) -> Ranges:
    """Return the offsets of a slice of what the log has now.

    Raises:
        LogUnavailableError: the log cannot be reached.
        TopicMismatchError: a topic is missing.
    """
    count = await log.partitions(EVENTS)
    wanted = {partition_for(repository_key(repository), count) for repository in choice.repositories} or range(count)
    chosen: dict[str, list[Range | None]] = {}
    for topic in choice.topics:
        chosen[topic] = [None] * await log.partitions(topic)
    for partition in wanted:
        # Before the decisions: those of later events are told apart by the events that led to them.
        events = await _until(log, EVENTS, partition, choice.until)
        ranges = {EVENTS: events}
        if DECISIONS in choice.topics or CHECKPOINTS in choice.topics:
            ranges[DECISIONS] = await _decisions(log, partition, events)
        for topic in choice.topics:
            if topic == CHECKPOINTS:
                ranges[topic] = await checkpoints_over(log, partition, ranges[DECISIONS])
            elif topic not in ranges:
                ranges[topic] = await _window(log, topic, partition, choice)
            chosen[topic][partition] = ranges[topic]
    return {topic: tuple(ranges) for topic, ranges in chosen.items()}


async def _whole(log: ReadableLog, topic: str, partition: int) -> Range:
    first = await log.low_watermark(topic, partition)
    return Range(first=first, end=await log.high_watermark(topic, partition))


async def _until(log: ReadableLog, topic: str, partition: int, until: Instant | None) -> Range:
    whole = await _whole(log, topic, partition)
    if until is None:
        return whole
    end = whole.first
    async for record in log.read(topic, partition, whole.first, whole.end):
        if recorded_time(record) < until:
            end = record.offset + 1
    return Range(first=whole.first, end=end)


async def _window(log: ReadableLog, topic: str, partition: int, choice: Choice) -> Range:
    until = await _until(log, topic, partition, choice.until)
    if choice.since is None:
        return until
    since = choice.since
    return await _from(log, topic, partition, until, lambda record: recorded_time(record) >= since)


async def _from(
    log: ReadableLog, topic: str, partition: int, within: Range, begins: Callable[[LogRecord], bool]
) -> Range:
    """Return the range from the first record that ``begins`` it; an empty one at the end when none does."""
    async for record in log.read(topic, partition, within.first, within.end):
        if begins(record):
            return Range(first=record.offset, end=within.end)
    return Range(first=within.end, end=within.end)


async def _before(
    log: ReadableLog, topic: str, partition: int, within: Range, ends: Callable[[LogRecord], bool]
) -> Range:
    """Return the range up to the first record that ``ends`` it; all of it when none does."""
    rest = await _from(log, topic, partition, within, ends)
    return Range(first=within.first, end=rest.first)


async def _decisions(log: ReadableLog, partition: int, events: Range) -> Range:
    # Some hundred bytes for each event of one partition at a time.
    ids = {str(member(record, "id")) async for record in log.read(EVENTS, partition, events.first, events.end)}
    whole = await _whole(log, DECISIONS, partition)

    def is_later(record: LogRecord) -> bool:
        event_id = member(record, "data", "event_id")
        return event_id is not None and event_id not in ids

    return await _before(log, DECISIONS, partition, whole, is_later)


async def checkpoints_over(log: ReadableLog, partition: int, decisions: Range) -> Range:
    """Return the checkpoints that are over the decisions of a range alone: up to the first one that is over later ones.

    Raises:
        LogUnavailableError: the log cannot be reached.
        TopicMismatchError: the topic is missing.
    """
    whole = await _whole(log, CHECKPOINTS, partition)

    def is_later(record: LogRecord) -> bool:
        last = member(record, "data", "last_offset")
        return isinstance(last, int) and last >= decisions.end

    return await _before(log, CHECKPOINTS, partition, whole, is_later)


def recorded_time(record: LogRecord) -> Instant:
    """Return when a record was recorded: as it says itself, or else as the log says."""
    time = member(record, "time")
    try:
        parse_instant(time if isinstance(time, str) else "")
    except ValueError:
        return arrived_at(record)
    return str(time)


def member(record: LogRecord, *path: str) -> Any:
    """Return a member of a record's JSON; None when there is no such thing."""
    try:
        found = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def count_of(ranges: Ranges) -> int:
    """Return how many offsets there are to read."""
    return sum(kept.end - kept.first for partitions in ranges.values() for kept in partitions if kept is not None)
