"""``python -m bench.loop BOOTSTRAP PARTITIONS CHANGELOG``: the evaluator as someone would write it by hand.

One process on aiokafka: it takes records in batches, judges them, produces decisions, commands and a changelog of its
state, waits for the acknowledgements and commits. It has the evaluator's judgement, encodings and producer settings,
and its state survives a restart. It has none of the evaluator's guards: no journal, no checksum, no check for gaps,
no dead letters, no partitions that move to another worker.
"""

import asyncio
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.folding import fold
from streams.kafka_options import producer_options
from streams.log import LogRecord
from streams.topics import EVENTS
from towline.policy.state.values import Change
from towline.policy.step import MemoryState
from towline.settings import KafkaSettings

GROUP = "bench-loop"
BATCH_RECORDS = 2000


class Loop:
    """The loop's connections and the state of each partition."""

    def __init__(self, settings: KafkaSettings, changelog: str) -> None:
        self._partitions = settings.partitions
        self._changelog = changelog
        self._states = [MemoryState() for _ in range(settings.partitions)]
        self._producer = AIOKafkaProducer(**producer_options(settings))
        self._consumer = AIOKafkaConsumer(
            EVENTS,
            bootstrap_servers=settings.bootstrap,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with self._producer, self._consumer:
            while True:
                found = await self._consumer.getmany(timeout_ms=200, max_records=BATCH_RECORDS)
                sent = [
                    future for place, records in found.items() for future in await self._take(place.partition, records)
                ]
                if found:
                    await asyncio.gather(*sent)
                    await self._consumer.commit({place: records[-1].offset + 1 for place, records in found.items()})

    async def restore(self, bootstrap: str) -> None:
        """Read the changelog that an earlier process left."""
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        async with consumer:
            places = [TopicPartition(self._changelog, number) for number in range(self._partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            left = sum((await consumer.end_offsets(places)).values())
            while left > 0:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        value = None if record.value is None else orjson.loads(record.value)
                        self._states[place.partition].apply((Change(record.key.decode(), value),))
                    left -= len(records)

    async def _take(self, partition: int, records: Iterable[LogRecord]) -> list[asyncio.Future[object]]:
        state, changed, sent = self._states[partition], {}, []
        for raw in records:
            record = LogRecord(raw.topic, partition, raw.offset, raw.key, raw.value, (), 0)
            folded = fold(state, record, self._partitions)
            state.apply(folded.changes)
            changed |= {change.key: change.value for change in folded.changes}
            for append in (*folded.decisions, *folded.commands, *folded.events):
                sent.append(
                    await self._producer.send(append.topic, append.value, append.key, partition=append.partition)
                )
        for key, value in changed.items():
            content = None if value is None else orjson.dumps(value)
            sent.append(await self._producer.send(self._changelog, content, key.encode(), partition=partition))
        return sent


async def _main(bootstrap: str, partitions: int, changelog: str) -> None:
    loop = Loop(KafkaSettings(bootstrap=bootstrap, partitions=partitions), changelog)
    await loop.restore(bootstrap)
    work = asyncio.create_task(loop.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
