"""The past by the command line, over a log that workers and registries made: what was, and would have been."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from streams.topics import COMMANDS, DECISIONS, EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.stage import Stage, stage
from tests.support.waiting import eventually
from towline.registry import push_image
from towline.replay.adoption import SOURCE

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

STABLE = {"field": "tag", "operator": "ends-with", "values": ["-stable"]}
TO_QA = {"name": "to-qa", "source": "first/dev/app", "target": "first/qa/app", "rules": [STABLE]}
TO_PROD = {"name": "to-prod", "source": "first/qa/app", "target": "second/prod/app"}
ANY = {**TO_QA, "rules": []}


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("past")
    async with stage(module_broker, folder, two_registries, gateway_port) as built:
        await built.done("policy", "apply", policy_file(folder, TO_QA, TO_PROD))
        yield built


def policy_file(folder: Path, *policies: dict[str, Any]) -> str:
    path = folder / "policies.yaml"
    path.write_text(yaml.safe_dump({"policies": list(policies)}))
    return str(path)


async def push(stage: Stage, tag: str, content: bytes) -> str:
    image = await push_image(stage.registries("first"), "dev/app", tag, [content])
    return image.digest


async def reported(stage: Stage, file: str, *more: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(await stage.done("replay", "what-if", file, "--json", *more))
    return report


async def test_what_was_in_production_is_told_with_who_brought_it_by_which_revision(stage: Stage) -> None:
    first = await push(stage, "1-stable", b"first")
    await stage.becomes("first/qa/app:1-stable", "to-prod", "mirror", "completed")
    moment = datetime.now(UTC).isoformat()
    second = await push(stage, "1-stable", b"second")

    async def has(at: str) -> dict[str, Any]:
        out = await stage.done("replay", "state", "--at", at, "second/prod/app:1-stable", "--json")
        (tag,) = json.loads(out)["tags"]
        found: dict[str, Any] = tag
        return found

    async def moved() -> bool:
        return (await has("now"))["digest"] == second

    await eventually(moved, seconds=60, what="the second image in production")
    then = await has(moment)
    assert (then["digest"], then["policy"], then["revision"]) == (first, "to-prod", 1)
    assert then["source"] == "first/qa/app:1-stable"


async def test_other_policies_are_tried_on_what_happened_to_the_end_of_the_chain(stage: Stage, tmp_path: Path) -> None:
    digest = await push(stage, "2", b"unstable")
    await stage.becomes("first/dev/app:2", "to-qa", "deny")
    file = policy_file(tmp_path, ANY, TO_PROD)
    report = await reported(stage, file)
    gained = {
        (changes["policy"], one["digest"], one["target"])
        for changes in report["policies"]
        for one in changes["newly_promoted"]
    }
    assert gained == {("to-qa", digest, "first/qa/app:2"), ("to-prod", digest, "second/prod/app:2")}
    assert report["counts"]["no_longer_promoted"] == 0
    full = await reported(stage, file, "--full")
    assert full["policies"] == report["policies"]
    same = await reported(stage, policy_file(tmp_path, TO_QA, TO_PROD), "--from", "2000-01-01")
    assert same["policies"] == []


async def test_nothing_of_what_was_tried_is_in_a_topic(stage: Stage) -> None:
    for topic in (EVENTS, DECISIONS, COMMANDS):
        assert all(item.envelope.source != SOURCE for item in await stage.one.records(topic))
    code, _, _ = await stage.towline("replay", "verify")
    assert code == 0
