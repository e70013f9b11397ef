"""Proofs that a decision was sealed, which whoever has the public key can check without a log."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.catalogue import UnreadableRecordError, decode
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from streams.history import recorded
from streams.log import LogRecord, Position, ReadableLog
from streams.topics import CHECKPOINTS, DECISIONS
from towline.audit.checkpoints import text_of
from towline.audit.leaves import record_leaf
from towline.audit.merkle import inclusion_proof, root_of
from towline.errors import LogError


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the decisions, and which one of its partition it is."""

    record: LogRecord
    index: int


async def find_decision(log: ReadableLog, named: str) -> Found | None:
    """Return the first record of a decision, named by its id or by its place, as :class:`Position` writes it."""
    wanted = named.encode()
    for partition in range(await log.partitions(DECISIONS)):
        index = 0
        async for batch in _batches(log, partition):
            for record in batch:
                is_there = named == str(Position(DECISIONS, partition, record.offset))
                if is_there or (wanted in (record.value or b"") and _id_of(record) == named):
                    return Found(record, index)
                index += 1
    return None


async def prove(log: ReadableLog, found: Found) -> dict[str, Any] | None:
    """Return the proof that a record was sealed; None when no checkpoint covers it yet.

    Raises:
        LogError: the records are not those that the checkpoint committed to.
    """
    partition = found.record.partition
    covering = await _covering(log, partition, found.index)
    if covering is None:
        return None
    value, checkpoint = covering
    leaves: list[bytes] = []
    async for batch in _batches(log, partition):
        leaves += [record_leaf(one.key, one.value, one.headers, one.timestamp_ms) for one in batch]
        if len(leaves) >= checkpoint.data.size:
            break
    leaves = leaves[: checkpoint.data.size]
    if root_of(leaves).hex() != checkpoint.data.root:
        raise LogError(
            f"{DECISIONS}/{partition} is not what checkpoint {checkpoint.data.number} committed to: towline audit "
            "verify finds the place"
        )
    return {
        "record": _told(found.record),
        "index": found.index,
        "leaf": leaves[found.index].hex(),
        "path": [node.hex() for node in inclusion_proof(leaves, found.index)],
        "checkpoint": orjson.loads(value),
        "checkpoint_text": text_of(checkpoint.data.model_dump(), checkpoint.time).decode(),
    }


async def _covering(log: ReadableLog, partition: int, index: int) -> tuple[bytes, Envelope[Checkpoint]] | None:
    async for item in recorded(log, CHECKPOINTS, partition):
        data, envelope = item.envelope.data, item.envelope
        if isinstance(data, Checkpoint) and data.partition == partition and data.size > index:
            checkpoint = Envelope(envelope.id, envelope.source, envelope.subject, envelope.time, data)
            return item.record.value or b"", checkpoint
    return None


async def _batches(log: ReadableLog, partition: int) -> AsyncIterator[list[LogRecord]]:
    start = await log.low_watermark(DECISIONS, partition)
    end = await log.high_watermark(DECISIONS, partition)
    async for batch in log.read_batches(DECISIONS, partition, start, end):
        yield batch


def _id_of(record: LogRecord) -> str | None:
    try:
        return decode(record.value or b"").id
    except UnreadableRecordError:
        return None


def _told(record: LogRecord) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key_base64": _text(record.key),
        "value_base64": _text(record.value),
        "headers": [[name, _text(content)] for name, content in record.headers],
    }


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
