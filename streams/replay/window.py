"""A window of the log: from which offset to which, what was in force in it, and which repositories there are.

Time is the recorded time of events, and the order within a partition is that of its offsets. So a moment cuts each
partition before its first event that was recorded later, whatever the clocks say of the events after that.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from schemas.catalogue import UnreadableRecordError, decode
from schemas.events import PolicyPublished, PromotionRequested
from schemas.instants import Instant
from schemas.policies import PolicySet
from streams.log import LogRecord, ReadableLog
from streams.routing import CLOCK_KEY, POLICIES_KEY
from streams.slices.selection import recorded_time
from streams.topics import EVENTS

Progress = Callable[[int, int], None]

_INSTANT_LENGTH: Final = len("2026-11-24T08:00:00.000000Z")
_REQUEST: Final = b'"promotion.requested"'
#: Keys of what every partition has.
BROADCAST: Final = frozenset({POLICIES_KEY, CLOCK_KEY})


@dataclass(slots=True)
class Span:
    """Offsets of one partition of the log: it begins at ``low``, and the window is from ``start`` to before ``end``."""

    low: int
    start: int
    end: int


@dataclass(slots=True)
class Window:
    """A part of the log, and what one reading of all before its end tells."""

    #: None: from the beginning, to the end.
    from_time: str | None
    to_time: str | None
    spans: dict[int, Span] = field(default_factory=dict)
    #: Records in the window.
    events: int = 0
    #: When the log begins and ends, as far as it was read; None for an empty one.
    first_time: str | None = None
    last_time: str | None = None
    #: Keys of repositories, and others of which nothing in the window depends.
    keys: set[bytes] = field(default_factory=set)
    #: Each set that was in force in the window, with its revision.
    sets: dict[int, PolicySet] = field(default_factory=dict)
    #: Of promotions that people asked for: the repositories that they led from and to.
    asked: set[tuple[bytes, bytes]] = field(default_factory=set)

    @property
    def begins(self) -> str:
        """The moment at which the window begins."""
        return self.from_time or self.first_time or "1970-01-01T00:00:00.000000Z"


def time_of(record: LogRecord) -> Instant:
    """Return when a record was recorded, as ``recorded_time`` does, but without reading it all."""
    found = _attribute(record, b'"time":"')
    return found if found is not None and len(found) == _INSTANT_LENGTH else recorded_time(record)


def id_of(record: LogRecord) -> str | None:
    """Return the id of a record of ours, without reading what it says; None when it has none."""
    return _attribute(record, b'"id":"')


def _attribute(record: LogRecord, sign: bytes) -> str | None:
    value = record.value or b""
    at = value.rfind(sign)  # Canonical bytes have it after the data, where quotes are escaped.
    if at < 0:
        return None
    return value[at + len(sign) : value.find(b'"', at + len(sign))].decode(errors="replace")


async def read_window(
    log: ReadableLog,
    from_time: str | None,
    to_time: str | None,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Window:
    """Read all before the end of a window once.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    window = Window(from_time, to_time)
    partitions = range(await log.partitions(EVENTS))
    lows = [await log.low_watermark(EVENTS, partition) for partition in partitions]
    highs = [await log.high_watermark(EVENTS, partition) for partition in partitions]
    done, total = 0, sum(highs) - sum(lows)
    for partition in partitions:
        survey = _Survey(window, Span(lows[partition], highs[partition], highs[partition]))
        async for batch in log.read_batches(EVENTS, partition, lows[partition], highs[partition]):
            done += len(batch)
            progress(done, total)
            if not survey.take(batch):
                break
        survey.finish()
        window.spans[partition] = survey.span
        window.events += survey.events
        done = sum(highs[: partition + 1]) - sum(lows[: partition + 1])
    return window


class _Survey:
    """One partition, read from its beginning to the end of the window."""

    def __init__(self, window: Window, span: Span) -> None:
        self._window = window
        self._latest = 0
        self._before: tuple[int, PolicySet] | None = None
        self._is_inside = False
        self.span = span
        self.events = 0

    def take(self, batch: list[LogRecord]) -> bool:
        """Look at the next records; return False when the window has ended."""
        for record in batch:
            if not self._take_time(time_of(record), record.offset):
                return False
            self.events += self._is_inside
            key = record.key or b""
            if key not in BROADCAST:
                self._window.keys.add(key)
            elif key == POLICIES_KEY:
                self._take_publication(record)
            if _REQUEST in (record.value or b""):
                self._take_request(record)
        return True

    def _take_time(self, time: str, offset: int) -> bool:
        window = self._window
        if window.to_time is not None and time >= window.to_time:
            self.span.end = offset
            if not self._is_inside:
                self.span.start = offset
            return False
        window.first_time = min(window.first_time or time, time)
        window.last_time = max(window.last_time or time, time)
        if not self._is_inside and (window.from_time is None or time >= window.from_time):
            self._is_inside = True
            self.span.start = self.span.low if window.from_time is None else offset
        return True

    def finish(self) -> None:
        """Note what was in force when the window began."""
        if self._before is not None:
            self._window.sets[self._before[0]] = self._before[1]

    def _take_publication(self, record: LogRecord) -> None:
        data = _data(record)
        if not isinstance(data, PolicyPublished) or data.revision <= self._latest:
            return
        self._latest = data.revision
        if self._is_inside:
            self._window.sets[data.revision] = data.set
        else:
            self._before = data.revision, data.set

    def _take_request(self, record: LogRecord) -> None:
        data = _data(record)
        if isinstance(data, PromotionRequested):
            self._window.asked.add((str(data.repository).encode(), str(data.target.repository).encode()))


def _data(record: LogRecord) -> object:
    try:
        return decode(record.value or b"").data
    except UnreadableRecordError:
        return None


async def records_of(
    log: ReadableLog, topic: str, partition: int, offsets: tuple[int, int], is_wanted: Callable[[bytes], bool]
) -> AsyncIterator[LogRecord]:
    """Yield the records of a partition whose key is wanted."""
    async for batch in log.read_batches(topic, partition, *offsets):
        for record in batch:
            if is_wanted(record.key or b""):
                yield record
