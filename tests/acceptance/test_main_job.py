"""The main job by the command line: real registries, real webhooks, Apache Kafka, and the log replayed elsewhere."""

import json
import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.images import assert_complete, push_platforms
from tests.support.stage import Stage, stage
from tests.support.system import pushed
from tests.support.waiting import eventually
from towline.registry import push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

POLICIES = {
    "policies": [
        {
            "name": "website-to-qa",
            "source": "first/dev/website",
            "target": "first/qa/website",
            "tag": "%n-%Y%m%d",
            "rules": [{"field": "tag", "operator": "ends-with", "values": ["-stable"]}],
        },
        {"name": "website-to-second", "source": "first/qa/website", "target": "second/qa/website"},
    ]
}
GUARD = Path(__file__).parents[1] / "support" / "guard"


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    async with stage(module_broker, tmp_path_factory.mktemp("main-job"), two_registries, gateway_port) as built:
        yield built


async def test_policies_are_checked_before_they_are_applied(stage: Stage, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    cyclic = {"name": "back", "source": "second/qa/website", "target": "first/dev/website"}
    bad.write_text(yaml.safe_dump({"policies": [*POLICIES["policies"], cyclic]}))
    for command in ("check", "apply"):
        code, out, err = await stage.towline("policy", command, str(bad))
        assert code == {"check": 1, "apply": 2}[command]
        assert (
            "closes a cycle: first/dev/website -> first/qa/website -> second/qa/website -> first/dev/website"
            in out + err
        )
    code, out, _ = await stage.towline("policy", "list", "--json")
    assert code == 0
    assert json.loads(out) == {"revision": 0, "policies": []}


async def test_applied_policies_are_in_force_in_every_partition_and_an_outdated_apply_is_refused(
    stage: Stage, tmp_path: Path
) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(yaml.safe_dump(POLICIES))
    code, out, err = await stage.towline("policy", "apply", str(file), "--json")
    assert code == 0, err
    assert json.loads(out) == {"revision": 1, "replaces": 0, "policies": 2}
    code, out, _ = await stage.towline("policy", "apply", str(file), "--replaces", "0")
    assert code == 1
    assert "revision 0 was replaced first, by revision 1" in out
    code, out, _ = await stage.towline("policy", "show", "website-to-second")
    assert code == 0
    assert "source: first/qa/website" in out


async def test_a_push_is_promoted_and_mirrored_with_everything_under_its_digest(stage: Stage) -> None:
    pushed_index = await push_platforms(stage.registries("first"), "dev/website", "1.0-stable")

    async def promoted() -> bool:
        return any(policy["outcome"] == "completed" for policy in (await stage.explained(DEV))["policies"])

    await eventually(promoted, seconds=60, what="the promotion")
    (policy,) = (await stage.explained(DEV))["policies"]
    assert (policy["policy"], policy["verdict"]) == ("website-to-qa", "promote")
    qa = policy["target"]
    day = qa.removeprefix("first/qa/website:1.0-stable-")
    assert len(day) == 8
    assert day.isdigit()

    async def mirrored() -> bool:
        return any(policy["outcome"] == "completed" for policy in (await stage.explained(qa))["policies"])

    await eventually(mirrored, seconds=60, what="the mirror")
    tag = qa.rpartition(":")[2]
    for registry in ("first", "second"):
        client = stage.registries(registry)
        assert await client.resolve("qa/website", tag) == pushed_index.digest
        await assert_complete(client, "qa/website", pushed_index.digest)


DEV = "first/dev/website:1.0-stable"


async def test_a_denial_names_the_rule_that_failed(stage: Stage) -> None:
    await push_image(stage.registries("first"), "dev/website", "1.1-nightly", [b"a layer"])

    async def judged() -> bool:
        return bool((await stage.explained("first/dev/website:1.1-nightly"))["policies"])

    await eventually(judged, seconds=60, what="the denial")
    code, out, _ = await stage.towline("explain", "first/dev/website:1.1-nightly")
    assert code == 0
    assert "policy website-to-qa (revision 1): deny" in out
    assert "fails: tag ends-with -stable fails for 1.1-nightly" in out


async def test_the_audit_trail_leads_from_the_push_to_the_outcome(stage: Stage) -> None:
    code, out, _ = await stage.towline("audit", "trail", DEV, "--json")
    assert code == 0
    entries = json.loads(out)["trail"]
    kinds = [entry["type"] for entry in entries]
    # The index is pushed last; its children are pushed under tags of their own.
    assert kinds == ["image.pushed", "decision.made", "image.copy", "transfer.started", "transfer.completed"]
    # What a transfer tells on its way leads to nothing.
    for cause, effect in pairwise(entry for entry in entries if entry["type"] != "transfer.started"):
        assert effect["caused_by"] == cause["id"]


async def test_an_event_published_by_hand_is_judged(stage: Stage, tmp_path: Path) -> None:
    body = {
        "specversion": "1.0",
        "id": "by hand",
        "source": "/test",
        "type": "image.pushed",
        "data": {"repository": "first/dev/website", "tag": "2.0-rc", "digest": "sha256:" + "ab" * 32},
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"headers": {}, "body": body}))
    code, dry, _ = await stage.towline("event", "publish", str(file), "--dry-run")
    assert code == 0
    assert json.loads(dry)["type"] == "image.pushed"
    code, out, err = await stage.towline("event", "publish", str(file))
    assert (code, out.strip()) == (0, "image.pushed first/dev/website:2.0-rc"), err

    async def judged() -> bool:
        return bool((await stage.explained("first/dev/website:2.0-rc"))["policies"])

    await eventually(judged, seconds=60, what="the verdict")


@pytest.mark.parametrize(
    ("seed", "zone"), [("0", "UTC"), ("4711", "Pacific/Kiritimati"), ("random", "America/St_Johns")]
)
async def test_replay_is_identical_under_any_hash_seed_and_time_zone_without_a_network(
    stage: Stage, seed: str, zone: str
) -> None:
    await stage.one.push([pushed(f"first/dev/other{number}", "1", f"{seed} {number}") for number in range(50)])
    code, out, err = await stage.towline(
        "replay",
        "verify",
        "--json",
        PYTHONHASHSEED=seed,
        TZ=zone,
        PYTHONPATH=str(GUARD),
        TOWLINE_TEST_ALLOWED_ADDRESS=stage.broker.bootstrap,
    )
    assert code == 0, out + err
    result = json.loads(out)
    assert result["replay"] == "identical"
    assert result["details"]["decisions"] >= 50


async def test_the_guard_of_the_network_does_refuse(stage: Stage) -> None:
    """The test of the test above."""
    code, _, err = await stage.towline(
        "replay", "verify", PYTHONPATH=str(GUARD), TOWLINE_TEST_ALLOWED_ADDRESS="127.0.0.1:1"
    )
    assert code == 3, err


async def test_the_topics_are_as_they_must_be(stage: Stage) -> None:
    code, out, err = await stage.towline("topics", "verify", "--json")
    assert (code, json.loads(out)) == (0, {"differences": []}), err


async def test_misuse_says_what_to_do(stage: Stage) -> None:
    code, _, err = await stage.towline("explain", "website")
    assert code == 2
    assert "write REGISTRY/NAME:TAG" in err
    code, _, err = await stage.towline("replay", "verify", TOWLINE_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == 3
    assert await stage.one.log.partitions(EVENTS) == stage.one.settings.kafka.partitions
    assert os.environ.get("TOWLINE_SETTINGS") is None
