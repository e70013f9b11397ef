"""A slice as a log that can be read. Records stay in the file; memory has 16 bytes for each."""

import asyncio
import gzip
import tempfile
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from streams.log import LogRecord, ReadInBatches, lost_tail
from streams.slices.form import Header, LineError, Range, Scan, read_line
from streams.slices.index import Index, Problem, Progress
from towline import limits
from towline.errors import LogUnavailableError, MisuseError, StorageError, TopicMismatchError

_GZIP: Final = b"\x1f\x8b"
_CHUNK_BYTES: Final = 1024 * 1024
_BATCH_RECORDS: Final = 500


def open_slice(
    path: Path,
    *,
    insist: bool = True,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> "SliceLog":
    """Check a slice and return it as a log.

    ``insist``: refuse a slice that was cut off or altered. Without, what is wrong is in ``problems``, and what can be
    read is there, in the order of the file: for whoever looks into it for that very reason.

    Raises:
        MisuseError: it is no slice, of a newer format, cut off or altered; the text has line and reason.
        StorageError: there is no room to unpack it.
    """
    with ExitStack() as files:
        try:
            file: BinaryIO = files.enter_context(path.open("rb"))
        except OSError as error:
            raise MisuseError(f"cannot read {path}: {error.strerror}") from None
        broken = None
        if file.read(len(_GZIP)) == _GZIP:
            # Packed lines cannot be read from the middle.
            packed = file
            file = cast("BinaryIO", files.enter_context(tempfile.TemporaryFile()))
            packed.seek(0)
            broken = _unpack(path, packed, file)
        size = file.seek(0, SEEK_END)
        file.seek(0)
        index = Index(path, file, size, insist=insist, progress=progress)
        if broken is not None:
            index.problem(broken)
        return SliceLog(path, file, index, files.pop_all())


def _unpack(path: Path, packed: BinaryIO, unpacked: BinaryIO) -> str | None:
    """Write the lines of a slice; return what is wrong with its compression."""
    size = 0
    try:
        with gzip.GzipFile(fileobj=packed) as content:
            while chunk := content.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > limits.slice_bytes:
                    raise MisuseError(f"{path} unpacks to more than {limits.slice_bytes} bytes, which no slice has")
                _store(path, unpacked, chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return "what is compressed was cut off or altered"
    return None


def _store(path: Path, unpacked: BinaryIO, chunk: bytes) -> None:
    try:
        unpacked.write(chunk)
    except OSError as error:
        raise StorageError(f"cannot unpack {path} in {tempfile.gettempdir()}: {error.strerror}") from None


class SliceLog(ReadInBatches):
    """The records of a slice, as ReadableLog. A partition that it does not have is empty."""

    def __init__(self, path: Path, file: BinaryIO, index: Index, files: ExitStack) -> None:
        self._path = path
        self._file = file
        self._files = files
        self._index = index
        self._closed = asyncio.Event()

    @property
    def header(self) -> Header:
        """What the slice says of itself."""
        return self._index.header

    @property
    def scan(self) -> Scan | None:
        """Which secrets were looked for; None when that line is missing."""
        return self._index.scan

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Where it is not as it was written; none, unless it was opened without insisting."""
        return tuple(self._index.problems)

    def offsets(self, topic: str, partition: int) -> list[int]:
        """Return the offsets of a partition's records, in the order of their lines."""
        places = self._index.places.get((topic, partition))
        return list(places.offsets) if places is not None else []

    async def partitions(self, topic: str) -> int:
        """See ReadableLog."""
        return len(self._ranges(topic))

    async def low_watermark(self, topic: str, partition: int) -> int:
        """See ReadableLog."""
        kept = self._range(topic, partition)
        return 0 if kept is None else kept.first

    async def high_watermark(self, topic: str, partition: int) -> int:
        """See ReadableLog."""
        kept = self._range(topic, partition)
        return 0 if kept is None else kept.end

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        """See ReadableLog."""
        if self._range(topic, partition) is None:
            return
        positions = self._index.places[topic, partition].between(start, stop)
        for first in range(0, len(positions), _BATCH_RECORDS):
            yield [self._record(position) for position in positions[first : first + _BATCH_RECORDS]]

    async def follow(self, topic: str, starts: Mapping[int, int]) -> AsyncGenerator[LogRecord, None]:
        """See ReadableLog. Nothing comes later."""
        for partition, start in starts.items():
            if start > (end := await self.high_watermark(topic, partition)):
                raise lost_tail(topic, partition, start)
            async for record in self.read(topic, partition, start, end):
                yield record
        await self._closed.wait()
        self._check_open()

    async def close(self) -> None:
        """See ReadableLog."""
        self._files.close()
        self._closed.set()

    async def __aenter__(self) -> Self:
        return self

    def _record(self, position: int) -> LogRecord:
        self._check_open()
        try:
            self._file.seek(position)
            record = read_line(self._file.readline(limits.slice_line_bytes))
        except (OSError, LineError):
            record = None
        if not isinstance(record, LogRecord):
            raise LogUnavailableError(f"{self._path} was changed while it was read")
        return record

    def _ranges(self, topic: str) -> tuple[Range | None, ...]:
        self._check_open()
        try:
            return self.header.topics[topic]
        except KeyError:
            raise TopicMismatchError(
                f"{self._path} has no {topic}: export a slice that has it, with --topic {topic}"
            ) from None

    def _range(self, topic: str, partition: int) -> Range | None:
        ranges = self._ranges(topic)
        if not 0 <= partition < len(ranges):
            raise TopicMismatchError(f"topic {topic} has no partition {partition}")
        return ranges[partition]

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise LogUnavailableError("the log is closed")
