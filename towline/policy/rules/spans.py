"""Numbers, sizes, spans of time and moments, as rules write them. Integers only: a float could be another elsewhere."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

_SPAN: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?(us|ms|s|m|h|d|w)")
_MICROSECONDS: Final[Mapping[str, int]] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)")
_BYTES: Final[Mapping[str, int]] = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
#: A century: longer spans are mistakes, and a sum with a date must stay a date.
_LONGEST: Final = timedelta(days=36_525)

COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    ">=": lambda actual, value: actual >= value,
    ">": lambda actual, value: actual > value,
    "=": lambda actual, value: actual == value,
    "!=": lambda actual, value: actual != value,
    "<": lambda actual, value: actual < value,
    "<=": lambda actual, value: actual <= value,
}


def parse_span(text: str) -> timedelta:
    """Return a span such as ``1h30m`` or ``14d``.

    Raises:
        ValueError: it is none, or longer than a century.
    """
    parts = list(_SPAN.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError(f"{text!r} is not a span of time, such as 1h30m or 14d")
    total = sum(Fraction(f"{part[1]}.{part[2] or 0}") * _MICROSECONDS[part[3]] for part in parts)
    if total > _LONGEST // timedelta(microseconds=1):
        raise ValueError(f"{text!r} is longer than a century")
    return timedelta(microseconds=int(total))


def parse_size(text: str) -> int:
    """Return a size in bytes, such as ``500MB`` (powers of ten) or ``2GiB`` (powers of two).

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _BYTES:
        raise ValueError(f"{text!r} is not a size, such as 500MB or 2GiB")
    return int(match[1]) * _BYTES[match[2]]


def parse_moment(text: str) -> datetime:
    """Return a moment in UTC from RFC 3339.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z or an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is in UTC outside of the years 1 to 9999") from None
