"""The gateway on Apache Kafka: what is answered 202 is in the log, whatever breaks (I1, I14, B01, W03)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from streams.kafka_log import KafkaLog
from streams.provision import create_topics, require_topics
from streams.serving import serving
from tests.support.gateway_process import STOP_SECONDS, gateway_process
from tests.support.gateways import app, events_in
from tests.support.kafka import KafkaNode, apache_kafka
from tests.support.parts import kafka_is_here
from tests.unit.dialects.deliveries import distribution, distribution_event
from towline.settings import KafkaSettings

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not kafka_is_here(), reason="needs a broker that can be killed: make parts"),
]

PARTITIONS = 3


@pytest.fixture(scope="module")
def node() -> Iterator[KafkaNode]:
    with apache_kafka() as started:
        asyncio.run(create_topics(kafka_of(started)))
        yield started


def kafka_of(node: KafkaNode) -> KafkaSettings:
    return KafkaSettings(bootstrap=node.address, partitions=PARTITIONS)


@dataclass(frozen=True)
class Sender:
    """A sender that keeps its own names for what it tells."""

    client: httpx.AsyncClient

    async def push(self, key: str) -> httpx.Response:
        body = distribution(distribution_event(id=key, target__tag=key)).body
        return await self.client.post("/hooks/local", content=body)

    async def push_until_accepted(self, key: str) -> str:
        """Send again until it is accepted; return the event's id."""
        for _ in range(100):
            answer = await self.push(key)
            if answer.status_code == 202:
                return str(answer.json()["events"][0])
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            await asyncio.sleep(0.1)
        raise AssertionError(f"{key} was never accepted")


@asynccontextmanager
async def gateway_on(node: KafkaNode) -> AsyncIterator[Sender]:
    kafka = kafka_of(node)
    async with (
        KafkaLog(kafka) as log,
        serving(app(log, verify_topics=partial(require_topics, kafka))) as url,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
    ):
        yield Sender(client)


async def ids_in_log(node: KafkaNode) -> list[str]:
    async with KafkaLog(kafka_of(node)) as log:
        return [event.id for event in await events_in(log)]


async def test_a_delivery_is_in_the_log_when_it_is_answered(node: KafkaNode) -> None:
    async with gateway_on(node) as sender:
        ready = await sender.client.get("/readyz")
        answer = await sender.push("answered")
        assert (ready.status_code, answer.status_code) == (200, 202)
        assert answer.json()["events"][0] in await ids_in_log(node)


async def test_without_its_broker_the_gateway_asks_to_come_again_and_recovers(node: KafkaNode) -> None:
    async with gateway_on(node) as sender:
        await sender.push_until_accepted("before")
        await asyncio.to_thread(node.kill)
        refused, ready, alive = await asyncio.gather(
            sender.push("away"), sender.client.get("/readyz"), sender.client.get("/healthz")
        )
        await asyncio.to_thread(node.start)
        assert (refused.status_code, ready.status_code, alive.status_code) == (503, 503, 200)
        assert int(refused.headers["retry-after"]) > 0
        assert node.address not in refused.text + ready.text
        event = await sender.push_until_accepted("away")
        assert event in await ids_in_log(node)
        assert (await sender.client.get("/readyz")).status_code == 200


async def test_nothing_that_was_accepted_is_lost_when_the_broker_is_killed_between(node: KafkaNode) -> None:
    accepted: list[str] = []
    killed = asyncio.Event()

    async def send(sender: Sender, worker: int) -> None:
        for number in range(30):
            accepted.append(await sender.push_until_accepted(f"killed-{worker}-{number}"))
            if len(accepted) >= 60:
                killed.set()

    async def kill_once() -> None:
        await killed.wait()
        await asyncio.to_thread(node.restart)

    async with gateway_on(node) as sender, asyncio.timeout(150):
        await asyncio.gather(kill_once(), *(send(sender, worker) for worker in range(8)))
        assert len(set(accepted)) == 240
        assert set(accepted) <= set(await ids_in_log(node))


@pytest.mark.parametrize(("site", "kept"), [("gateway.body_read", 0), ("gateway.events_acked", 1)])
async def test_a_gateway_that_dies_before_its_answer_gets_the_same_event_again(
    node: KafkaNode, tmp_path: Path, site: str, kept: int
) -> None:
    settings = tmp_path / "towline.yaml"
    settings.write_text(
        "registries: {local: {url: 'http://127.0.0.1:5000'}}\n"
        "hooks: {local: {registry: local, anonymous: true, trust: full}}\n"
        f"kafka: {{bootstrap: '{node.address}', partitions: {PARTITIONS}}}\n"
    )
    process_on = partial(gateway_process, TOWLINE_SETTINGS=str(settings))
    key = f"dies-{site}"
    with process_on(TOWLINE_FAILPOINTS=f"{site}:kill@1") as (url, process):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            with pytest.raises(httpx.TransportError):
                await Sender(client).push(key)
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == -9
    with process_on() as (url, _):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            event = await Sender(client).push_until_accepted(key)
    assert (await ids_in_log(node)).count(event) == kept + 1
