"""Going once through a slice: is each line what it must be, and where in the file does each record begin?"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from streams.log import LogRecord
from streams.slices.form import End, Header, LineError, Range, Scan, read_header, read_line
from towline import limits
from towline.errors import MisuseError

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A place where a slice is not as it was written."""

    #: Counted from 1.
    line: int
    reason: str


@dataclass(slots=True)
class Places:
    """Where the records of one partition are in the file, 16 bytes each, in the order of their lines."""

    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    positions: "array[int]" = field(default_factory=lambda: array("q"))
    #: Whether the lines are in the order of their offsets, each offset once.
    is_sorted: bool = True

    def add(self, offset: int, position: int) -> None:
        """Add the next line."""
        self.is_sorted = self.is_sorted and (not self.offsets or self.offsets[-1] < offset)
        self.offsets.append(offset)
        self.positions.append(position)

    def between(self, start: int, stop: int) -> "array[int]":
        """Return the positions of the records with offsets from ``start`` to before ``stop``."""
        if self.is_sorted:
            return self.positions[bisect_left(self.offsets, start) : bisect_left(self.offsets, stop)]
        pairs = zip(self.offsets, self.positions, strict=True)
        return array("q", (position for offset, position in pairs if start <= offset < stop))


class Index:
    """What a slice holds and where. ``insist``: refuse it at the first problem, instead of collecting them.

    Raises:
        MisuseError: the file is no slice, or of a newer format; and with ``insist``, it was cut off or altered. The
            text has the line.
    """

    def __init__(self, name: Path, file: BinaryIO, size: int, *, insist: bool, progress: Progress) -> None:
        self.problems: list[Problem] = []
        self.scan: Scan | None = None
        self._name = name
        self._insist = insist
        self._line = 1
        self._position = 0
        self._sha256 = hashlib.sha256()
        self._records = 0
        self._end: End | None = None
        self.header = self._begin(file)
        self.places: dict[tuple[str, int], Places] = {
            (topic, partition): Places()
            for topic, ranges in self.header.topics.items()
            for partition, kept in enumerate(ranges)
            if kept is not None
        }
        while line := self._next(file):
            self._take(line)
            if self._line % _PROGRESS_LINES == 0:
                progress(self._position, size)
        if self._end is None:
            self.problem("the end is missing: the slice was cut off")

    def range(self, topic: str, partition: int) -> Range | None:
        """Return which offsets of a partition the slice has; None: nothing of it."""
        return self.header.topics[topic][partition]

    def problem(self, reason: str) -> None:
        """Note a problem at the current line.

        Raises:
            MisuseError: the index insists on there being none.
        """
        if self._insist:
            raise MisuseError(f"{self._name}, line {self._line}: {reason}")
        if len(self.problems) < limits.slice_problem_count:
            self.problems.append(Problem(self._line, reason))

    def _begin(self, file: BinaryIO) -> Header:
        line = file.readline(limits.slice_line_bytes)
        try:
            header = read_header(line)
        except LineError as error:
            raise MisuseError(f"{self._name}, line 1: {error}") from None
        self._pass(line)
        return header

    def _next(self, file: BinaryIO) -> bytes:
        line = file.readline(limits.slice_line_bytes)
        if len(line) == limits.slice_line_bytes and not line.endswith(b"\n"):
            raise MisuseError(f"{self._name}, line {self._line}: longer than any record can be")
        return line

    def _pass(self, line: bytes) -> None:
        self._sha256.update(line)
        self._position += len(line)
        self._line += 1

    def _take(self, line: bytes) -> None:
        if self._end is not None:
            self.problem("there is something after the end")
        if not line.endswith(b"\n"):
            self.problem("the line was cut off")
        try:
            item = read_line(line)
        except LineError as error:
            self.problem(str(error))
        else:
            match item:
                case End():
                    self._finish(item)
                case Scan():
                    self.scan = item
                case LogRecord():
                    self._add(item)
        self._pass(line)

    def _add(self, record: LogRecord) -> None:
        self._records += 1
        place = self.places.get((record.topic, record.partition))
        if place is None:
            self.problem(f"a record of {record.topic} partition {record.partition}, of which the slice has nothing")
            return
        kept = self.range(record.topic, record.partition)
        if kept is None or not kept.first <= record.offset < kept.end:
            self.problem(f"offset {record.offset} is not among those that the slice has")
            return
        if place.offsets and record.offset <= place.offsets[-1]:
            self.problem(f"offset {record.offset} comes after offset {place.offsets[-1]}")
        place.add(record.offset, self._position)

    def _finish(self, end: End) -> None:
        self._end = end
        if end.records != self._records:
            self.problem(f"it has {self._records} records, {end.records} were written")
        if (found := self._sha256.hexdigest()) != end.sha256:
            self.problem(f"it was altered: its SHA-256 is {found}, that of what was written is {end.sha256}")


#: Lines between two reports of progress.
_PROGRESS_LINES = 1000
