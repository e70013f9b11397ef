"""Faust's consumer, handing over runs of records instead of single ones.

Faust spends some two hundred microseconds on every message between its consumer and the body of an agent: two tasks, a
lock, a queue, sensors, an acknowledgement. That is more than a decision costs. Here one message carries a run: records
of one partition in the order of their offsets. Faust counts, delivers and acknowledges it as one message, that of its
last record.

Only the topics of agents come in runs. Changelogs go to the recovery of Faust's tables as they are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.log import LogRecord
from streams.topics import TOPICS
from towline import limits


class RunMessage(ConsumerMessage):
    """A message of Faust that stands for a run of records."""

    __slots__ = ("records",)

    #: In the order of their offsets; never empty.
    records: tuple[LogRecord, ...]


class RunScheduler(DefaultSchedulingStrategy):
    """Cuts what one fetch brought into runs, in turn by topic and partition, so that no partition waits for another."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Yield runs of the agents' topics as lists, and the records of other topics one by one."""
        return super().iterate({tp: _runs(raw) if tp.topic in TOPICS else raw for tp, raw in records.items()})


class RunConsumer(driver.Consumer):
    """A consumer whose messages are what :class:`RunScheduler` yields.

    Faust commits only below the first offset that nobody acknowledged. Of a run it hears the last offset alone, but the
    shell acknowledges in the order of the partition: what was acknowledged last is the end of all that was.
    """

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, list):
            return super()._to_message(tp, record)
        last = record[-1]
        message = RunMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            None,
            None,
            b"",
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.records = tuple(_record(tp, raw) for raw in record)
        return message

    def _new_offset(self, tp: TP) -> int | None:
        acknowledged = self._acked[tp]
        if not acknowledged:
            return None
        last = max(acknowledged)
        acknowledged.clear()
        self._acked_index[tp].clear()
        return last + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Forget it: the offsets within a run are not missing, and the shell's guard finds those that are."""


class RunTransport(driver.Transport):
    """Faust's transport with that consumer."""

    Consumer = RunConsumer


def _runs(raw: list[Any]) -> list[list[Any]]:
    size = limits.batch_record_count
    return [raw[start : start + size] for start in range(0, len(raw), size)]


def _record(tp: TP, raw: Any) -> LogRecord:
    headers = tuple((name, value or b"") for name, value in raw.headers)
    return LogRecord(tp.topic, tp.partition, raw.offset, raw.key, raw.value, headers, raw.timestamp)
