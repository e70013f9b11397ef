"""Failed transfers by what they failed for: how many there are, and how many were made again."""

from collections.abc import Callable
from dataclasses import dataclass

from streams.log import ReadableLog
from streams.transfers.ledger import Entry, entries, read_known
from streams.transfers.retries import read_retries


@dataclass(slots=True)
class FailedFor:
    """The transfers that failed for one cause."""

    cause: str
    #: When the first and the last of them failed, and the id of the last.
    first: str
    last: str
    example: str
    count: int = 0
    #: Those of them for which a retry was asked.
    retried: int = 0


async def read_causes(log: ReadableLog, is_wanted: Callable[[Entry], bool]) -> list[FailedFor]:
    """Return why transfers failed, the most frequent cause first.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    known, retries = await read_known(log), await read_retries(log)
    causes: dict[str, FailedFor] = {}
    async for entry in entries(log, known):
        if entry.end is None or entry.state != "failed" or not is_wanted(entry):
            continue
        name = entry.end.cause or ""
        found = causes.setdefault(name, FailedFor(name, entry.end.time, "", ""))
        found.count += 1
        found.retried += entry.id in retries.of
        found.first = min(found.first, entry.end.time)
        if entry.end.time >= found.last:
            found.last, found.example = entry.end.time, entry.id
    return sorted(causes.values(), key=lambda one: (-one.count, one.cause))
