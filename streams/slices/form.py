"""The format of a slice: JSON lines; docs/slices.md has it for people.

A header, a line for each record, a line about the secrets that were looked for, and an end with the SHA-256 of all
bytes before it. Keys, values and headers are text where their bytes are UTF-8, and base64 elsewhere: both give back the
very bytes that the log holds.
"""

import base64
import binascii
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import Field, StringConstraints, ValidationError

from schemas.catalogue import describe
from schemas.instants import Instant
from schemas.references import Count, Frozen
from streams.log import LogRecord
from streams.secrets.scanner import Scanner
from streams.secrets.shapes import SHAPES
from towline.settings import Place

VERSION: Final = 1

_BASE64: Final = "base64"

#: What a number of Kafka's can be.
_INT64: Final = range(-(2**63), 2**63)


class Range(Frozen):
    """The offsets of a partition that a slice has: from ``first`` to before ``end``."""

    first: Count
    end: Count


class Chosen(Frozen):
    """What was asked for."""

    since: Instant | None = None
    until: Instant | None = None
    #: Of whose partitions it is; none: of all.
    repositories: tuple[str, ...] = ()


class Header(Frozen):
    """The first line of a slice."""

    slice: Literal[1]
    #: The version that made it, and when.
    towline: str
    made_at: Instant
    chosen: Chosen
    #: Events that the evaluators set aside (``worker.quarantine``): replay has to leave them out.
    quarantine: tuple[Place, ...] = ()
    #: For each topic its partitions; None for one of which the slice has nothing.
    topics: dict[str, Annotated[tuple[Range | None, ...], Field(min_length=1)]]


class Scan(Frozen):
    """Which secrets every record was searched for; the line before the end."""

    #: Of how many credentials of the settings.
    credentials: Count
    #: The kinds of well-known secrets.
    kinds: tuple[str, ...]
    #: What was found, or not looked for, and let pass by whoever made the slice: KIND@PLACE.
    allowed: tuple[str, ...] = ()


def scan_by(scanner: Scanner) -> Scan:
    """Return what a scanner searches for."""
    return Scan(credentials=scanner.credentials, kinds=tuple(SHAPES), allowed=tuple(sorted(scanner.allowed)))


class End(Frozen):
    """The last line."""

    records: Count
    #: Of all bytes before this line.
    sha256: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]


class LineError(ValueError):
    """A line that is not what it must be. The text says why, and repeats nothing of the line."""


def header_line(header: Header) -> bytes:
    """Return the first line."""
    return _line(header.model_dump(mode="json"))


def scan_line(scan: Scan) -> bytes:
    """Return the line before the end."""
    return _line({"scanned": scan.model_dump(mode="json")})


def end_line(end: End) -> bytes:
    """Return the last line."""
    return _line({"end": end.model_dump(mode="json")})


def record_line(record: LogRecord) -> bytes:
    """Return the line of a record."""
    members = record._asdict()
    members["key"] = _told(record.key)
    members["value"] = _told(record.value)
    members["headers"] = [[name, _told(content)] for name, content in record.headers]
    return _line(members)


def read_header(line: bytes) -> Header:
    """Read the first line.

    Raises:
        LineError: it is none, or of a newer format.
    """
    members = _members(line)
    version = members.get("slice")
    if isinstance(version, int) and version > VERSION:
        raise LineError(f"format {version} is newer than {VERSION}, the newest known here: use a newer towline")
    if version != VERSION:
        raise LineError("this is no slice of the log: towline replay export makes them")
    return _checked(Header, members)


def read_line(line: bytes) -> LogRecord | Scan | End:
    """Read any other line.

    Raises:
        LineError: it is none of them.
    """
    members = _members(line)
    if "end" in members:
        return _checked(End, members["end"])
    if "scanned" in members:
        return _checked(Scan, members["scanned"])
    return _record(members)


def _record(members: dict[str, Any]) -> LogRecord:
    try:
        return LogRecord(
            topic=_a(str, members["topic"]),
            partition=_number(members["partition"]),
            offset=_number(members["offset"]),
            timestamp_ms=_number(members["timestamp_ms"]),
            key=_bytes(members["key"]),
            value=_bytes(members["value"]),
            headers=tuple((_a(str, name), _a(bytes, _bytes(content))) for name, content in members["headers"]),
        )
    except (KeyError, TypeError, ValueError):
        raise LineError("not the line of a record") from None


_T = TypeVar("_T")


def _a(kind: type[_T], value: Any) -> _T:
    if not isinstance(value, kind):
        raise TypeError(kind.__name__)
    return value


def _number(value: Any) -> int:
    if _a(int, value) not in _INT64 or isinstance(value, bool):
        raise ValueError("not a number of Kafka's")
    return int(value)


def _line(members: dict[str, Any]) -> bytes:
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


def _members(line: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise LineError("not JSON") from None
    if not isinstance(members, dict):
        raise LineError("not a JSON object")
    return members


_Model = TypeVar("_Model", bound=Frozen)


def _checked(model: type[_Model], members: Any) -> _Model:
    try:
        # Checked as JSON: there, a list is what a tuple is here.
        return model.model_validate_json(orjson.dumps(members))
    except ValidationError as error:
        raise LineError(describe(error)) from None


def _told(content: bytes | None) -> str | dict[str, str] | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {_BASE64: base64.b64encode(content).decode("ascii")}


def _bytes(told: Any) -> bytes | None:
    """Return what :func:`_told` told.

    Raises:
        TypeError, ValueError, KeyError: it is nothing of that.
    """
    if told is None:
        return None
    if isinstance(told, str):
        return told.encode()
    try:
        return base64.b64decode(told[_BASE64], validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
