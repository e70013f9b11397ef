"""Moments as senders write them (RFC 3339, or seconds since 1970), turned into instants."""

import re
from datetime import UTC, datetime
from typing import Final

from schemas.instants import Instant, format_instant

#: RFC 3339, section 5.6. The fraction may have any number of digits: distribution writes nanoseconds.
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,30}))?(?:([Zz])|([+-]\d{2}:\d{2}))", re.ASCII
)


def instant_or_none(text: str) -> Instant | None:
    """Return an RFC 3339 date-time as an instant in UTC, cut to microseconds; None when it is not a moment.

    Not a moment is what has no zone, what no calendar has, the year 0 and a leap second: nobody can say when it was.
    No decision looks at these moments, so a sender's bad clock costs the moment and never the fact.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, _, offset = match.groups()
    moment = f"{day}T{clock}.{(fraction or '0')[:6]:0<6}"
    try:
        there = datetime.fromisoformat(f"{moment}{offset or '+00:00'}")
        # Of most senders it is in UTC and as it is to be written: what remains is whether a calendar has it.
        return format_instant(there) if offset else f"{moment}Z"
    except (ValueError, OverflowError):
        return None


def instant_of_seconds(seconds: float | None) -> Instant | None:
    """Return seconds since 1970, as some senders write moments, as an instant; None when no calendar has it."""
    if seconds is None:
        return None
    try:
        return format_instant(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None
