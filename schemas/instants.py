"""Instants on the wire: RFC 3339, UTC, microseconds, always written the same way."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
_INSTANT: Final = re.compile(INSTANT_PATTERN, re.ASCII)


def _is_a_date(value: str) -> str:
    parse_instant(value)
    return value


Instant = Annotated[str, StringConstraints(pattern=INSTANT_PATTERN), AfterValidator(_is_a_date)]
"""A moment, such as ``2026-11-24T08:00:00.000000Z``; sorts as text."""


def format_instant(moment: datetime) -> str:
    """Return an aware ``moment`` as an :data:`Instant`.

    Raises:
        ValueError: ``moment`` is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone is ambiguous")
    # A fifth of what strftime takes, which a gateway would pay for each webhook.
    there = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{there.isoformat(timespec='microseconds')[:26]}Z"


@lru_cache(maxsize=1024)
def parse_instant(text: str) -> datetime:
    """Return an :data:`Instant` as an aware datetime in UTC.

    Raises:
        ValueError: the text is not an instant, or no such day exists.
    """
    if _INSTANT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an instant, such as 2026-11-24T08:00:00.000000Z")
    return datetime.fromisoformat(text)
