"""Which recorded decision is which of those that the log leads to: by id, so that one difference hides no other."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from streams.log import LogRecord
from streams.replay.comparison import is_same
from towline import limits

CHANGED: Final = "the decision is another one"
MISSING: Final = "a decision is missing"
UNEXPECTED: Final = "no event leads to this decision"


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the record is not what the log leads to."""

    partition: int
    kind: str
    #: The offset of the event in the log, or None for a decision that no event leads to.
    event_offset: int | None
    #: The offset of the decision, or None for one that is missing.
    decision_offset: int | None
    #: The fields that differ, each with what was expected and what is recorded.
    fields: dict[str, tuple[object, object]] = field(default_factory=dict)


class Expected(NamedTuple):
    """A decision that the log leads to."""

    event_offset: int
    value: bytes
    #: How many were expected before it.
    number: int


@dataclass(slots=True)
class Verification:
    """What was compared, and how it came out."""

    events: int = 0
    decisions: int = 0
    duplicates: int = 0
    #: Decisions that stand behind later ones: written after a retry, or emitted again.
    late: int = 0
    #: Decisions that the log leads to and no evaluator has made yet.
    undecided: int = 0
    unusable: int = 0
    changed: int = 0
    missing: int = 0
    unexpected: int = 0
    #: The first differences of each partition in its order, ``limits.told_difference_count`` of them at most.
    differences: list[Difference] = field(default_factory=list)
    #: Why snapshots were not used that were looked at.
    refused: list[str] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many differences there are, told or not."""
        return self.changed + self.missing + self.unexpected

    @property
    def is_identical(self) -> bool:
        """Whether every expected decision is recorded, and nothing else."""
        return not self.different and self.undecided == 0

    def add(self, other: "Verification") -> None:
        """Take in what was compared elsewhere."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def tell(self, difference: Difference) -> None:
        """Count a difference, and keep it if there are not too many."""
        self.changed += difference.kind == CHANGED
        self.missing += difference.kind == MISSING
        self.unexpected += difference.kind == UNEXPECTED
        if len(self.differences) < limits.told_difference_count:
            self.differences.append(difference)


class Matcher:
    """Pairs the recorded decisions of one partition with the expected ones. Neither side is kept whole.

    Expected ones wait here until they are recorded. Recorded ones that are not expected yet are set aside: what they
    are may only come out later, see :meth:`repeated`.
    """

    def __init__(self, partition: int, result: Verification) -> None:
        self._partition = partition
        self._result = result
        self._waiting: OrderedDict[str, Expected] = OrderedDict()
        #: The last pairs by id, what was recorded and what was expected: a crash repeats what is not long ago.
        self._recent: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        #: Recorded, and not known yet to be anything.
        self.aside: OrderedDict[str, list[LogRecord]] = OrderedDict()
        self._count = 0
        self._furthest = -1

    @property
    def is_waiting(self) -> bool:
        """Whether an expected decision is not recorded yet."""
        return bool(self._waiting)

    @property
    def is_looking_far(self) -> bool:
        """Whether so much is expected already that a record which is not among it is set aside.

        The more are aside, the further is looked: many of them mean a gap of that many, not inventions.
        """
        return len(self._waiting) >= limits.replay_ahead_count * (1 + len(self.aside) // 64)

    def expect(self, identity: str, event_offset: int, value: bytes) -> None:
        """Take the next decision that the log leads to."""
        expected = Expected(event_offset, value, self._count)
        self._count += 1
        if identity not in self.aside:
            self._waiting[identity] = expected
            return
        first, *others = self.aside.pop(identity)
        self._pair(identity, expected, first)
        for record in others:
            self._repeat(identity, record)

    def meet(self, record: LogRecord) -> bool:
        """Take a recorded decision; return False when nothing expected so far has its id."""
        if self._waiting:
            identity, expected = next(iter(self._waiting.items()))
            if expected.value == record.value:
                del self._waiting[identity]
                self._agree(identity, expected, record)
                return True
        identity = identity_of(record)
        if identity in self._recent:
            self._repeat(identity, record)
        elif identity in self._waiting:
            self._pair(identity, self._waiting.pop(identity), record)
        else:
            return False
        return True

    def set_aside(self, record: LogRecord) -> None:
        """Keep a record of which nothing is known yet."""
        self.aside.setdefault(identity_of(record), []).append(record)

    def repeated(self, earlier: LogRecord) -> None:
        """Take a decision that was paired long ago: what stands aside under its id repeats it."""
        for record in self.aside.pop(identity_of(earlier), ()):
            self._compare_again(record, earlier.value or b"", earlier.value or b"")

    def end(self) -> None:
        """Count what is left on both sides: nothing more comes."""
        for expected in self._waiting.values():
            if expected.number < self._furthest:
                self._result.tell(Difference(self._partition, MISSING, expected.event_offset, None))
            else:
                self._result.undecided += 1
        for records in self.aside.values():
            for record in records:
                self.refuse(record)
        self._waiting.clear()
        self.aside.clear()

    def refuse(self, record: LogRecord) -> None:
        """Count a decision that no event leads to."""
        self._result.tell(Difference(self._partition, UNEXPECTED, None, record.offset))

    def _pair(self, identity: str, expected: Expected, record: LogRecord) -> None:
        value = record.value or b""
        if is_same(value, expected.value):
            self._agree(identity, expected, record)
            return
        self._furthest = max(self._furthest, expected.number)
        self._remember(identity, value, expected.value)
        self._differ(expected.event_offset, expected.value, record)

    def _agree(self, identity: str, expected: Expected, record: LogRecord) -> None:
        self._result.decisions += 1
        if expected.number < self._furthest:
            self._result.late += 1
        self._furthest = max(self._furthest, expected.number)
        self._remember(identity, record.value or b"", expected.value)

    def _remember(self, identity: str, recorded: bytes, expected: bytes) -> None:
        self._recent[identity] = recorded, expected
        if len(self._recent) > limits.replay_recent_count:
            self._recent.popitem(last=False)

    def _repeat(self, identity: str, record: LogRecord) -> None:
        self._compare_again(record, *self._recent[identity])

    def _compare_again(self, record: LogRecord, recorded: bytes, expected: bytes) -> None:
        value = record.value or b""
        # Who repeats the decision of an older version after an upgrade writes it as it is written now.
        if value == recorded or is_same(value, expected) or is_same(recorded, value):
            self._result.duplicates += 1
        else:
            self._differ(None, expected, record)

    def _differ(self, event_offset: int | None, expected: bytes, record: LogRecord) -> None:
        fields = dict(_fields(_json(expected), _json(record.value or b"")))
        self._result.tell(Difference(self._partition, CHANGED, event_offset, record.offset, fields))


def identity_of(record: LogRecord) -> str:
    """Return the id of a recorded decision; of what has none, its place."""
    found = _json(record.value or b"")
    identity = found.get("id") if isinstance(found, dict) else None
    return identity if isinstance(identity, str) else f"offset {record.offset}"


def _json(value: bytes) -> object:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value.decode(errors="replace")


def _fields(expected: object, recorded: object, path: str = "") -> list[tuple[str, tuple[object, object]]]:
    if isinstance(expected, dict) and isinstance(recorded, dict):
        names = sorted({*expected, *recorded})
        return [found for name in names for found in _fields(expected.get(name), recorded.get(name), f"{path}.{name}")]
    return [] if expected == recorded else [(path.lstrip("."), (expected, recorded))]
