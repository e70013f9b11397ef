"""Proofs that whoever has the public key can check without a log.

They show that a decision was sealed, or that one checkpoint goes on from another.
"""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.catalogue import UnreadableRecordError, decode
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from streams.history import Recorded, recorded
from streams.log import LogRecord, Position, ReadableLog
from streams.topics import CHECKPOINTS, DECISIONS
from towline.audit.checkpoints import text_of
from towline.audit.leaves import record_leaf
from towline.audit.merkle import consistency_proof, inclusion_proof, root_of
from towline.errors import LogError, MisuseError


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


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint of the log, and its bytes there."""

    value: bytes
    envelope: Envelope[Checkpoint]

    @property
    def data(self) -> Checkpoint:
        """What it commits to."""
        return self.envelope.data


async def prove(log: ReadableLog, found: Found) -> dict[str, Any] | None:
    """Return the proof that a record was sealed; None when no checkpoint covers it yet.

    Raises:
        LogError: the records are not those that the checkpoint committed to.
    """
    partition = found.record.partition
    covering = await _first(log, partition, lambda _, data: data.size > found.index)
    if covering is None:
        return None
    leaves = await _leaves(log, partition, covering.data.size)
    _insist(leaves, covering)
    return {
        "record": _told(found.record),
        "index": found.index,
        "leaf": leaves[found.index].hex(),
        "path": [node.hex() for node in inclusion_proof(leaves, found.index)],
        **_attached(covering),
    }


async def find_checkpoint(log: ReadableLog, named: str, partition: int | None = None) -> Sealed | None:
    """Return the first checkpoint of this name: its number, when the partition is given; its place or its id."""
    partitions = [one for one in range(await log.partitions(CHECKPOINTS)) if partition in (None, one)]

    def is_named(item: Recorded, data: Checkpoint) -> bool:
        return named in (item.position, item.envelope.id, None if partition is None else str(data.number))

    for one in partitions:
        if (found := await _first(log, one, is_named)) is not None:
            return found
    return None


async def prove_between(log: ReadableLog, first: Sealed, second: Sealed) -> dict[str, Any]:
    """Return the proof that the records of the first checkpoint are the first of those of the second.

    Raises:
        MisuseError: no checkpoint of these two can go on from the other in this order.
        LogError: the records are not those that the checkpoints committed to.
    """
    if first.data.partition != second.data.partition:
        raise MisuseError(
            f"these checkpoints are of partitions {first.data.partition} and {second.data.partition}: each has its own"
        )
    if first.data.size > second.data.size:
        raise MisuseError(
            f"the first checkpoint covers {first.data.size} records and the second {second.data.size}: name the older "
            "one first"
        )
    leaves = await _leaves(log, second.data.partition, second.data.size)
    _insist(leaves, first)
    _insist(leaves, second)
    return {
        "first": _attached(first),
        "second": _attached(second),
        "path": [node.hex() for node in consistency_proof(leaves, first.data.size)],
    }


async def _first(log: ReadableLog, partition: int, is_wanted: Callable[[Recorded, Checkpoint], bool]) -> Sealed | None:
    async for item in recorded(log, CHECKPOINTS, partition):
        data, envelope = item.envelope.data, item.envelope
        if isinstance(data, Checkpoint) and data.partition == partition and is_wanted(item, data):
            checkpoint = Envelope(envelope.id, envelope.source, envelope.subject, envelope.time, data)
            return Sealed(item.record.value or b"", checkpoint)
    return None


async def _leaves(log: ReadableLog, partition: int, count: int) -> list[bytes]:
    leaves: list[bytes] = []
    async for batch in _batches(log, partition):
        leaves += [record_leaf(one.key, one.value, one.headers, one.timestamp_ms) for one in batch]
        if len(leaves) >= count:
            break
    return leaves[:count]


def _insist(leaves: list[bytes], sealed: Sealed) -> None:
    if root_of(leaves[: sealed.data.size]).hex() != sealed.data.root:
        raise LogError(
            f"{DECISIONS}/{sealed.data.partition} is not what checkpoint {sealed.data.number} committed to: towline "
            "audit verify finds the place"
        )


def _attached(sealed: Sealed) -> dict[str, Any]:
    return {
        "checkpoint": orjson.loads(sealed.value),
        "checkpoint_text": text_of(sealed.data.model_dump(), sealed.envelope.time).decode(),
    }


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
