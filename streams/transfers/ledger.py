"""Every command about a target tag with its end, read from the topics: the newest ones, or one by its id."""

import heapq
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, cast

from schemas.catalogue import decode
from schemas.commands import TargetCommand
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome, Report
from streams.history import Recorded, recorded
from streams.log import ReadableLog
from streams.topics import COMMANDS, EVENTS
from streams.transfers.reports import Reported, Running
from streams.transfers.transfer import Ended, State, Transfer, ended_as, transfer_of
from towline.errors import MisuseError

_PREFIX: Final = re.compile(r"[a-f0-9]{1,64}")
#: How many ids a refusal repeats.
_NAMED_COUNT: Final = 5


class End(NamedTuple):
    """How a command ended, and where the log tells it. Small: there may be millions."""

    state: Ended
    #: Why it failed; ``superseded`` for one that was skipped for a later one.
    cause: str | None
    time: str
    partition: int
    offset: int
    #: When the log heard that it began; None when there was nothing to do, or nothing that could be done.
    started_at: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the target tag had the commanded digest at the end."""
        return self.cause is None


class Known(NamedTuple):
    """What the log tells of commands, by their ids: how those that ended did, and how far those are that run."""

    ends: Mapping[str, End]
    running: Running


class Entry(NamedTuple):
    """A command, its end when it has one, and until then the last report on it."""

    recorded: Recorded
    end: End | None
    running: Reported | None

    @property
    def id(self) -> str:
        """The id of the command."""
        return self.recorded.envelope.id

    @property
    def command(self) -> TargetCommand:
        """What is to be done."""
        return cast("TargetCommand", self.recorded.envelope.data)

    @property
    def state(self) -> State:
        """How far it is."""
        if self.end is not None:
            return self.end.state
        return "pending" if self.running is None else "running"

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands among all: by the time of the event that caused it, then as it was written."""
        return self.recorded.envelope.time, self.recorded.record.partition, self.recorded.record.offset


@dataclass(frozen=True, slots=True)
class Page:
    """The newest transfers, the newest first."""

    transfers: tuple[Transfer, ...]
    #: How many older ones there are.
    more: int


async def read_known(log: ReadableLog) -> Known:
    """Return how commands about target tags ended, and how far the others are.

    Of an end that a crash repeated the first counts; what is told of a command after its end counts for nothing.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    ends: dict[str, End] = {}
    running = Running()
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition):
            data = item.envelope.data
            if not isinstance(data, Report) or data.command_id in ends:
                continue
            if isinstance(data, Outcome):
                ends[data.command_id] = _end(item, data, running.end(data.command_id))
            else:
                running.take(cast("Envelope[Report]", item.envelope))
    return Known(ends, running)


async def entries(log: ReadableLog, known: Known) -> AsyncIterator[Entry]:
    """Yield each command about a target tag once by id, in the order of its partition.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    for partition in range(await log.partitions(COMMANDS)):
        seen: set[str] = set()  # A command has one target, and a target one partition.
        async for item in recorded(log, COMMANDS, partition):
            id_ = item.envelope.id
            if isinstance(item.envelope.data, TargetCommand) and id_ not in seen:
                seen.add(id_)
                yield Entry(item, known.ends.get(id_), known.running.get(id_))


async def newest(log: ReadableLog, is_wanted: Callable[[Entry], bool], limit: int) -> Page:
    """Return the newest transfers that are wanted, up to ``limit`` of them.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    kept: list[tuple[tuple[str, int, int], Entry]] = []
    count = 0
    async for entry in entries(log, await read_known(log)):
        if not is_wanted(entry):
            continue
        count += 1
        heapq.heappush(kept, (entry.place, entry))
        if len(kept) > limit:
            heapq.heappop(kept)
    found = [await read_transfer(log, entry) for _, entry in sorted(kept, reverse=True)]
    return Page(tuple(found), count - len(found))


async def find(log: ReadableLog, prefix: str) -> Entry:
    """Return the transfer whose command's id begins with ``prefix``.

    Raises:
        MisuseError: none does, or several do, or it cannot be the beginning of an id.
        LogUnavailableError: the log cannot be reached.
    """
    require_prefix(prefix)
    found = [entry async for entry in entries(log, await read_known(log)) if entry.id.startswith(prefix)]
    return only(prefix, found)


def require_prefix(prefix: str) -> None:
    """Make sure that ids can begin so.

    Raises:
        MisuseError: none can.
    """
    if not _PREFIX.fullmatch(prefix):
        raise MisuseError(f"{prefix!r} is no beginning of an id: one is of up to 64 hex digits")


def only(prefix: str, found: list[Entry]) -> Entry:
    """Return the one transfer that was found.

    Raises:
        MisuseError: there is none, or there are several.
    """
    if not found:
        raise MisuseError(f"no transfer has an id that begins with {prefix}: look at `towline transfers list`")
    if len(found) > 1:
        ids = ", ".join(entry.id for entry in found[:_NAMED_COUNT])
        raise MisuseError(f"{len(found)} transfers have ids that begin with {prefix} ({ids}...): give more of it")
    return found[0]


async def read_transfer(log: ReadableLog, entry: Entry) -> Transfer:
    """Return a transfer with what its end tells.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    command = cast("Envelope[TargetCommand]", entry.recorded.envelope)
    if entry.end is None:
        return transfer_of(command, None, entry.running)
    async with aclosing(log.read(EVENTS, entry.end.partition, entry.end.offset, entry.end.offset + 1)) as records:
        async for record in records:
            transfer = transfer_of(command, cast("Envelope[Outcome]", decode(record.value or b"")))
            return replace(transfer, started_at=entry.end.started_at)
    raise LookupError(f"{EVENTS}/{entry.end.partition}@{entry.end.offset} was there and is no more")


def _end(item: Recorded, outcome: Outcome, reported: Reported | None) -> End:
    cause = outcome.cause if isinstance(outcome, TransferFailed | RemovalFailed) else None
    if isinstance(outcome, TransferSkipped | RemovalSkipped) and outcome.superseded_by is not None:
        cause = "superseded"
    started_at = None if reported is None else reported.started_at
    return End(ended_as(outcome), cause, item.envelope.time, item.record.partition, item.record.offset, started_at)
