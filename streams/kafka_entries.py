"""Keyed entries as whole batches of Kafka, for a topic partition that one process writes to."""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from towline import limits
from towline.errors import LogError

Entry = tuple[bytes, bytes | None]
"""A key with its value from now on; None: a tombstone."""


def entry_batches(producer: AIOKafkaProducer, entries: Sequence[Entry]) -> list[BatchBuilder]:
    """Return batches that hold the entries in their order, each as large as the producer makes them.

    An entry that is larger than a batch has one of its own.

    Raises:
        LogError: one is larger than ``limits.record_bytes``.
    """
    batches = [producer.create_batch()]
    for key, value in entries:
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, [])
        if size > limits.record_bytes:
            raise LogError(f"an entry of {size} bytes exceeds the limit of {limits.record_bytes} bytes")
        if batches[-1].append(key=key, value=value, timestamp=None) is None:
            batches.append(producer.create_batch())
            batches[-1].append(key=key, value=value, timestamp=None)
    # Closed, a batch is sent at once instead of lingering for more.
    for batch in batches:
        batch.close()
    return batches
