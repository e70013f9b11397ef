"""Rows as the bytes of a file: JSON lines, and Parquet when pyarrow is there. Equal rows are equal bytes."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import orjson

from schemas.instants import parse_instant
from streams.export.columns import Column
from streams.export.rows import Row
from towline.errors import MisuseError

Format = Literal["jsonl", "parquet"]

Encoder = Callable[[Sequence[Column], Sequence[Row]], bytes]


def jsonl(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Return rows as JSON lines: bytes in base64, in members that are called ``NAME_base64``."""
    return b"".join(
        orjson.dumps(dict(_member(column, row[column.name]) for column in columns), option=orjson.OPT_APPEND_NEWLINE)
        for row in rows
    )


def _member(column: Column, value: Any) -> tuple[str, Any]:
    if column.kind == "bytes":
        return f"{column.name}_base64", _base64(value)
    if column.kind == "headers":
        return column.name, [{"name": name, "value_base64": _base64(content)} for name, content in value]
    return column.name, value


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode("ascii")


def parquet(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Return rows as a Parquet file."""
    arrow, writer = _pyarrow()
    types = _types(arrow)
    schema = arrow.schema([arrow.field(column.name, types[column.kind]) for column in columns])
    arrays = [
        arrow.array([_CELLS.get(column.kind, _as_it_is)(row[column.name]) for row in rows], types[column.kind])
        for column in columns
    ]
    sink = io.BytesIO()
    writer.write_table(arrow.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def check_available(formats: Sequence[Format]) -> None:
    """Check that files of these formats can be written.

    Raises:
        MisuseError: pyarrow is missing; the text says what to do.
    """
    if "parquet" in formats:
        _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        # Late, because it takes longer to import than everything else, and is there for exports alone.
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet as writer  # noqa: PLC0415
    except ImportError:
        raise MisuseError(
            "Parquet needs pyarrow: pip install 'towline[export]', or export with --format jsonl"
        ) from None
    return pyarrow, writer


def _types(arrow: Any) -> dict[str, Any]:
    text = arrow.string()
    rule = {
        **dict.fromkeys(("field", "name", "operator"), text),
        "values": arrow.list_(text),
        **dict.fromkeys(("actual", "result", "detail"), text),
        "events": arrow.list_(text),
    }
    return {
        "text": text,
        "int": arrow.int64(),
        "time": arrow.timestamp("us", tz="UTC"),
        "bytes": arrow.binary(),
        "headers": arrow.list_(arrow.struct({"name": text, "value": arrow.binary()})),
        "rules": arrow.list_(arrow.struct(rule)),
    }


def _as_it_is(value: Any) -> Any:
    return value


_CELLS: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "time": lambda value: None if value is None else parse_instant(value),
        "headers": lambda value: [{"name": name, "value": content} for name, content in value],
    }
)

ENCODERS: Final[Mapping[Format, Encoder]] = MappingProxyType({"jsonl": jsonl, "parquet": parquet})
"""How the files of each format, which have its name as their suffix, are made."""
