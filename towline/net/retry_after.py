"""How long an answer asks to wait before the next request."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(value: str | None, now: datetime, longest_seconds: float) -> float | None:
    """Return how long a ``Retry-After`` (RFC 9110: seconds or a date) asks to wait; None: it does not say.

    A server that asks for more than ``longest_seconds`` is taken to ask for that.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # A number of many digits is beyond the bound anyway, and its conversion is quadratic.
        return longest_seconds if len(text) > 9 else min(float(text), longest_seconds)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), longest_seconds)
