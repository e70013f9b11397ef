"""Producers that do not use our code: kcat, and Kafka's own Java client. What they write is judged or set aside."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from schemas.canonical import content_id
from schemas.deadletters import DeadLetter
from schemas.policies import PolicySet
from streams.topics import DEADLETTERS, INBOUND
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy, rule
from tests.support.parts import KAFKA_JARS
from tests.support.system import System, system
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka

#: Some ten kilobytes when they are compressed.
BOMB_BYTES = 10_000_000
POLICIES = PolicySet(policies=(policy("web-to-qa", "here/dev/web", "here/qa/web", rule("ends-with", "-stable")),))


def cloud_event(tag: str) -> bytes:
    event = {
        "specversion": "1.0",
        "id": f"build-{tag}",
        "source": "/ci/pipelines/7",
        "type": "image.pushed",
        "datacontenttype": "application/json",
        "data": {"repository": "here/dev/web", "tag": tag, "digest": f"sha256:{content_id(tag)}"},
    }
    return json.dumps(event).encode()


@pytest.fixture
async def one(fresh_broker: BrokerUnderTest, tmp_path: Path) -> AsyncIterator[System]:
    async with system(fresh_broker.bootstrap, tmp_path, registries={"here": {"url": "http://127.0.0.1:1"}}) as built:
        await built.start("evaluate")
        await built.apply(POLICIES)
        yield built


def with_kcat(bootstrap: str, value: bytes, *options: str) -> None:
    program = shutil.which("kcat")
    if program is None:
        pytest.fail("kcat is not installed: make parts")
    command = [
        program,
        "-P",
        "-b",
        bootstrap,
        "-t",
        INBOUND,
        "-k",
        "web",
        "-H",
        "content-type=application/cloudevents+json",
    ]
    subprocess.run([*command, "-D", "\x01", *options], input=value, check=True, timeout=30)


def with_java(bootstrap: str, value: bytes) -> None:
    producer = ["java", "-cp", f"{KAFKA_JARS}/*", "org.apache.kafka.tools.ConsoleProducer"]
    subprocess.run(
        [*producer, "--bootstrap-server", bootstrap, "--topic", INBOUND], input=value + b"\n", check=True, timeout=60
    )


async def verdicts(one: System) -> dict[str, str]:
    return {decision.data.source.tag: decision.data.verdict for decision in await one.decisions()}


async def dead_letters(one: System) -> list[DeadLetter]:
    return [item.envelope.data for item in await one.records(DEADLETTERS) if isinstance(item.envelope.data, DeadLetter)]


@pytest.mark.parametrize("produce", [with_kcat, with_java])
async def test_a_foreign_producer_sees_its_decision_and_a_malformed_event_only_sets_itself_aside(
    one: System, produce: Callable[[str, bytes], None]
) -> None:
    bootstrap = one.settings.kafka.bootstrap or ""
    produce(bootstrap, cloud_event("1.0-stable"))
    produce(bootstrap, b'{"specversion": "1.0", "type": "image.pushed", "data": {"repository": "')
    produce(bootstrap, cloud_event("1.1-nightly"))

    async def all_seen() -> bool:
        return len(await verdicts(one)) == 2 and bool(await dead_letters(one))

    await eventually(all_seen, seconds=60, what="two decisions and a dead letter")
    assert await verdicts(one) == {"1.0-stable": "promote", "1.1-nightly": "deny"}
    (letter,) = await dead_letters(one)
    assert letter.topic == INBOUND
    assert "JSON" in letter.reason
    assert letter.value_size == 71


async def test_a_producer_may_compress_as_its_library_likes(one: System) -> None:
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        with_kcat(one.settings.kafka.bootstrap or "", cloud_event(f"{codec}-stable"), "-z", codec)

    async def all_judged() -> bool:
        return len(await verdicts(one)) == 4

    await eventually(all_judged, seconds=60, what="four decisions")
    assert set((await verdicts(one)).values()) == {"promote"}
    assert await dead_letters(one) == []


async def test_what_unpacks_to_more_than_a_record_may_have_is_refused_by_the_broker(one: System) -> None:
    bootstrap = one.settings.kafka.bootstrap or ""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type="gzip",
        max_batch_size=BOMB_BYTES * 2,
        max_request_size=BOMB_BYTES * 2,
    ) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(INBOUND, b"x" * BOMB_BYTES, b"web")
    with_kcat(bootstrap, cloud_event("1.0-stable"))

    async def judged() -> bool:
        return bool(await verdicts(one))

    await eventually(judged, seconds=60, what="the next is judged")
    assert await dead_letters(one) == []
