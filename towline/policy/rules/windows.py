"""Windows: weekly times and fixed periods, in a named time zone.

A weekly window is ``[DAYS] [HH:MM-HH:MM]`` (``Mon-Fri 09:00-17:00``, ``Sat,Sun``, ``22:00-06:00``) or ``DAY HH:MM-DAY
HH:MM``; a period is ``FROM/TO`` with dates (both included) or local times (the end excluded).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from itertools import zip_longest
from typing import Final
from zoneinfo import ZoneInfo

import tzdata

#: The release of the IANA database that names are looked up in: a pinned dependency, never the machine's.
TZDATA: Final[str] = tzdata.IANA_VERSION

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00"
_WEEKLY: Final = re.compile(
    rf"(?P<days>{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*)?(?(days)(?: |$))(?:(?P<start>{_TIME})-(?P<end>{_TIME}))?"
)
_SPAN: Final = re.compile(rf"({_DAY}) ({_TIME})-({_DAY}) ({_TIME})")
_YEAR_FIRST: Final = 1970
_YEAR_LAST: Final = 9000
_MINUTES_A_DAY: Final = 24 * 60
_MINUTES_A_WEEK: Final = 7 * _MINUTES_A_DAY


@dataclass(frozen=True, slots=True)
class _Weekly:
    """Half-open intervals of minutes since Monday 00:00; an end may lie in the next week."""

    intervals: tuple[tuple[int, int], ...]

    def contains(self, moment: datetime) -> bool:
        seconds = moment.weekday() * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second
        return any(
            start * 60 <= seconds + shift < end * 60
            for start, end in self.intervals
            for shift in (0, _MINUTES_A_WEEK * 60)
        )

    def edges(self, moment: datetime) -> list[datetime]:
        monday = datetime(moment.year, moment.month, moment.day) - timedelta(days=moment.weekday())  # noqa: DTZ001 - local
        return [
            monday + timedelta(minutes=minute + week * _MINUTES_A_WEEK)
            for interval in self.intervals
            for minute in interval
            for week in (-1, 0, 1)
        ]


@dataclass(frozen=True, slots=True)
class _Period:
    start: datetime
    end: datetime

    def contains(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        ValueError: there is none of this name.
    """
    place = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    if ".." in name or not place.is_file():
        raise ValueError(f"there is no time zone {name!r}; write an IANA name such as Europe/Berlin")
    with place.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=4096)
def _window(text: str) -> _Weekly | _Period:
    if "/" in text:
        return _period(text)
    if span := _SPAN.fullmatch(text):
        start, end = _minute(span[1], span[2]), _minute(span[3], span[4])
        return _Weekly(((start, end if end > start else end + _MINUTES_A_WEEK),))
    weekly = _WEEKLY.fullmatch(text)
    if weekly is None or not text:
        raise ValueError(f"{text!r} is not a window, such as Mon-Fri 09:00-17:00, Sat,Sun or 2026-12-20/2027-01-02")
    first, last = weekly["start"] or "00:00", weekly["end"] or "24:00"
    intervals = []
    for day in _days(weekly["days"]):
        start, end = _minute(day, first), _minute(day, last)
        intervals.append((start, end if end > start else end + _MINUTES_A_DAY))
    return _Weekly(tuple(intervals))


def _period(text: str) -> _Period:
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
    except ValueError:
        raise ValueError(f"{text!r} is not a period, such as 2026-12-20/2027-01-02") from None
    if start.tzinfo is not None or end.tzinfo is not None:
        raise ValueError(f"{text!r}: write local times and name the zone in `timezone`")
    if start.year < _YEAR_FIRST or end.year > _YEAR_LAST:
        raise ValueError(f"{text!r} is outside of the years {_YEAR_FIRST} to {_YEAR_LAST}")
    if "T" not in text.split("/")[1]:
        end += timedelta(days=1)
    if start >= end:
        raise ValueError(f"{text!r} ends before it begins")
    return _Period(start, end)


def _days(text: str | None) -> list[str]:
    if text is None:
        return list(_DAYS)
    chosen: list[str] = []
    for item in text.split(","):
        first, _, last = item.partition("-")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        chosen += [_DAYS[(start + step) % 7] for step in range((end - start) % 7 + 1)]
    return list(dict.fromkeys(chosen))


def _minute(day: str, time: str) -> int:
    hour, minute = time.split(":")
    return _DAYS.index(day) * _MINUTES_A_DAY + int(hour) * 60 + int(minute)


def is_open(operator: str, values: tuple[str, ...], timezone: str, now: datetime) -> bool:
    """Tell whether a rule allows ``now`` (aware).

    Raises:
        ValueError: a window or the zone cannot be read.
    """
    local = now.astimezone(zone(timezone)).replace(tzinfo=None)
    return any(_window(value).contains(local) for value in values) == (operator == "inside")


def opens_at(operator: str, values: tuple[str, ...], timezone: str, now: datetime) -> datetime | None:
    """Return the first moment after ``now`` at which the rule allows it again, in UTC; None when there is none.

    Raises:
        ValueError: a window or the zone cannot be read.
    """
    place = zone(timezone)
    windows = [_window(value) for value in values]
    weekly = [window for window in windows if isinstance(window, _Weekly)]
    if operator == "outside" and _covers_the_week(weekly):
        return None
    local = now.astimezone(place).replace(tzinfo=None)
    periods = {edge for window in windows if isinstance(window, _Period) for edge in (window.start, window.end)}
    # Between two edges of periods the same weeks repeat, so that the first after each edge tells them all.
    anchors = [local, *sorted(edge for edge in periods if edge > local)]
    for anchor, later in zip_longest(anchors, anchors[1:]):
        edges = {edge for window in weekly for edge in window.edges(anchor) if later is None or edge < later}
        edges |= set() if later is None else {later}
        moments = sorted(moment for edge in edges for moment in _moments(edge, place) if moment > now)
        found = next((moment for moment in moments if is_open(operator, values, timezone, moment)), None)
        if found is not None:
            return found
    return None


def _covers_the_week(weekly: list[_Weekly]) -> bool:
    intervals = [interval for window in weekly for interval in window.intervals]
    # What began last week may last into this one.
    before = [(start - _MINUTES_A_WEEK, end - _MINUTES_A_WEEK) for start, end in intervals]
    reached = 0
    for start, end in sorted([*before, *intervals]):
        if start > reached:
            return False
        reached = max(reached, end)
    return reached >= _MINUTES_A_WEEK


def _moments(edge: datetime, place: ZoneInfo) -> list[datetime]:
    """Return the moments at which clocks show a local time: two when they are set back over it.

    When they are set forward over it, it is not shown; then all minutes of the hour that they skip are returned.
    """
    first, second = (edge.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return [first, second]
    return [second + timedelta(minutes=minute) for minute in range((first - second) // timedelta(minutes=1) + 1)]


def window_problem(value: str, timezone: str) -> str | None:
    """Return what is wrong with a window or its zone, or None."""
    try:
        zone(timezone)
        _window(value)
    except ValueError as error:
        return str(error)
    return None
