"""The evaluator: folds the log, partition by partition, into decisions and commands."""

from agents.partition_state import PartitionState
from streams.deadletters import dead_letter
from streams.folding import fold
from streams.log import Append, LogRecord
from streams.topics import EVENTS
from towline.errors import UnusableInputError


class Evaluator:
    """The handler of ``towline.events``."""

    name = "evaluator"
    topic = EVENTS

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Stage what an event changes; return its decisions, commands and announcements."""
        try:
            folded = fold(state, record, self._partitions)
        except UnusableInputError as error:
            return [dead_letter(record, str(error))]
        for change in folded.changes:
            state.put(change.key, change.value)
        return [*folded.decisions, *folded.commands, *folded.events]

    async def opened(self, state: PartitionState) -> None:
        """Nothing is left over from before."""

    async def committed(self, state: PartitionState) -> None:
        """All effects were written before."""

    async def closed(self, partition: int) -> None:
        """Nothing runs on."""
