"""Producers that do not use our code: kcat, and Kafka's own Java client. What they write is judged or set aside."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

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


def with_kcat(bootstrap: str, value: bytes) -> None:
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
    subprocess.run([*command, "-D", "\x01"], input=value, check=True, timeout=30)


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
