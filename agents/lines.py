"""Deliveries that wait for their receiver, in a line of its own for each: for a turn, or for a moment to come.

A slow receiver so takes nothing from others, and what waits is a name and a moment: its body is in the table.
"""

import heapq
from dataclasses import dataclass, field

from towline import limits


@dataclass(frozen=True, order=True, slots=True)
class Waiting:
    """A delivery that waits."""

    #: From when on it may be attempted, in seconds since 1970.
    due: float
    #: Where its command is. Of those that are due at the same moment the older one comes first.
    offset: int
    partition: int
    command_id: str
    receiver: str


@dataclass(slots=True)
class _Line:
    waiting: list[Waiting] = field(default_factory=list)
    #: Those that have one of the receiver's turns, each with its partition.
    begun: dict[str, int] = field(default_factory=dict)
    #: The receiver asked to be left alone until then.
    closed_until: float = 0.0
    #: The last attempt failed.
    is_failing: bool = False

    def opens(self) -> float | None:
        """Return from when on the next of the line may begin; None: all turns are taken, or nobody waits."""
        if not self.waiting or len(self.begun) >= limits.requests_per_host_count:
            return None
        return max(self.waiting[0].due, self.closed_until)


class Lines:
    """The lines of all receivers."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def has_begun(self, receiver: str, command_id: str) -> bool:
        """Tell whether a delivery has a turn."""
        return command_id in self._line(receiver).begun

    def begin(self, waiting: Waiting, now: float) -> bool:
        """Take a turn at once, if there is one and nobody else waits for it; otherwise the delivery has to wait."""
        line = self._line(waiting.receiver)
        opens = line.opens()
        if len(line.begun) >= limits.requests_per_host_count or max(waiting.due, line.closed_until) > now:
            return False
        if opens is not None and opens <= now:
            return False
        line.begun[waiting.command_id] = waiting.partition
        return True

    def wait(self, waiting: Waiting) -> None:
        """Let a delivery wait."""
        heapq.heappush(self._line(waiting.receiver).waiting, waiting)

    def end(self, receiver: str, command_id: str) -> None:
        """Give a turn back."""
        self._line(receiver).begun.pop(command_id, None)

    def learn(self, receiver: str, *, failed: bool, closed_until: float = 0.0) -> None:
        """Remember how an attempt went, and until when the receiver asks to be left alone."""
        line = self._line(receiver)
        line.is_failing = failed
        line.closed_until = max(line.closed_until, closed_until)

    def is_failing(self, receiver: str) -> bool:
        """Tell whether the last attempt failed."""
        return self._line(receiver).is_failing

    def is_full(self, receiver: str) -> bool:
        """Tell whether so many wait that no more may."""
        return len(self._line(receiver).waiting) >= limits.waiting_delivery_count

    def admit(self, now: float) -> Waiting | None:
        """Return one whose turn it is now, which has it from then on; None: it is nobody's."""
        for line in self._lines.values():
            opens = line.opens()
            if opens is not None and opens <= now:
                waiting = heapq.heappop(line.waiting)
                line.begun[waiting.command_id] = waiting.partition
                return waiting
        return None

    def next_moment(self) -> float | None:
        """Return when the next turn begins; None: not before another one ends or another delivery comes."""
        return min((opens for line in self._lines.values() if (opens := line.opens()) is not None), default=None)

    def forget(self, partition: int) -> None:
        """Forget the deliveries of a partition."""
        for line in self._lines.values():
            line.waiting = [waiting for waiting in line.waiting if waiting.partition != partition]
            heapq.heapify(line.waiting)
            line.begun = {id_: home for id_, home in line.begun.items() if home != partition}

    def counts(self) -> dict[str, int]:
        """Return how many wait for each receiver."""
        return {name: len(line.waiting) for name, line in self._lines.items()}

    def _line(self, receiver: str) -> _Line:
        return self._lines.setdefault(receiver, _Line())
