"""What the log and the decisions tell of a window, for whoever plays it again under other policies."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from schemas.catalogue import UnreadableRecordError, decode
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import TransferSkipped
from schemas.outcomes import Outcome
from schemas.references import Frozen
from streams.consequences import consequence_key, decision_key, number_of
from streams.folding import Quarantined, read_event
from streams.log import LogRecord, ReadableLog
from streams.replay.scope import Scope
from streams.replay.window import Progress, Window, id_of, records_of
from streams.routing import repository_of
from streams.topics import DECISIONS, EVENTS
from towline.errors import UnusableInputError
from towline.policy.arrival import arrival_of
from towline.replay.differences import ACTS, History


class Place(NamedTuple):
    """Where an event of the log stands."""

    partition: int
    offset: int


class Brought(NamedTuple):
    """A consequence that put a digest under a tag, and when its decision was made."""

    key: int
    decided_at: str


@dataclass(slots=True)
class RecordedPast:
    """The recorded side of a window."""

    history: History = field(default_factory=History)
    #: What followed from decisions of the window: by its place, which consequence it is.
    consequences: dict[Place, int] = field(default_factory=dict)
    #: By consequence, how many of them are still to come; in the order of their places all are alike.
    ahead: Counter[int] = field(default_factory=Counter)
    #: By consequence, how many commands have no outcome in the window.
    open_commands: Counter[int] = field(default_factory=Counter)
    #: By tag and digest: which consequence brought it there.
    brought: dict[tuple[str, str], Brought] = field(default_factory=dict)


class _Candidate(NamedTuple):
    """Something that may have followed from a decision of the window."""

    place: Place
    key: int
    #: Of an outcome, the decision; of a fact, the tag that it came from and the repository that it came to.
    cause: int | tuple[str, str]
    time: str
    arrival: tuple[str, str] | None


async def read_past(
    log: ReadableLog, window: Window, scope: Scope, quarantined: Quarantined, progress: Progress
) -> RecordedPast:
    """Read what is recorded of a window.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    reader = _Reader(log, window, scope, quarantined)
    done, total = 0, len(scope.partitions)
    for partition in scope.partitions:
        await reader.read_events(partition)
        progress(done := done + 1, total)
    for partition in scope.partitions:
        await reader.read_decisions(partition)
    return reader.past()


class _Reader:
    def __init__(self, log: ReadableLog, window: Window, scope: Scope, quarantined: Quarantined) -> None:
        self._log = log
        self._window = window
        self._scope = scope
        self._quarantined = quarantined
        self._past = RecordedPast()
        #: Events of the window, by their ids as numbers.
        self._events: set[int] = set()
        self._candidates: deque[_Candidate] = deque()
        #: Decisions of the window that act: which consequence they have, and when they were made.
        self._decided: dict[int, Brought] = {}
        self._routes: set[tuple[str, str]] = set()
        #: Decisions whose target had the digest already.
        self._idle: set[int] = set()
        self._known: set[int] = set()

    async def read_events(self, partition: int) -> None:
        span = self._window.spans[partition]
        async for record in records_of(self._log, EVENTS, partition, (span.start, span.end), self._scope.has):
            if (record.partition, record.offset) in self._quarantined:
                continue
            try:
                event = read_event(record, len(self._window.spans))
            except UnusableInputError:
                continue
            self._events.add(_short(event.id))
            self._note_candidate(Place(partition, record.offset), event)
        # What was delivered again in the window was decided before it.
        async for record in records_of(self._log, EVENTS, partition, (span.low, span.start), self._scope.has):
            self._events.discard(_short(id_of(record) or ""))

    def _note_candidate(self, place: Place, event: Envelope[Frozen]) -> None:
        key = consequence_key(event)
        if key is None:
            return
        data = event.data
        if isinstance(data, Outcome):
            if isinstance(data, TransferSkipped) and data.reason is None and data.superseded_by is None:
                self._idle.add(_short(data.decision_id))
            arrival = arrival_of(event)
            brought = None if arrival is None else (str(arrival.reference), arrival.digest)
            self._candidates.append(_Candidate(place, key, _short(data.decision_id), event.time, brought))
        else:
            route = str(getattr(data, "carried_from", None)), str(repository_of(event))
            self._candidates.append(_Candidate(place, key, route, event.time, None))

    async def read_decisions(self, partition: int) -> None:
        start = await self._log.low_watermark(DECISIONS, partition)
        end = await self._log.high_watermark(DECISIONS, partition)
        async for record in records_of(self._log, DECISIONS, partition, (start, end), self._scope.has):
            decision = read_decision(record)
            if decision is None or _short(decision.data.event_id) not in self._events:
                continue
            if (short := _short(decision.id)) in self._known:
                continue  # Repeated after a crash.
            self._known.add(short)
            self._past.history.add(decision, is_idle=short in self._idle)
            self._note_decided(short, decision)

    def _note_decided(self, short: int, decision: Envelope[Decision]) -> None:
        data = decision.data
        if data.verdict not in ACTS or data.mode != "enforce" or data.target is None:
            return
        self._decided[short] = Brought(decision_key(data), decision.time)
        self._routes.add((str(data.source), str(data.target.repository)))

    def past(self) -> RecordedPast:
        past, ended = self._past, set[int]()
        for one in self._candidates:
            if isinstance(one.cause, int):
                decided = self._decided.get(one.cause)
                if decided is None:
                    continue  # Decided before the window, or elsewhere: it is as it was.
                ended.add(one.cause)
                if one.arrival is not None:
                    known = past.brought.get(one.arrival)
                    if known is None or decided.decided_at < known.decided_at:
                        past.brought[one.arrival] = decided
            elif one.cause not in self._routes or one.time < self._window.begins:
                continue
            past.consequences[one.place] = one.key
            past.ahead[one.key] += 1
        for short, decided in self._decided.items():
            if short not in ended:
                past.open_commands[decided.key] += 1
        return past


def read_decision(record: LogRecord) -> Envelope[Decision] | None:
    """Return the decision in a record; None when it holds none."""
    try:
        envelope = decode(record.value or b"")
    except UnreadableRecordError:
        return None
    return cast("Envelope[Decision]", envelope) if isinstance(envelope.data, Decision) else None


def _short(text: str) -> int:
    return number_of(text.encode())
