"""Reading topics as records of the catalogue, from the beginning to where they end now."""

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass

from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.references import Frozen, Repository
from streams.log import LogRecord, Position, ReadableLog
from streams.topics import partition_for, repository_key


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of the catalogue, and where it stands."""

    record: LogRecord
    envelope: Envelope[Frozen]

    @property
    def position(self) -> str:
        """Where it stands, as people write it."""
        return str(Position(self.record.topic, self.record.partition, self.record.offset))


async def recorded(
    log: ReadableLog, topic: str, partition: int, containing: Collection[bytes] = ()
) -> AsyncIterator[Recorded]:
    """Yield what a partition holds now. Records that are none of ours are passed over: dead letters tell of them.

    ``containing``: only records with one of these texts in their bytes, canonical as ours are; all when there is none.
    To look for a text takes a hundredth of what reading a record takes.
    """
    start = await log.low_watermark(topic, partition)
    end = await log.high_watermark(topic, partition)
    async for record in log.read(topic, partition, start, end):
        value = record.value or b""
        if containing and not any(text in value for text in containing):
            continue
        try:
            yield Recorded(record, decode(value))
        except UnreadableRecordError:
            continue


async def recorded_of(log: ReadableLog, topic: str, repositories: Iterable[Repository]) -> AsyncIterator[Recorded]:
    """Yield what the partitions of some repositories hold now, each partition once."""
    count = await log.partitions(topic)
    for partition in sorted({partition_for(repository_key(repository), count) for repository in repositories}):
        async for item in recorded(log, topic, partition):
            yield item
