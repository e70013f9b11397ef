"""The log as the rest of the system sees it: append, read a range, follow. Two implementations keep its promises."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from towline import limits
from towline.errors import LogError

Headers = tuple[tuple[str, bytes], ...]
"""Names and values in the order of the record. A header without a value, which Kafka allows, has an empty one here."""

NO_HEADERS: Final[Headers] = ()


class LogRecord(NamedTuple):
    """A record as it was read.

    A tuple because replay makes millions of them: a frozen dataclass costs three times as much to make.
    """

    topic: str
    partition: int
    offset: int
    #: None when the producer gave none, which ours never do.
    key: bytes | None
    #: None for a tombstone, which only foreign producers write.
    value: bytes | None
    headers: Headers
    #: When the producer made it, in milliseconds since 1970.
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Append:
    """A record to be written.

    Raises:
        ValueError: neither a key nor a partition says where it goes.
    """

    topic: str
    key: bytes | None
    value: bytes
    #: Where it goes; None for the partition of the key.
    partition: int | None = None
    headers: Headers = NO_HEADERS
    #: When it was made, in milliseconds since 1970; None for now.
    timestamp_ms: int | None = None

    def __post_init__(self) -> None:
        if self.key is None and self.partition is None:
            raise ValueError("a record without a key needs a partition")

    @property
    def size_bytes(self) -> int:
        """The size that counts against the limit: all parts and the most that their framing takes."""
        headers = list(self.headers)
        return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(self.key, self.value, headers))


class Position(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.topic}/{self.partition}@{self.offset}"


class ReadableLog(Protocol):
    """Topics of ordered partitions, to be read: all that audit and replay are given, so that they cannot write.

    Every method raises LogUnavailableError when the log does not answer in time, and TopicMismatchError for a topic
    or partition that does not exist.
    """

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions."""
        ...

    async def low_watermark(self, topic: str, partition: int) -> int:
        """Return the first offset that is kept."""
        ...

    async def high_watermark(self, topic: str, partition: int) -> int:
        """Return the offset that the next record will get."""
        ...

    def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncGenerator[LogRecord, None]:
        """Yield what is at the offsets from ``start`` to before ``stop`` now, in order, then end.

        Offsets that hold no record (removed, beyond the end, or Kafka's own) are passed over.

        Raises:
            LogError: the log lost its tail while it was read.
        """
        ...

    def read_batches(self, topic: str, partition: int, start: int, stop: int) -> AsyncGenerator[list[LogRecord], None]:
        """Yield what :meth:`read` yields, in non-empty lists, which costs less for each record."""
        ...

    def follow(self, topic: str, starts: Mapping[int, int]) -> AsyncGenerator[LogRecord, None]:
        """Yield the records of the given partitions from these offsets on, and later ones as they come.

        Order holds within a partition. It waits while the log is away, and never ends by itself.

        Raises:
            LogError: a partition is shorter than where we were: acknowledged records were lost.
        """
        ...

    async def close(self) -> None:
        """Give up all connections; iterators that are still open fail. A second call does nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ReadInBatches:
    """What of a log follows from its batches, and from how it is closed."""

    async def read(
        self: ReadableLog, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[LogRecord, None]:
        """See ReadableLog."""
        async with aclosing(self.read_batches(topic, partition, start, stop)) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def __aexit__(
        self: ReadableLog, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class EventLog(ReadableLog, Protocol):
    """Topics that can be written to as well."""

    async def append(self, record: Append) -> Position:
        """Write a record; return its place once every in-sync replica has it.

        Raises:
            LogError: the record is larger than ``limits.record_bytes``.
            LogUnavailableError: it was not acknowledged in time; it may or may not be in the log.
        """
        ...

    async def append_all(self, records: Sequence[Append]) -> list[Position]:
        """Write records at once, those of one partition in their order; return when all are acknowledged.

        Raises:
            LogError: one of them is too large; then none is written.
            LogUnavailableError: not all were acknowledged in time; any of them may or may not be in the log.
        """
        ...


def refuse_oversized(records: Iterable[Append]) -> None:
    """Check records against the limit before any of them is sent.

    Raises:
        LogError: one is larger than ``limits.record_bytes``; the text has both sizes.
    """
    for record in records:
        if (size := record.size_bytes) > limits.record_bytes:
            raise LogError(
                f"a record of {size} bytes for {record.topic} exceeds the limit of {limits.record_bytes} bytes"
            )


def lost_tail(topic: str, partition: int, position: int) -> LogError:
    """Return the error for a reader whose next offset the log does not reach any more."""
    return LogError(
        f"{topic} partition {partition} was read up to offset {position} and ends before it: records that were "
        "acknowledged are lost. Restore the broker's data, or rebuild what was derived from them"
    )


def unreadable(position: Position) -> LogError:
    """Return the error for records that are not as the broker was given them; ``position`` is the first of them."""
    return LogError(
        f"{position} cannot be read: the checksum of what stands there is wrong, so the broker's disk or somebody with "
        "access to it changed it. Let another replica take over, or restore the partition from a backup"
    )
