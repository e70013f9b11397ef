"""Which part of the log is compared: all of it, from and to a moment, or from and to an offset of one partition."""

from dataclasses import dataclass
from typing import Final

from schemas.instants import Instant
from streams.log import LogRecord, ReadableLog
from streams.slices.selection import member, recorded_time
from streams.topics import EVENTS
from towline.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Place:
    """An offset of a partition."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Span:
    """From when, or where, to when or where. What it ends with is not part of it.

    Raises:
        MisuseError: it begins in one partition and ends in another.
    """

    start: Instant | Place | None = None
    stop: Instant | Place | None = None

    def __post_init__(self) -> None:
        if len(self._named) > 1:
            raise MisuseError("a range that begins in one partition cannot end in another")

    @property
    def _named(self) -> set[int]:
        return {end.partition for end in (self.start, self.stop) if isinstance(end, Place)}

    def partitions(self, count: int) -> list[int]:
        """Return the partitions of a log of ``count`` that it has a part of.

        Raises:
            MisuseError: it names one that the log does not have.
        """
        if any(number >= count for number in self._named):
            raise MisuseError(f"the log has no partition {max(self._named)}: they are numbered from 0 to {count - 1}")
        return sorted(self._named) or list(range(count))


EVERYTHING: Final = Span()


@dataclass(frozen=True, slots=True)
class Part:
    """The part of one partition's events: from ``start`` to before ``stop``."""

    start: int
    stop: int
    #: The ids of its events, in brief; None: all of the partition, whatever a decision says.
    events: frozenset[bytes] | None = None

    def is_of_event(self, decision: LogRecord) -> bool:
        """Whether a recorded decision says that it was made on one of the events."""
        return self.events is None or _brief(member(decision, "data", "event_id")) in self.events


async def part_of(log: ReadableLog, partition: int, span: Span) -> Part:
    """Return the part of a partition that a span means.

    A moment is that of the first event that was recorded then or later: clocks differ, and the order of the log counts.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    low = await log.low_watermark(EVENTS, partition)
    end = await log.high_watermark(EVENTS, partition)
    if span == EVERYTHING:
        return Part(low, end)
    start = stop = None
    ids: list[bytes] = []
    async for batch in log.read_batches(EVENTS, partition, low, end):
        for record in batch:
            if stop is None and _is_reached(record, span.stop):
                stop = record.offset
            if start is None and (span.start is None or _is_reached(record, span.start)):
                start = record.offset
            if start is not None and stop is None:
                # 16 of 32 bytes: a hundred bytes of memory for each event of a range.
                ids.append(_brief(member(record, "id")))
    stop = end if stop is None else stop
    return Part(min(stop, end if start is None else start), stop, frozenset(ids))


def _is_reached(record: LogRecord, end: Instant | Place | None) -> bool:
    if isinstance(end, Place):
        return record.offset >= end.offset
    return end is not None and recorded_time(record) >= end


def _brief(identity: object) -> bytes:
    try:
        return bytes.fromhex(str(identity)[:32])
    except ValueError:
        return b""
