"""The dead letters that the topic holds: each with its cause and whether it was sent again; and their groups."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from schemas.catalogue import decode
from schemas.deadletters import DeadLetter, InputRequeued
from schemas.envelope import Envelope
from streams.deadletters import rejected_input
from streams.history import recorded
from streams.letters.causes import cause_of
from streams.log import LogRecord, Position, ReadableLog
from streams.topics import DEADLETTERS
from towline.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Requeued:
    """That a letter was sent again."""

    time: str
    actor: str
    sent: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: what can be told of it without its bytes."""

    id: str
    #: Where the letter stands, and where its input stood.
    position: Position
    input: Position
    time: str
    reason: str
    cause: str
    size_bytes: int
    #: None while nobody sent it again.
    requeued: Requeued | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are wanted: all that is given must fit."""

    #: Part of the cause, in any case.
    cause: str = ""
    #: The topic of the input.
    topic: str | None = None
    #: The first moment, and the first one after.
    since: str = ""
    until: str | None = None

    def has(self, letter: Letter) -> bool:
        """Tell whether a letter is wanted."""
        if self.topic not in {None, letter.input.topic} or letter.time < self.since:
            return False
        return self.cause.casefold() in letter.cause.casefold() and (self.until is None or letter.time < self.until)


@dataclass(slots=True)
class Group:
    """Letters of one cause and topic."""

    cause: str
    topic: str
    #: One of them, the last.
    example: Position
    count: int = 0
    requeued: int = 0
    first: str = ""
    last: str = ""


async def read_letters(log: ReadableLog, wanted: Wanted | None = None) -> list[Letter]:
    """Return the letters that are wanted, each once, the oldest first.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    letters: dict[str, Letter] = {}
    requeued: dict[str, Requeued] = {}
    for partition in range(await log.partitions(DEADLETTERS)):
        async for item in recorded(log, DEADLETTERS, partition):
            match item.envelope.data:
                case DeadLetter():
                    letter = letter_of(item.record, cast("Envelope[DeadLetter]", item.envelope))
                    letters.setdefault(letter.id, letter)
                case InputRequeued() as data:
                    requeued.setdefault(data.letter_id, Requeued(item.envelope.time, data.actor, data.sent))
                case _:
                    pass
    told = (replace(letter, requeued=requeued.get(letter.id)) for letter in letters.values())
    chosen = [letter for letter in told if wanted is None or wanted.has(letter)]
    return sorted(chosen, key=lambda letter: (letter.time, letter.position))


def letter_of(record: LogRecord, envelope: Envelope[DeadLetter]) -> Letter:
    """Return the letter in a record."""
    data = envelope.data
    return Letter(
        envelope.id,
        Position(record.topic, record.partition, record.offset),
        Position(data.topic, data.partition, data.offset),
        envelope.time,
        data.reason,
        cause_of(data.reason),
        data.value_size,
    )


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """Return the letters by cause and topic, the largest group first."""
    groups: dict[tuple[str, str], Group] = {}
    for letter in letters:
        key = (letter.cause, letter.input.topic)
        group = groups.setdefault(key, Group(*key, letter.position, first=letter.time))
        group.count += 1
        group.requeued += letter.requeued is not None
        group.last, group.example = letter.time, letter.position
    return sorted(groups.values(), key=lambda group: (-group.count, group.cause, group.topic))


async def read_input(log: ReadableLog, letter: Letter) -> LogRecord:
    """Return the input that a letter holds.

    Raises:
        MisuseError: the letter does not hold all of it.
        LogUnavailableError: the log cannot be reached.
    """
    record, envelope = await read_letter(log, letter)
    return rejected_input(record, envelope)


async def read_letter(log: ReadableLog, letter: Letter) -> tuple[LogRecord, Envelope[DeadLetter]]:
    """Return the record of a letter, and what is in it.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    topic, partition, offset = letter.position
    async with aclosing(log.read(topic, partition, offset, offset + 1)) as records:
        async for record in records:
            return record, cast("Envelope[DeadLetter]", decode(record.value or b""))
    raise LookupError(f"{letter.position} was there and is no more")


def find_letter(letters: Iterable[Letter], name: str) -> Letter:
    """Return the letter that is named: by its id or the beginning of it, or by a place.

    A place is PARTITION/OFFSET in ``towline.deadletters``, or TOPIC/PARTITION@OFFSET of the letter or its input.

    Raises:
        MisuseError: there is none, or there are several.
    """
    found = [letter for letter in letters if _is_named(letter, name)]
    if not found:
        raise MisuseError(f"no dead letter is called {name}: look at `towline deadletters list --each`")
    if len(found) > 1:
        raise MisuseError(f"{len(found)} dead letters have ids that begin with {name}: give more of it")
    return found[0]


def _is_named(letter: Letter, name: str) -> bool:
    place = f"{letter.position.partition}/{letter.position.offset}"
    return name in {place, str(letter.position), str(letter.input)} or (bool(name) and letter.id.startswith(name))
