"""What a table that was lost, or is being rebuilt, does not know: which commands had ended. The log does."""

from functools import partial

from agents.outcomes import end_id, ends_since
from agents.retry import retrying
from schemas.references import Frozen
from streams.log import EventLog
from streams.topics import COMMANDS


class EndedBefore:
    """Which commands had ended before a partition was taken over, while its table cannot tell."""

    def __init__(self, log: EventLog, ends: tuple[type[Frozen], ...]) -> None:
        self._log = log
        self._ends = ends
        #: For each open partition, the offset from which on no command can have been carried out before.
        self._certain_from: dict[int, int] = {}
        #: Ids of ends, by partition of the commands and of the log; only while that is not certain.
        self._found: dict[tuple[int, int], frozenset[str]] = {}

    async def open(self, partition: int, *, knows_nothing: bool) -> None:
        """Begin with a partition; ``knows_nothing`` says that its table is empty."""
        end = await retrying(partial(self._log.high_watermark, COMMANDS, partition)) if knows_nothing else 0
        self._certain_from[partition] = end

    def is_open(self, partition: int) -> bool:
        """Tell whether a partition was begun with."""
        return partition in self._certain_from

    async def has(self, partition: int, offset: int, home: int, command_id: str) -> bool:
        """Tell whether a command, which the table does not know, has its end in partition ``home`` of the log."""
        certain_from = self._certain_from.get(partition)
        if certain_from is not None and offset >= certain_from:
            return False
        place = (partition, home)
        if place not in self._found:
            self._found[place] = frozenset(await retrying(partial(ends_since, self._log, home, self._ends)))
        return end_id(command_id) in self._found[place]

    def passed(self, partition: int, applied: int) -> None:
        """Forget what is not needed any more now that the table has applied so much."""
        if applied + 1 >= self._certain_from[partition]:
            self._forget(partition)

    def close(self, partition: int) -> None:
        """End with a partition."""
        self._certain_from.pop(partition, None)
        self._forget(partition)

    def _forget(self, partition: int) -> None:
        for place in [place for place in self._found if place[0] == partition]:
            del self._found[place]
