"""Slices of logs in memory, for tests."""

from pathlib import Path

from streams.log import LogRecord, ReadableLog
from streams.secrets.scanner import Scanner
from streams.slices.selection import Choice
from streams.slices.writer import Written, write_slice
from streams.topics import TOPICS


async def sliced(log: ReadableLog, path: Path, choice: Choice | None = None, scanner: Scanner | None = None) -> Written:
    """Write a slice of everything, or of what is chosen."""
    return await write_slice(log, path, choice or Choice(topics=tuple(TOPICS)), scanner or Scanner({}))


async def everything(log: ReadableLog, topics: tuple[str, ...] = tuple(TOPICS)) -> list[LogRecord]:
    """Return all records of some topics, in order."""
    return [
        record
        for topic in topics
        for partition in range(await log.partitions(topic))
        async for record in log.read(
            topic,
            partition,
            await log.low_watermark(topic, partition),
            await log.high_watermark(topic, partition),
        )
    ]
