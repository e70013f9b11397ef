"""Moments, as people write them on a command line."""

from datetime import UTC, date, datetime

from schemas.instants import format_instant
from towline.errors import MisuseError
from towline.policy.rules.spans import parse_moment


def moment(text: str) -> str:
    """Return a moment as an instant: ``now``, a date (its beginning in UTC), or a time with its zone.

    Raises:
        MisuseError: it is none.
    """
    if text == "now":
        return format_instant(datetime.now(UTC))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return format_instant(datetime(day.year, day.month, day.day, tzinfo=UTC))
    try:
        return format_instant(parse_moment(text))
    except ValueError:
        raise MisuseError(
            f"{text!r} is no moment: write 2026-11-24T14:00:00Z (with Z or an offset), 2026-11-24 or now"
        ) from None
