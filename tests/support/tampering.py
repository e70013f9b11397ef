"""A log of given records, to be tampered with: whatever is in the lists is what a reader gets."""

from collections.abc import AsyncGenerator, Mapping
from typing import Self

from schemas.catalogue import encode
from streams.log import Append, EventLog, LogRecord, ReadInBatches
from streams.topics import CHECKPOINTS, DECISIONS
from tests.unit.audit.sealed import sealing_key
from towline.audit.leaves import record_leaf
from towline.audit.tail import Leaf, Mark, Tail
from towline.errors import TopicMismatchError

BATCH_RECORDS = 7


class FixedLog(ReadInBatches):
    """A log that nobody writes to. Offsets are those of the records, with whatever gaps."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.records: dict[tuple[str, int], list[LogRecord]] = {
            (topic, number): [] for topic in (DECISIONS, CHECKPOINTS) for number in range(partitions)
        }

    def copy(self) -> "FixedLog":
        other = FixedLog(self._partitions)
        other.records = {place: list(records) for place, records in self.records.items()}
        return other

    async def partitions(self, topic: str) -> int:
        self._stored(topic, 0)
        return self._partitions

    async def low_watermark(self, topic: str, partition: int) -> int:
        records = self._stored(topic, partition)
        return records[0].offset if records else 0

    async def high_watermark(self, topic: str, partition: int) -> int:
        records = self._stored(topic, partition)
        return max((record.offset for record in records), default=-1) + 1

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        found = [record for record in self._stored(topic, partition) if start <= record.offset < stop]
        for first in range(0, len(found), BATCH_RECORDS):
            yield found[first : first + BATCH_RECORDS]

    def follow(self, topic: str, starts: Mapping[int, int]) -> AsyncGenerator[LogRecord, None]:
        raise NotImplementedError("nothing comes")

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    def _stored(self, topic: str, partition: int) -> list[LogRecord]:
        try:
            return self.records[topic, partition]
        except KeyError:
            raise TopicMismatchError(f"topic {topic} has no partition {partition}") from None


def decision_record(partition: int, offset: int, value: bytes, *, headers: bool = False) -> LogRecord:
    """A record of the decisions; to who seals and who verifies, its value is bytes."""
    listed = (("trace", b"\x00\xff"),) if headers else ()
    return LogRecord(DECISIONS, partition, offset, b"here/dev", value, listed, 1_795_521_600_000 + offset)


def sealed_log(
    sizes: Mapping[int, list[int]], *, unsealed: int = 0, step: int = 1, keys: tuple[str, ...] = ("example",)
) -> FixedLog:
    """A log whose partitions have checkpoints at these sizes, by the sealer's own code.

    ``step`` leaves offsets out, as transactions do. The ``n``-th checkpoint is signed with the ``n``-th of ``keys``,
    and those after with the last.
    """
    log = FixedLog(max(sizes) + 1)
    for partition, cuts in sizes.items():
        count = (cuts[-1] if cuts else 0) + unsealed
        log.records[DECISIONS, partition] = [
            decision_record(partition, number * step, b'{"decision":%d}' % number, headers=number % 3 == 0)
            for number in range(count)
        ]
        seal(log, partition, cuts, keys=keys)
    return log


def seal(log: FixedLog, partition: int, sizes: list[int], *, keys: tuple[str, ...] = ("example",)) -> None:
    """Write the checkpoints of a partition anew, at these sizes."""
    decisions, tail, written = log.records[DECISIONS, partition], Tail(), []
    for number, size in enumerate(sizes):
        leaves = [
            Leaf(record_leaf(item.key, item.value, item.headers, item.timestamp_ms), item.offset, item.timestamp_ms)
            for item in decisions[tail.size : size]
        ]
        key = sealing_key(keys[min(number, len(keys) - 1)])
        checkpoint = tail.with_records(leaves).checkpoint(partition, key)
        tail = tail.with_records(leaves).after(Mark.of(checkpoint))
        written.append(checkpoint_record(partition, number, encode(checkpoint)))
    log.records[CHECKPOINTS, partition] = written


def checkpoint_record(partition: int, offset: int, value: bytes) -> LogRecord:
    return LogRecord(CHECKPOINTS, partition, offset, str(partition).encode(), value, (), 1)


def kept_lines(log: FixedLog, partition: int = 0) -> bytes:
    """The checkpoints of a partition as a sealer keeps them in a file."""
    return b"".join((record.value or b"") + b"\n" for record in log.records[CHECKPOINTS, partition])


async def seal_all(log: EventLog, every: int) -> None:
    """Seal all decisions of a log, so many with each checkpoint and the rest with the last."""
    for partition in range(await log.partitions(DECISIONS)):
        end = await log.high_watermark(DECISIONS, partition)
        records = [record async for record in log.read(DECISIONS, partition, 0, end)]
        made = FixedLog(partition + 1)
        made.records[DECISIONS, partition] = records
        seal(made, partition, [*range(every, len(records), every), *([len(records)] if records else [])])
        key = str(partition).encode()
        for checkpoint in made.records[CHECKPOINTS, partition]:
            await log.append(Append(CHECKPOINTS, key, checkpoint.value or b"", partition=partition))
