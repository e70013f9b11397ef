"""Loading a slice into an empty log, where every record gets the offset and the time that it had."""

from collections.abc import AsyncIterator

from streams.log import Append, EventLog, LogRecord, Position
from streams.slices.index import Progress
from streams.slices.reader import SliceLog
from streams.topics import TOPICS
from towline import limits
from towline.errors import LogError, MisuseError


async def load_slice(
    log: EventLog,
    given: SliceLog,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> int:
    """Write a slice to a log of which every topic is empty; return the number of records.

    Raises:
        MisuseError: the log is not empty or has other numbers of partitions, or the slice cannot be loaded. Nothing was
            written.
        LogError: somebody else writes to the log, so that records got other offsets.
        LogUnavailableError: the log cannot be reached.
    """
    await _check_empty(log, given)
    total = await _check_loadable(given)
    done = 0
    async for batch in _batches(given):
        appends = [
            Append(item.topic, item.key, item.value or b"", item.partition, item.headers, item.timestamp_ms)
            for item in batch
        ]
        places = await log.append_all(appends)
        for record, place in zip(batch, places, strict=True):
            if place != (expected := Position(record.topic, record.partition, record.offset)):
                raise LogError(f"the record of {expected} was written to {place}: somebody else writes to this log")
        done += len(batch)
        progress(done, total)
    return done


async def _check_empty(log: EventLog, given: SliceLog) -> None:
    # Whoever wrote the file names the topics; others of the broker are none of its business.
    if foreign := given.header.topics.keys() - TOPICS.keys():
        raise MisuseError(
            f"the slice has {', '.join(sorted(foreign))}, which is no topic of the log: nothing is loaded"
        )
    for topic in TOPICS:
        count = await log.partitions(topic)
        if topic in given.header.topics and (wanted := await given.partitions(topic)) != count:
            raise MisuseError(
                f"{topic} has {count} partitions here and {wanted} in the slice: create the topics of a log of its own "
                f"with kafka.partitions: {wanted}"
            )
        for partition in range(count):
            if await log.high_watermark(topic, partition):
                raise MisuseError(
                    f"{topic} is not empty: a slice is loaded into a log of its own, or read with --slice"
                )


async def _check_loadable(given: SliceLog) -> int:
    total = 0
    for topic, ranges in given.header.topics.items():
        for partition, kept in enumerate(ranges):
            offsets = given.offsets(topic, partition)
            if kept is not None and (kept.first or len(offsets) != kept.end):
                raise MisuseError(
                    f"the slice does not have every offset of {topic} partition {partition} from 0 on, so that records "
                    "would get others: read it with --slice"
                )
            total += len(offsets)
    async for batch in _batches(given):
        for record in batch:
            if record.value is None:
                place = Position(record.topic, record.partition, record.offset)
                raise MisuseError(f"{place} is a tombstone of another producer, which is not loaded: use --slice")
    return total


async def _batches(given: SliceLog) -> AsyncIterator[list[LogRecord]]:
    """Yield the records in lists that are acknowledged in time, however large they are."""
    for topic, ranges in given.header.topics.items():
        for partition, kept in enumerate(ranges):
            if kept is None:
                continue
            batch, size = list[LogRecord](), 0
            async for record in given.read(topic, partition, kept.first, kept.end):
                batch.append(record)
                size += len(record.value or b"")
                if len(batch) == _BATCH_RECORDS or size >= limits.record_bytes:
                    yield batch
                    batch, size = [], 0
            if batch:
                yield batch


_BATCH_RECORDS = 500
