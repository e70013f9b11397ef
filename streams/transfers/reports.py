"""What the log was told of copies under way: since when they run, how far they are, and how fast they go."""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.envelope import Envelope
from schemas.events import TransferProgressed, TransferStarted
from schemas.instants import parse_instant
from schemas.outcomes import Report


class Reported(NamedTuple):
    """The last report on a copy."""

    #: When it began first, and when the last report was made.
    started_at: str
    time: str
    bytes_copied: int = 0
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_skipped: int = 0
    #: What there is in all, as far as that is known; bytes without those of blobs that needed no copying.
    blobs: int | None = None
    bytes: int | None = None
    #: Between the last two reports; None after the first.
    bytes_per_second: float | None = None

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1: of the bytes, or of the blobs when no bytes are to be copied."""
        if self.bytes:
            return min(self.bytes_copied / self.bytes, 1.0)
        if self.blobs:
            return min((self.blobs_copied + self.blobs_mounted + self.blobs_skipped) / self.blobs, 1.0)
        return None


@dataclass(slots=True)
class Running:
    """The copies under way, by the ids of their commands. As many are remembered as run, whatever the log holds."""

    _reported: dict[str, Reported] = field(default_factory=dict)

    def get(self, command_id: str) -> Reported | None:
        """Return the last report on a copy that began and has not ended."""
        return self._reported.get(command_id)

    def take(self, event: Envelope[Report]) -> None:
        """Take in the next report. One whose id was there already is newer: a crash made the copy begin anew."""
        data, before = event.data, self._reported.get(event.data.command_id)
        if isinstance(data, TransferStarted):
            started_at = event.time if before is None else before.started_at
            self._reported[data.command_id] = Reported(started_at, event.time, blobs=data.blobs, bytes=data.bytes)
        elif isinstance(data, TransferProgressed):
            self._reported[data.command_id] = _progressed(data, event.time, before or Reported(event.time, event.time))

    def end(self, command_id: str) -> Reported | None:
        """Forget a copy that ended; return the last report on it."""
        return self._reported.pop(command_id, None)


def _progressed(data: TransferProgressed, time: str, before: Reported) -> Reported:
    seconds = (parse_instant(time) - parse_instant(before.time)).total_seconds()
    moved = data.bytes_copied - before.bytes_copied
    return Reported(
        before.started_at,
        time,
        data.bytes_copied,
        data.blobs_copied,
        data.blobs_mounted,
        data.blobs_skipped,
        data.blobs,
        data.bytes,
        moved / seconds if seconds > 0 and moved >= 0 else None,
    )
