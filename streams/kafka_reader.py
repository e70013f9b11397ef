"""A reader of given partitions of one topic, without a group: positions are ours alone and never committed."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, errors
from aiokafka.structs import TopicPartition

from streams.kafka_errors import translated
from streams.kafka_options import consumer_options
from streams.log import LogRecord, Position, lost_tail, unreadable
from towline.settings import KafkaSettings

#: How long to wait for records before the position is looked at again.
_POLL_MS: Final = 200

#: Records taken at once: enough that the cost for each call does not count, few enough to let others run in between.
_BATCH_RECORDS: Final = 2000


class KafkaReader:
    """Reads ``topic`` from ``starts``, which has the first offset of each partition. Connects when entered."""

    def __init__(self, settings: KafkaSettings, topic: str, starts: Mapping[int, int]) -> None:
        self._topic = topic
        self._starts = starts
        self._consumer = AIOKafkaConsumer(**consumer_options(settings))
        #: Some of what is ahead cannot be read, and what stands before it is not to be lost with it.
        self._one_by_one = False

    async def __aenter__(self) -> Self:
        try:
            with translated(f"read {self._topic}"):
                await self._consumer.start()
            self._consumer.assign([self._tp(partition) for partition in self._starts])
            for partition, start in self._starts.items():
                self._consumer.seek(self._tp(partition), start)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Disconnect; a batch that is waited for fails. A second call does nothing."""
        stopping = asyncio.ensure_future(self._consumer.stop())
        await asyncio.wait([stopping])
        if stopping.cancelled():
            await self._finish_stop()
        else:
            stopping.result()

    async def _finish_stop(self) -> None:
        """Do what aiokafka leaves out when a fetch is waiting to be tried again.

        Its stop cancels that fetch and then takes the cancellation for its own, so that connections stay open.
        """
        leftover = list(self._consumer._fetcher._pending_tasks)
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
        await self._consumer._client.close()

    async def batch(self) -> list[LogRecord]:
        """Return the next records; none when there were none for a moment, or Kafka's own were passed over.

        Raises:
            LogError: a partition ends before our position, or has records whose checksum is wrong.
            LogUnavailableError: the reader was stopped.
        """
        with translated(f"read {self._topic}"):
            try:
                count = 1 if self._one_by_one else _BATCH_RECORDS
                found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=count)
            except errors.OffsetOutOfRangeError as error:
                await self._pass_over_removed(error.args[0])
                return []
            except errors.CorruptRecordException as error:
                await self._raise_unreadable(error)
                return []
        return [_record(raw) for records in found.values() for raw in records]

    async def position(self, partition: int) -> int:
        """Return the offset after all that was returned or passed over."""
        with translated(f"read {self._topic}"):
            return int(await self._consumer.position(self._tp(partition)))

    async def _pass_over_removed(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp, position in positions.items():
            low = (await self._consumer.beginning_offsets([tp]))[tp]
            if position >= low:
                raise lost_tail(tp.topic, tp.partition, position)
            self._consumer.seek(tp, low)

    async def _raise_unreadable(self, error: errors.CorruptRecordException) -> None:
        """Have what stands before the records with a wrong checksum read first, one by one; then raise."""
        if not self._one_by_one:
            self._one_by_one = True
            return
        # aiokafka names their partition in the text alone.
        (tp,) = (tp for tp in map(self._tp, self._starts) if str(tp) in str(error))
        raise unreadable(Position(tp.topic, tp.partition, await self._consumer.position(tp))) from error

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _record(raw: Any) -> LogRecord:
    headers = tuple((name, value or b"") for name, value in raw.headers) if raw.headers else ()
    return LogRecord(raw.topic, raw.partition, raw.offset, raw.key, raw.value, headers, raw.timestamp)
