"""A bad image in every stage is found, and rolled back by two people, on Kafka and a real registry."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.support.brokers import BrokerUnderTest
from tests.support.checkers import check_all
from tests.support.images import assert_complete
from tests.support.stage import Stage, stage
from tests.support.waiting import eventually
from towline.registry import push_image
from towline.registry.errors import NotFoundError

pytestmark = [pytest.mark.kafka, pytest.mark.distribution, pytest.mark.asyncio(loop_scope="module")]

POLICIES = [
    {"name": "app-to-qa", "source": "first/dev/app", "target": "first/qa/app"},
    {"name": "app-to-prod", "source": "first/qa/app", "target": "second/prod/app"},
]
PLACES = {"first/qa/app:1": ("first", "qa/app"), "second/prod/app:1": ("second", "prod/app")}


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def running(
    module_broker: BrokerUnderTest,
    two_registries: dict[str, dict[str, str]],
    gateway_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("rollback")
    async with stage(module_broker, folder, two_registries, gateway_port) as built:
        file = folder / "policies.yaml"
        file.write_text(yaml.safe_dump({"policies": POLICIES}))
        await built.done("policy", "apply", str(file))
        yield built


async def present(stage: Stage, registry: str, name: str) -> str | None:
    try:
        return await stage.registries(registry).resolve(name, "1")
    except NotFoundError:
        return None


async def everywhere(stage: Stage, digest: str) -> None:
    """Wait until both stages have an image, and the log knows."""

    async def so() -> bool:
        known = [(await stage.explained(place))["digest"] for place in PLACES]
        there = [await present(stage, *where) for where in PLACES.values()]
        return set(known) == set(there) == {digest}

    await eventually(so, seconds=60, what=f"{digest} in every stage")


async def shown(stage: Stage, plan_id: str) -> dict[str, Any]:
    _, out, err = await stage.towline("rollback", "show", plan_id, "--json")
    assert out, err
    return {step["target"]: step for step in json.loads(out)["steps"]}


async def test_a_bad_image_is_found_everywhere_and_rolled_back_by_two_people(stage: Stage, tmp_path: Path) -> None:
    good = await push_image(stage.registries("first"), "dev/app", "1", [b"good"])
    await everywhere(stage, good.digest)
    bad = await push_image(stage.registries("first"), "dev/app", "1", [b"bad"])
    await everywhere(stage, bad.digest)

    found = json.loads(await stage.done("audit", "blast", bad.digest, "--json"))
    assert {(copy["target"], copy["is_present"]) for copy in found["copies"]} == {(place, True) for place in PLACES}

    file = str(tmp_path / "plan.json")
    plan = json.loads(await stage.done("rollback", "plan", bad.digest, "--out", file, "--json"))
    assert [(step["target"], step["digest"]) for step in plan["plan"]["steps"]] == [
        ("second/prod/app:1", good.digest),
        ("first/qa/app:1", good.digest),
    ]
    await stage.done("rollback", "propose", file, "--reason", "it loses orders", LOGNAME="alice")
    plan_id = plan["plan_id"]

    async def waits() -> bool:
        return {step["state"] for step in (await shown(stage, plan_id)).values()} == {"waiting"}

    await eventually(waits, seconds=60, what="the proposal")
    code, _, err = await stage.towline("rollback", "approve", plan_id, LOGNAME="alice")
    assert (code, "somebody else has to approve it" in err) == (2, True), err
    await stage.done("rollback", "approve", plan_id, LOGNAME="bob")
    await everywhere(stage, good.digest)

    async def ended() -> bool:
        return {step["state"] for step in (await shown(stage, plan_id)).values()} <= {"completed", "left", "skipped"}

    await eventually(ended, seconds=60, what="the end of the rollback")
    for registry, name in PLACES.values():
        await assert_complete(stage.registries(registry), name, good.digest)
    came_by = (await stage.explained("first/qa/app:1"))["came_by"]
    assert "alice asked for it" in came_by
    assert "bob approved" in came_by


async def test_the_bad_image_does_not_come_back_by_itself(stage: Stage) -> None:
    before = {place: await present(stage, *where) for place, where in PLACES.items()}
    bad = await stage.registries("first").resolve("dev/app", "1")
    again = await push_image(stage.registries("first"), "dev/app", "2", [b"bad"])
    assert again.digest == bad
    denied = await stage.becomes("first/dev/app:2", "app-to-qa", "deny")
    assert "alice had this digest rolled back from first/qa/app: it loses orders" in denied["reason"]
    assert {place: await present(stage, *where) for place, where in PLACES.items()} == before


async def test_the_log_replays_to_the_same_bytes_and_every_command_has_its_cause(stage: Stage) -> None:
    result = json.loads(await stage.done("replay", "verify", "--json"))
    assert result["replay"] == "identical"
    await check_all(stage.one.log)
