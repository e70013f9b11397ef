"""Snapshots: the folded state of a partition at an offset as a file, so that a fold need not begin at the beginning.

A gzip file of JSON lines: a header, then ``[key, value]`` for each value of the state in the order of the keys. A
snapshot only saves time. It is never trusted: whatever does not fit is refused with its reason, and the fold begins
earlier.
"""

import gzip
import hashlib
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from streams.files import written
from streams.folding import Quarantined, fold
from streams.log import LogRecord, ReadableLog
from streams.replay.packed import PackedState
from streams.topics import EVENTS
from towline.errors import MisuseError, StorageError, UnusableInputError
from towline.policy.state.values import STATE_FORMAT, Change, RevisionState

_FORMAT: Final = "towline snapshot 1"
_NAME: Final = re.compile(r"([0-9]+)-([0-9]+)\.snapshot\.gz")
#: The records before a snapshot's offset by which another log is told apart without reading it whole.
_TAIL_COUNT: Final = 64

Refused = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot is of."""

    topic: str
    partition: int
    #: The first offset that is not folded in.
    offset: int
    state_format: int
    revision: int
    #: The digest of the policy set in force; empty before the first.
    policies: str
    #: How many values follow, and the SHA-256 of their lines.
    count: int
    sha256: str
    #: The SHA-256 chain over all records that were folded, and the one over the last of them.
    chain: str
    tail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that was read and fits."""

    path: Path
    header: Header
    state: PackedState


class Chain:
    """The SHA-256 chain over the records of a partition: each link over the link before and the record's bytes."""

    def __init__(self) -> None:
        self._link = bytes(32)
        self._last: deque[LogRecord] = deque(maxlen=_TAIL_COUNT)

    def add(self, record: LogRecord) -> None:
        """Take the next record."""
        self._link = _link(self._link, record)
        self._last.append(record)

    @property
    def whole(self) -> str:
        """The last link."""
        return self._link.hex()

    @property
    def tail(self) -> str:
        """The last link of a chain that begins a few records ago."""
        return tail_of(self._last)


def _link(before: bytes, record: LogRecord) -> bytes:
    return hashlib.sha256(b"%b%d:%b" % (before, record.offset, record.value or b"")).digest()


def tail_of(records: Iterable[LogRecord]) -> str:
    """Return the last link of a chain over some records."""
    link = bytes(32)
    for record in records:
        link = _link(link, record)
    return link.hex()


def path_of(folder: Path, partition: int, offset: int) -> Path:
    """Return the file of a snapshot."""
    return folder / f"{partition}-{offset:020}.snapshot.gz"


async def write_snapshot(
    log: ReadableLog,
    partition: int,
    offset: int,
    folder: Path,
    *,
    quarantined: Quarantined = frozenset(),
    refused: Refused = lambda reason: None,  # noqa: ARG005 - nobody asks
) -> Path:
    """Write the state of a partition before ``offset``; an earlier snapshot that fits saves folding.

    ``quarantined`` are the partitions and offsets that the evaluator sets aside.

    Raises:
        LogUnavailableError: the log cannot be reached.
        StorageError: the file cannot be written.
    """
    state, start = await state_before(log, partition, offset, folder, refused=refused)
    chain = Chain()
    partitions = await log.partitions(EVENTS)
    async for batch in log.read_batches(EVENTS, partition, await log.low_watermark(EVENTS, partition), offset):
        for record in batch:
            chain.add(record)
            if record.offset >= start:
                take_record(state, record, partitions, quarantined)
    path = path_of(folder, partition, offset)
    _write(path, _header_of(state, chain, partition, offset), state)
    return path


def _header_of(state: PackedState, chain: Chain, partition: int, offset: int) -> Header:
    lines, revision = hashlib.sha256(), RevisionState.read(state)
    for line in _lines(state):
        lines.update(line)
    return Header(
        topic=EVENTS,
        partition=partition,
        offset=offset,
        state_format=STATE_FORMAT,
        revision=revision.revision,
        policies=revision.digest,
        count=len(state),
        sha256=lines.hexdigest(),
        chain=chain.whole,
        tail=chain.tail,
    )


def _write(path: Path, header: Header, state: PackedState) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {path.parent}: {error.strerror}") from None
    with written(path) as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write(orjson.dumps({"format": _FORMAT, **asdict(header)}) + b"\n")
        for line in _lines(state):
            packed.write(line)


def _lines(state: PackedState) -> Iterator[bytes]:
    for key, value in state.items():
        # The members keep their order: what is read is what was there, to the last detail.
        yield orjson.dumps([key, value]) + b"\n"


def take_record(state: PackedState, record: LogRecord, partitions: int, quarantined: Quarantined = frozenset()) -> None:
    """Fold one record in; what is unusable, or set aside, changes nothing."""
    if (record.partition, record.offset) in quarantined:
        return
    try:
        folded = fold(state, record, partitions)
    except UnusableInputError:
        return
    state.apply(folded.changes)


async def state_before(
    log: ReadableLog,
    partition: int,
    offset: int,
    folder: Path | None,
    *,
    refused: Refused = lambda reason: None,  # noqa: ARG005 - nobody asks
) -> tuple[PackedState, int]:
    """Return a state at or before ``offset``, and where the fold goes on from it.

    It is that of the nearest snapshot in ``folder`` that fits the log; ``refused`` is told the reason for each that
    does not. Without one it is the empty state at the beginning of the log.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    for path in reversed(snapshots_in(folder, partition)):
        if _place_of(path)[1] > offset:
            continue
        try:
            snapshot = read_snapshot(path)
            await refuse_foreign(log, snapshot, partition)
        except MisuseError as error:
            refused(str(error))
            continue
        return snapshot.state, snapshot.header.offset
    return PackedState(), await log.low_watermark(EVENTS, partition)


def snapshots_in(folder: Path | None, partition: int | None = None) -> list[Path]:
    """Return the snapshots of a folder, those of a partition by their offsets."""
    if folder is None or not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted((path for path in found if partition is None or _place_of(path)[0] == partition), key=_place_of)


def _place_of(path: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise MisuseError(f"{path} is not named like a snapshot: PARTITION-OFFSET.snapshot.gz")
    return int(match[1]), int(match[2])


def read_snapshot(path: Path) -> Snapshot:
    """Return a snapshot that is whole and of this version's state.

    Raises:
        MisuseError: it is damaged, or of another format; the text has the reason.
    """
    state, lines, count = PackedState(), hashlib.sha256(), 0
    try:
        with gzip.open(path, "rb") as file:
            header = _header(path, file.readline())
            for line in file:
                lines.update(line)
                key, value = orjson.loads(line)
                state.apply((Change(key, value),))
                count += 1
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        raise MisuseError(f"{path} is refused: it cannot be read: {error}") from None
    if count != header.count or lines.hexdigest() != header.sha256:
        raise MisuseError(f"{path} is refused: its content is not what its header says")
    if (header.partition, header.offset) != _place_of(path):
        raise MisuseError(f"{path} is refused: it is of partition {header.partition} at offset {header.offset}")
    return Snapshot(path, header, state)


def _header(path: Path, line: bytes) -> Header:
    found: Any = orjson.loads(line)
    if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
        raise MisuseError(f"{path} is refused: it is no snapshot of this version")
    header = Header(**found)
    if header.state_format != STATE_FORMAT:
        raise MisuseError(
            f"{path} is refused: its state has format {header.state_format}, and this version folds to {STATE_FORMAT}"
        )
    return header


async def refuse_foreign(log: ReadableLog, snapshot: Snapshot, partition: int) -> None:
    """Compare the records before a snapshot's offset with those that it was folded from.

    Raises:
        LogUnavailableError: the log cannot be reached.
        MisuseError: they are others, or not there.
    """
    header = snapshot.header
    if header.topic != EVENTS or header.partition != partition:
        raise MisuseError(f"{snapshot.path} is refused: it is of {header.topic} partition {header.partition}")
    low = await log.low_watermark(EVENTS, partition)
    last: deque[LogRecord] = deque(maxlen=_TAIL_COUNT)
    # Offsets may have gaps, so somewhat further back than there are records to compare.
    start = max(low, header.offset - 4 * _TAIL_COUNT)
    async for record in log.read(EVENTS, partition, start, header.offset):
        last.append(record)
    if header.offset > await log.high_watermark(EVENTS, partition) or tail_of(last) != header.tail:
        raise MisuseError(f"{snapshot.path} is refused: it was folded from another log")
