"""Where a partition begins and ends, on Apache Kafka and on the embedded broker.

ListOffsets gives the end on Apache Kafka, but only the offset after the first record of the last batch on the embedded
broker. The high watermark of a fetch response is right on both: a fetch at what ListOffsets said is always within the
log, and carries at most the last batch.
"""

import asyncio
from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

_EARLIEST: Final = -2
_LATEST: Final = -1
_READ_UNCOMMITTED: Final = 0
_NO_REPLICA: Final = -1
#: A fetch that may not wait gets no answer at all from the embedded broker.
_WAIT_MS: Final = 10
_BACKOFF_SECONDS: Final = 0.1
_ATTEMPTS: Final = 50


async def low_watermark(client: AIOKafkaClient, topic: str, partition: int) -> int:
    """Return the first offset kept.

    Raises:
        KafkaError: the last of the attempts failed, or the broker refused.
    """
    return await _listed(client, topic, partition, _EARLIEST)


async def high_watermark(client: AIOKafkaClient, topic: str, partition: int) -> int:
    """Return the offset after the last record.

    Raises:
        KafkaError: the last of the attempts failed, or the broker refused.
    """
    listed = await _listed(client, topic, partition, _LATEST)
    request = FetchRequest(_WAIT_MS, 1, 1, _READ_UNCOMMITTED, [(topic, [(partition, listed, 1)])], rack_id="")
    answer = await _ask(client, topic, partition, request)
    return int(answer[2])


async def _listed(client: AIOKafkaClient, topic: str, partition: int, which: int) -> int:
    request = OffsetRequest(_NO_REPLICA, _READ_UNCOMMITTED, [(topic, [(partition, which)])])
    answer = await _ask(client, topic, partition, request)
    return int(answer[3])


async def _ask(client: AIOKafkaClient, topic: str, partition: int, request: Any) -> tuple[Any, ...]:
    """Send to the leader of the partition, again while it changes or is away; return the partition's answer."""
    failure: errors.KafkaError = errors.LeaderNotAvailableError(topic)
    for _ in range(_ATTEMPTS):
        try:
            return await _ask_once(client, topic, partition, request)
        except errors.KafkaError as error:
            if not error.retriable:
                raise
            failure = error
        await client.force_metadata_update()
        await asyncio.sleep(_BACKOFF_SECONDS)
    raise failure


async def _ask_once(client: AIOKafkaClient, topic: str, partition: int, request: Any) -> tuple[Any, ...]:
    await client.add_topic(topic)
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader is None or leader < 0:
        raise errors.LeaderNotAvailableError(topic)
    response = await client.send(leader, request)
    if not response.topics:
        # The embedded broker, when it is too busy to look within the wait.
        raise errors.RequestTimedOutError(topic)
    answer: tuple[Any, ...] = response.topics[0][1][0]
    error = errors.for_code(answer[1])
    if error is not errors.NoError:
        raise error(topic)
    return answer
