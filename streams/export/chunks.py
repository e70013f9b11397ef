"""Cutting a partition into chunks: the same records are the same chunks, whenever an export was interrupted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from streams.log import LogRecord, ReadableLog
from towline import limits


@dataclass(slots=True)
class Chunk:
    """Records that are exported at once, and the offset that the export has reached with them."""

    records: list[LogRecord] = field(default_factory=list)
    end: int = 0


async def chunks(log: ReadableLog, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Chunk]:
    """Yield the records from ``start`` to before ``end``; the last chunk ends there, even when it has none."""
    chunk, size = Chunk(), 0
    async for record in log.read(topic, partition, start, end):
        chunk.records.append(record)
        size += len(record.value or b"")
        if len(chunk.records) == limits.export_chunk_records or size >= limits.export_chunk_bytes:
            chunk.end = record.offset + 1
            yield chunk
            chunk, size = Chunk(), 0
    chunk.end = end
    yield chunk
