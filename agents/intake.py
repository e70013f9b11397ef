"""The intake: turns what producers wrote to ``towline.inbound`` into events."""

from agents.partition_state import PartitionState
from streams.arrival import arrived_at
from streams.deadletters import dead_letter
from streams.inbound import events_from_record
from streams.log import Append, LogRecord
from streams.routing import event_append
from streams.topics import INBOUND
from towline.errors import UnusableInputError


class Intake:
    """The handler of ``towline.inbound``."""

    name = "intake"
    topic = INBOUND

    async def handle(self, state: PartitionState, record: LogRecord) -> list[Append]:  # noqa: ARG002 - a Handler's
        """Return the events of a record, or its dead letter."""
        try:
            events = events_from_record(record, arrived_at(record))
        except UnusableInputError as error:
            return [dead_letter(record, str(error))]
        return [event_append(event) for event in events]

    async def opened(self, state: PartitionState) -> None:
        """Nothing is left over from before."""

    async def committed(self, state: PartitionState) -> None:
        """All effects were written before."""

    async def closed(self, partition: int) -> None:
        """Nothing runs on."""
