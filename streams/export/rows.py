"""A record as a row: no record is left out, one that cannot be read has its bytes and the reason."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from schemas.catalogue import UnreadableRecordError, decode, type_of
from schemas.deadletters import DeadLetter
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferCompleted, TransferFailed, TransferSkipped
from schemas.references import Frozen, Reference
from streams.export.columns import COLUMNS, PLACE, RECORD
from streams.log import LogRecord
from streams.slices.selection import recorded_time

Row = dict[str, Any]

_OUTCOMES: Final[Mapping[type[Frozen], str]] = {
    TransferCompleted: "completed",
    TagRemoved: "completed",
    TransferSkipped: "skipped",
    RemovalSkipped: "skipped",
    TransferFailed: "failed",
    RemovalFailed: "failed",
}


def row_of(record: LogRecord) -> Row:
    """Return the row of a record of any topic that has a table."""
    row: Row = {column.name: None for column in COLUMNS[record.topic]}
    row |= {
        "partition": record.partition,
        "offset": record.offset,
        "time": recorded_time(record),
        "timestamp_ms": record.timestamp_ms,
        "key": record.key,
        "headers": list(record.headers),
        "value": record.value,
    }
    try:
        envelope = decode(record.value or b"")
    except UnreadableRecordError as error:
        return row | {"problem": str(error)}
    found = _members(envelope) | _image(envelope.data)
    return row | {name: value for name, value in found.items() if name in row} | _written(record.value or b"")


#: What a record says of itself, and its data could have under the same name.
_ABOUT_THE_RECORD: Final = frozenset(column.name for column in (*PLACE, *RECORD))


def _written(value: bytes) -> Row:
    """Return what stands in the record itself: an older version of a type is told as that."""
    members = orjson.loads(value)
    return {"version": members["version"], "data": orjson.dumps(members["data"]).decode()}


def _members(envelope: Envelope[Frozen]) -> Row:
    data = envelope.data
    # Every member that a table has a column for, under its own name.
    row: Row = {name: _plain(value) for name, value in data if name not in _ABOUT_THE_RECORD}
    if isinstance(data, DeadLetter):
        row |= {"input_topic": data.topic, "input_partition": data.partition, "input_offset": data.offset}
    if hasattr(data, "cause") and hasattr(data, "detail"):
        row["reason"] = f"{data.cause}: {data.detail}"
    if hasattr(data, "rules"):
        row["rules"] = [rule.model_dump(mode="json") for rule in data.rules]
    return row | {
        "type": type_of(data),
        "id": envelope.id,
        "source": envelope.source,
        "subject": envelope.subject,
        "outcome": _OUTCOMES.get(type(data)),
    }


def _image(data: Frozen) -> Row:
    """Return what image it is about, where from and where to."""
    row: Row = {}
    source, target = getattr(data, "source", None), getattr(data, "target", None)
    if isinstance(source, Reference):
        row |= {"repository": str(source.repository), "tag": source.tag}
    if isinstance(target, Reference):
        row |= {"target": str(target), "target_repository": str(target.repository), "target_tag": target.tag}
    return row


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int) else str(value)
