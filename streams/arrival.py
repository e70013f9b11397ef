"""When a record arrived, by the record itself.

Whatever is derived from a record takes this time and not the clock's, so that deriving it again after a crash gives the
same bytes.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.instants import Instant, format_instant, parse_instant
from streams.log import LogRecord

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_MS: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_MAX_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def arrived_at(record: LogRecord) -> Instant:
    """Return the record's timestamp as an instant.

    Producers may write any 64-bit number there; those outside of the years 1 to 9999 become the nearest moment inside.
    """
    return format_instant(_EPOCH + timedelta(milliseconds=max(_MIN_MS, min(_MAX_MS, record.timestamp_ms))))


def record_timestamp_ms(arrived: Instant) -> int:
    """Return the timestamp with which a record arrives at an instant, in milliseconds since 1970."""
    return (parse_instant(arrived) - _EPOCH) // timedelta(milliseconds=1)
