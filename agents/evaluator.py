"""The evaluator: folds the log, partition by partition, into decisions and commands."""

from collections.abc import Collection

from agents.partition_state import PartitionState
from streams.deadletters import QUARANTINED, dead_letter
from streams.folding import fold
from streams.log import Append, LogRecord
from streams.metrics import Metrics
from streams.topics import EVENTS
from towline.errors import UnusableInputError


class Evaluator:
    """The handler of ``towline.events``."""

    name = "evaluator"
    topic = EVENTS

    def __init__(
        self, partitions: int, metrics: Metrics, quarantined: Collection[tuple[int, int]] = frozenset()
    ) -> None:
        self._partitions = partitions
        self._quarantined = quarantined
        self._metrics = metrics
        #: Partitions that are not being rebuilt: what is folded anew was counted when it was folded first.
        self._open: set[int] = set()

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:
        """Stage what an event changes; return its decisions, commands and announcements."""
        if (record.partition, record.offset) in self._quarantined:
            return [dead_letter(record, QUARANTINED)]
        try:
            folded = fold(state, record, self._partitions)
        except UnusableInputError as error:
            return [dead_letter(record, str(error))]
        for change in folded.changes:
            state.put(change.key, change.value)
        if record.partition in self._open:
            self._metrics.applied(record.partition, folded.event, folded.news)
        return [*folded.decisions, *folded.commands, *folded.events]

    async def opened(self, state: PartitionState) -> None:
        """Begin to count."""
        self._open.add(state.partition)

    async def committed(self, state: PartitionState) -> None:
        """All effects were written before."""

    async def closed(self, partition: int) -> None:
        """Tell nothing of it any more; nothing else runs on."""
        self._open.discard(partition)
        self._metrics.left(partition)
