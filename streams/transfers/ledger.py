"""Every command to copy an image with its end, read from the topics: the newest ones, or one by its id."""

import heapq
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from schemas.catalogue import decode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import TransferFailed, TransferSkipped
from schemas.outcomes import Outcome
from streams.history import Recorded, recorded
from streams.log import EventLog
from streams.topics import COMMANDS, EVENTS
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

    @property
    def is_success(self) -> bool:
        """Whether the target tag had the commanded digest at the end."""
        return self.cause is None


Ends = Mapping[str, End]
"""From the id of a command to its end."""


class Entry(NamedTuple):
    """A command, and its end when it has one."""

    recorded: Recorded
    end: End | None

    @property
    def id(self) -> str:
        """The id of the command."""
        return self.recorded.envelope.id

    @property
    def command(self) -> CopyImage:
        """What is to be copied."""
        return cast("CopyImage", self.recorded.envelope.data)

    @property
    def state(self) -> State:
        """How far it is."""
        return "pending" if self.end is None else self.end.state

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


async def read_ends(log: EventLog) -> Ends:
    """Return how commands to copy ended; of an end that a crash repeated the first counts.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    ends: dict[str, End] = {}
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition):
            if isinstance(item.envelope.data, Outcome):
                ends.setdefault(item.envelope.data.command_id, _end(item, item.envelope.data))
    return ends


async def entries(log: EventLog, ends: Ends) -> AsyncIterator[Entry]:
    """Yield each command to copy once by id, in the order of its partition.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    for partition in range(await log.partitions(COMMANDS)):
        seen: set[str] = set()  # A command has one target, and a target one partition.
        async for item in recorded(log, COMMANDS, partition):
            if isinstance(item.envelope.data, CopyImage) and item.envelope.id not in seen:
                seen.add(item.envelope.id)
                yield Entry(item, ends.get(item.envelope.id))


async def newest(log: EventLog, is_wanted: Callable[[Entry], bool], limit: int) -> Page:
    """Return the newest transfers that are wanted, up to ``limit`` of them.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    kept: list[tuple[tuple[str, int, int], Entry]] = []
    count = 0
    async for entry in entries(log, await read_ends(log)):
        if not is_wanted(entry):
            continue
        count += 1
        heapq.heappush(kept, (entry.place, entry))
        if len(kept) > limit:
            heapq.heappop(kept)
    found = [await read_transfer(log, entry) for _, entry in sorted(kept, reverse=True)]
    return Page(tuple(found), count - len(found))


async def find(log: EventLog, prefix: str) -> Entry:
    """Return the transfer whose command's id begins with ``prefix``.

    Raises:
        MisuseError: none does, or several do, or it cannot be the beginning of an id.
        LogUnavailableError: the log cannot be reached.
    """
    require_prefix(prefix)
    found = [entry async for entry in entries(log, await read_ends(log)) if entry.id.startswith(prefix)]
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


async def read_transfer(log: EventLog, entry: Entry) -> Transfer:
    """Return a transfer with what its end tells.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    command = cast("Envelope[CopyImage]", entry.recorded.envelope)
    if entry.end is None:
        return transfer_of(command, None)
    async with aclosing(log.read(EVENTS, entry.end.partition, entry.end.offset, entry.end.offset + 1)) as records:
        async for record in records:
            return transfer_of(command, cast("Envelope[Outcome]", decode(record.value or b"")))
    raise LookupError(f"{EVENTS}/{entry.end.partition}@{entry.end.offset} was there and is no more")


def _end(item: Recorded, outcome: Outcome) -> End:
    cause = outcome.cause if isinstance(outcome, TransferFailed) else None
    if isinstance(outcome, TransferSkipped) and outcome.superseded_by is not None:
        cause = "superseded"
    return End(ended_as(outcome), cause, item.envelope.time, item.record.partition, item.record.offset)
