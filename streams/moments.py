"""Moments as people write them."""

from datetime import UTC, datetime
from typing import Final

from schemas.instants import Instant, format_instant
from towline.errors import MisuseError

_DATE_LENGTH: Final = len("2026-11-24")


def instant(text: str) -> Instant:
    """Return a date or a moment of ISO 8601, or ``now``, as an instant; a date is its beginning in UTC.

    Raises:
        MisuseError: it is neither, or a time without a time zone.
    """
    if text == "now":
        return format_instant(datetime.now(UTC))
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == _DATE_LENGTH:
            moment = moment.replace(tzinfo=UTC)
        return format_instant(moment)
    except (ValueError, OverflowError):
        raise MisuseError(
            f"{text!r} is no moment: write 2026-11-24, 2026-11-24T08:00Z, 2026-11-24T09:00+01:00 or now"
        ) from None
