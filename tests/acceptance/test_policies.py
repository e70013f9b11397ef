"""Policies at work, on Kafka and real registries: late facts, approvals, time, chains, and what was there before.

The ticker of this system sleeps: the tests tick, so that an hour passes when they say so.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from agents.ticker import tick_at
from streams.routing import CLOCK_KEY, broadcast_appends
from tests.support.brokers import BrokerUnderTest
from tests.support.images import assert_complete
from tests.support.stage import Stage, stage
from tests.support.system import PARTITIONS
from tests.support.waiting import eventually
from towline.registry import push_image

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

NO_CRITICAL = {"field": "vulnerability_critical", "operator": "<=", "values": [0]}
POLICIES = [
    {"name": "app-to-qa", "source": "first/dev/app", "target": "first/qa/app", "rules": [NO_CRITICAL]},
    {"name": "app-to-prod", "source": "first/qa/app", "target": "first/prod/app", "rules": [NO_CRITICAL]},
    {
        "name": "pay-to-qa",
        "source": "first/dev/pay",
        "target": "first/qa/pay",
        "rules": [{"field": "approved", "operator": ">=", "values": [1]}],
    },
    {
        "name": "slow-to-qa",
        "source": "first/dev/slow",
        "target": "first/qa/slow",
        "rules": [{"field": "soak", "operator": ">=", "values": ["1h"]}],
    },
]
BEFORE = {"name": "early-to-qa", "source": "first/dev/early", "target": "first/qa/early"}
UNSEEN = {"name": "old-to-first", "source": "second/old/*", "target": "first/from-second/{1}"}
XZ = "CVE-2024-3094"


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("policies")
    async with stage(module_broker, folder, two_registries, gateway_port, tick_seconds=3600) as built:
        await apply(built, POLICIES)
        yield built


async def apply(stage: Stage, policies: list[dict[str, Any]]) -> None:
    file = stage.one.folder / "policies.yaml"
    file.write_text(yaml.safe_dump({"policies": policies}))
    await stage.done("policy", "apply", str(file))


async def tick(stage: Stage, moment: datetime) -> None:
    await stage.one.log.append_all(broadcast_appends(tick_at(moment), CLOCK_KEY, PARTITIONS))


def scan_report(folder: Path, *severities: str) -> str:
    """Write a report as Trivy does, and return its path."""
    found = [
        {"VulnerabilityID": XZ, "PkgName": "xz-utils", "InstalledVersion": "5.6.0", "Severity": severity}
        for severity in severities
    ]
    report = {
        "SchemaVersion": 2,
        "ArtifactName": "an image",
        "ArtifactType": "container_image",
        "Results": [{"Target": "debian", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": found}],
    }
    file = folder / "report.json"
    file.write_text(json.dumps(report))
    return str(file)


APP = "first/dev/app:1.0"


async def test_a_scan_with_a_critical_vulnerability_turns_a_hold_into_a_denial(stage: Stage, tmp_path: Path) -> None:
    await push_image(stage.registries("first"), "dev/app", "1.0", [b"an app"])
    held = await stage.becomes(APP, "app-to-qa", "hold")
    assert "a scan" in held["rules"][0]["detail"]
    await stage.done("scan", "submit", APP, scan_report(tmp_path, "CRITICAL"))
    denied = await stage.becomes(APP, "app-to-qa", "deny")
    assert denied["reason"] == f"vulnerability_critical <= 0 fails for 1 ({XZ})"


async def test_an_override_promotes_and_the_chain_runs_through_with_what_is_known(stage: Stage) -> None:
    await stage.done("override", APP, XZ, "--reason", "sshd is not in this image")
    await stage.becomes(APP, "app-to-qa", "promote", "completed")
    # Nobody scanned in qa, and nothing was pushed there: scan and override came along.
    onward = await stage.becomes("first/qa/app:1.0", "app-to-prod", "promote", "completed")
    assert onward["rules"][0]["actual"] == "0"
    client = stage.registries("first")
    digest = await client.resolve("dev/app", "1.0")
    for repository in ("qa/app", "prod/app"):
        assert await client.resolve(repository, "1.0") == digest
        await assert_complete(client, repository, digest)


async def test_the_trail_tells_scan_and_override_with_who_and_why(stage: Stage) -> None:
    out = await stage.done("audit", "trail", APP)
    assert "sshd is not in this image" in out
    assert [line for line in out.splitlines() if "scan.completed" in line]


async def test_an_approval_by_who_pushed_is_refused_and_by_another_is_enough(stage: Stage, tmp_path: Path) -> None:
    image = await push_image(stage.registries("first"), "dev/pay", "unnamed", [b"a payment service"])
    body = {
        "specversion": "1.0",
        "id": "by ann",
        "source": "/test",
        "type": "image.pushed",
        "data": {"repository": "first/dev/pay", "tag": "unnamed", "digest": image.digest, "actor": "ann"},
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"headers": {}, "body": body}))
    await stage.done("event", "publish", str(file))
    pay = "first/dev/pay:unnamed"
    await stage.becomes(pay, "pay-to-qa", "hold")
    await stage.done("approve", pay, "--policy", "pay-to-qa", LOGNAME="ann")

    async def is_refused() -> bool:
        detail = (await stage.becomes(pay, "pay-to-qa", "hold"))["rules"][0]["detail"]
        return "the approval of ann does not count: ann pushed the image" in str(detail)

    await eventually(is_refused, seconds=60, what="the refusal of ann's approval")
    await stage.done("approve", pay, "--policy", "pay-to-qa", LOGNAME="bob")
    promoted = await stage.becomes(pay, "pay-to-qa", "promote", "completed")
    assert promoted["rules"][0]["actual"] == "bob"


async def test_a_soak_of_an_hour_is_released_by_ticks_and_not_before(stage: Stage) -> None:
    await push_image(stage.registries("first"), "dev/slow", "1", [b"a slow one"])
    slow = "first/dev/slow:1"
    held = await stage.becomes(slow, "slow-to-qa", "hold")
    due = datetime.strptime(held["due_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    await tick(stage, due - timedelta(microseconds=1))
    # What is pushed now stands behind that tick, and is decided after it.
    await push_image(stage.registries("first"), "dev/slow", "2", [b"a slower one"])
    await stage.becomes("first/dev/slow:2", "slow-to-qa", "hold")
    assert (await stage.becomes(slow, "slow-to-qa", "hold"))["due_at"] == held["due_at"]
    await tick(stage, due)
    await stage.becomes(slow, "slow-to-qa", "promote", "completed")


async def test_a_new_policy_judges_what_was_there_before_it(stage: Stage) -> None:
    first, second = stage.registries("first"), stage.registries("second")
    early = await push_image(first, "dev/early", "1", [b"an early one"])

    async def is_judged() -> bool:
        return bool((await stage.explained("first/dev/early:1"))["policies"])

    await eventually(is_judged, seconds=60, what="the webhook of the early image")
    # This registry sends no webhooks: nobody has heard of these.
    unseen = [await push_image(second, f"old/{name}", "1", [name.encode()]) for name in ("one", "two")]
    await apply(stage, [*POLICIES, BEFORE, UNSEEN])
    await stage.becomes("first/dev/early:1", "early-to-qa", "promote", "completed")
    assert await first.resolve("qa/early", "1") == early.digest
    for name, image in zip(("one", "two"), unseen, strict=True):
        await stage.becomes(f"second/old/{name}:1", "old-to-first", "mirror", "completed")
        assert await first.resolve(f"from-second/{name}", "1") == image.digest


async def test_the_replay_of_all_of_it_is_identical(stage: Stage) -> None:
    result = json.loads(await stage.done("replay", "verify", "--json"))
    assert result["replay"] == "identical"
