"""Apache Kafka as a test wants it: one node, or three that can be killed."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.kafka.node import QUICK_START, KafkaNode, free_seats


@contextmanager
def apache_kafka(
    settings: Mapping[str, str] | None = None,
    *,
    quick_start: bool = True,
    guarded: bool = False,
    users: Sequence[str] = (),
) -> Iterator[KafkaNode]:
    """Run one node; ``settings`` are added to its server properties. Benchmarks want ``quick_start=False``."""
    with _nodes(1, settings or {}, quick_start=quick_start, guarded=guarded, users=users) as nodes:
        yield nodes[0]


@contextmanager
def three_nodes(settings: Mapping[str, str] | None = None) -> Iterator[list[KafkaNode]]:
    """Run three nodes that keep everything three times, and need two to acknowledge."""
    with _nodes(3, {"min.insync.replicas": "2", **(settings or {})}, quick_start=True) as nodes:
        yield nodes


@contextmanager
def _nodes(
    number: int, settings: Mapping[str, str], *, quick_start: bool, guarded: bool = False, users: Sequence[str] = ()
) -> Iterator[list[KafkaNode]]:
    seats = free_seats(number)
    voters = ",".join(seat.voter for seat in seats)
    replication = {
        "offsets.topic.replication.factor": str(number),
        "transaction.state.log.replication.factor": str(number),
        "transaction.state.log.min.isr": "1",
    }
    with tempfile.TemporaryDirectory(prefix="towline-kafka-", ignore_cleanup_errors=True) as directory:
        nodes = [
            KafkaNode(
                seat,
                Path(directory) / str(seat.node),
                voters,
                {**replication, **settings},
                QUICK_START if quick_start else (),
                guarded,
                users,
            )
            for seat in seats
        ]
        try:
            for node in nodes:
                node.format()
            # A lone node of three waits for the others: start all, then wait.
            for node in nodes:
                node.launch()
            for node in nodes:
                node.wait_ready(number)
            yield nodes
        finally:
            for node in nodes:
                node.kill()
