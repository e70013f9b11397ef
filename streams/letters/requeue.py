"""Sending dead letters through again, when what they were refused for is mended, so that nothing happens twice.

What a producer wrote goes to ``towline.inbound`` once more, byte for byte; what stands in the log and was set aside
there goes to the log once more. Its events have the ids that they would have had. Where the tag has had other events
since, or nobody can tell whether it is the same delivery, its registry is asked what the tag has now: an old image must
not come back by an old letter. That a letter was sent is written to ``towline.deadletters`` behind it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from schemas.canonical import content_id
from schemas.catalogue import UnreadableRecordError, decode, encode, type_of
from schemas.deadletters import InputRequeued
from schemas.envelope import Envelope
from schemas.references import Frozen, Reference
from streams.facts import Teller
from streams.folding import read_event
from streams.history import recorded_of
from streams.inbound import events_from_record
from streams.letters.box import Letter, read_input
from streams.log import Append, EventLog, LogRecord, Position, ReadableLog
from streams.redelivery import NAMELESS, Redelivery, is_nameless, moved_tag, send_again
from streams.routing import event_append, home_partition
from streams.topics import DEADLETTERS, EVENTS, INBOUND
from towline import limits
from towline.errors import MisuseError, UnusableInputError


@dataclass(frozen=True, slots=True)
class Planned:
    """A letter that can be sent, with what it tells."""

    letter: Letter
    told: tuple[str, ...]
    #: Why the registry is asked instead; empty when the letter itself is sent.
    instead: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A letter that is not sent, and why."""

    letter: Letter
    reason: str


@dataclass(frozen=True, slots=True)
class RequeuePlan:
    """What would be sent, and what not."""

    planned: tuple[Planned, ...]
    refused: tuple[Refused, ...]
    #: How many letters are beyond the bound of one requeue.
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Readable:
    """A letter that says something now."""

    letter: Letter
    events: tuple[Envelope[Frozen], ...]
    is_nameless: bool

    @property
    def tags(self) -> set[Reference]:
        return {tag for event in self.events if (tag := moved_tag(event)) is not None}


async def plan_requeue(log: ReadableLog, letters: Sequence[Letter], by: Teller) -> RequeuePlan:
    """Return what sending letters again would do, up to ``limits.retry_count`` of them, the oldest first.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    readable: list[_Readable] = []
    refused: list[Refused] = []
    partitions = await log.partitions(EVENTS)
    for letter in letters:
        if len(readable) == limits.retry_count:
            break
        try:
            readable.append(_readable(letter, await _open(log, letter), partitions, by))
        except (MisuseError, UnusableInputError) as error:
            refused.append(Refused(letter, str(error)))
    newest = await _newest(log, {tag for one in readable for tag in one.tags}, {one.letter.input for one in readable})
    tags = [tag for one in readable for tag in one.tags]
    planned = tuple(_planned(one, newest, tags) for one in readable)
    return RequeuePlan(planned, tuple(refused), len(letters) - len(readable) - len(refused))


async def requeue(
    log: EventLog, plan: RequeuePlan, by: Teller, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Send the letters of a plan, and note of each that it was sent, once it is safe where it goes.

    Raises:
        LogUnavailableError: not all was acknowledged in time. Doing it again sends nothing twice.
    """
    partitions = await log.partitions(EVENTS)
    for number, planned in enumerate(plan.planned):
        record = await _open(log, planned.letter)
        again = _again(_readable(planned.letter, record, partitions, by), record, planned.instead, by, partitions)
        await log.append_all(again.appends)
        await log.append(_note(planned, by))
        progress(number + 1)


async def _open(log: ReadableLog, letter: Letter) -> LogRecord:
    if letter.requeued is not None:
        raise MisuseError(f"{letter.requeued.actor} sent it again at {letter.requeued.time}")
    return await read_input(log, letter)


def _readable(letter: Letter, record: LogRecord, partitions: int, by: Teller) -> _Readable:
    if record.topic == INBOUND:
        try:
            events = tuple(events_from_record(record, letter.time))
        except UnusableInputError as error:
            raise UnusableInputError(f"it still cannot be used: {error}") from None
        if not events:
            raise MisuseError("it tells of no image: no event follows from it")
        return _Readable(letter, events, is_nameless(record, events, by.now))
    if record.topic == EVENTS:
        return _Readable(letter, (_set_aside(record, partitions),), is_nameless=False)
    raise MisuseError(f"what is in {record.topic} follows from decisions: nobody writes there by hand")


def _set_aside(record: LogRecord, partitions: int) -> Envelope[Frozen]:
    """Return the event that a record of the log holds, wherever it stands.

    Raises:
        MisuseError: it belongs into every partition.
        UnusableInputError: it holds none.
    """
    try:
        event = decode(record.value or b"")
    except UnreadableRecordError as error:
        raise UnusableInputError(f"it still cannot be used: {error}") from None
    home = home_partition(event, partitions)
    if home is None:
        raise MisuseError(f"{type_of(event.data)} goes to every partition: tell it anew, such as with `policy apply`")
    return read_event(record._replace(partition=home), partitions)


async def _newest(
    log: ReadableLog, tags: Collection[Reference], set_aside: Collection[Position]
) -> dict[Reference, str]:
    """Return when the log last heard of each tag, but for what was set aside."""
    newest: dict[Reference, str] = {}
    async for item in recorded_of(log, EVENTS, {tag.repository for tag in tags}):
        tag = moved_tag(item.envelope)
        place = Position(item.record.topic, item.record.partition, item.record.offset)
        if tag in tags and tag is not None and place not in set_aside:
            newest[tag] = max(newest.get(tag, ""), item.envelope.time)
    return newest


def _planned(one: _Readable, newest: dict[Reference, str], tags: list[Reference]) -> Planned:
    told = tuple(f"{type_of(event.data)} {event.subject}" for event in one.events)
    instead = NAMELESS if one.is_nameless else ""
    for tag in sorted(one.tags):
        if newest.get(tag, "") >= one.letter.time:
            instead = f"the log heard of {tag} since"
        elif tags.count(tag) > 1:
            instead = f"other letters are about {tag} too"
    return Planned(one.letter, told, instead)


def _again(one: _Readable, record: LogRecord, instead: str, by: Teller, partitions: int) -> Redelivery:
    if record.topic == EVENTS:
        return send_again(one.events, event_append(one.events[0]), instead, by.now)
    # Where the key was left out any partition serves: producers write under any key.
    partition = None if record.key is not None else record.partition % partitions
    same = Append(INBOUND, record.key, record.value or b"", partition, record.headers)
    return send_again(one.events, same, instead, by.now)


def _note(planned: Planned, by: Teller) -> Append:
    """Return the note that a letter was sent, which stands behind it."""
    letter = planned.letter
    data = InputRequeued(letter_id=letter.id, actor=by.actor, sent="hints" if planned.instead else "delivery")
    note = Envelope(content_id(type_of(data), letter.id), by.source, "/".join(map(str, letter.input)), by.now, data)
    return Append(DEADLETTERS, None, encode(note), letter.position.partition)
