"""A delivery that comes again, from its sender or from somebody who recorded it, changes nothing (S07, E01)."""

import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.table import MemoryTable
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, DECISIONS
from tests.support.builders import policy, proposed, record_events
from tests.support.checkers import all_records, check_all
from tests.support.gateways import NOW, app, calling, events_in
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.dialects.deliveries import distribution, distribution_event, fixture, structured
from towline.dialects import Delivery
from towline.hook_settings import HookSettings
from towline.receivers.signing import signature_headers

SECRET = "secret"


class Scene:
    """A gateway whose hooks are verified, and an evaluator with a policy for what they tell."""

    def __init__(self, client: httpx.AsyncClient, log: MemoryLog) -> None:
        self.client = client
        self.log = log
        self.run = Run(log, MemoryTable())

    async def send(self, hook: str, delivery: Delivery, **headers: str) -> Any:
        """Deliver, let the core take it in, and return the answer."""
        given = {**delivery.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = await self.client.post(f"/hooks/{hook}", content=delivery.body, headers=given)
        assert answer.status_code == 202
        await self.run.drain()
        assert self.run.failures == []
        return answer.json()

    async def effects(self) -> list[bytes]:
        """Every decision and every command."""
        return [record.value or b"" for topic in (DECISIONS, COMMANDS) for record in await all_records(self.log, topic)]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "secret").write_text(SECRET)
    reference = f"file:{tmp_path / 'secret'}"
    hooks = {
        "registry": HookSettings(registry="local", token=reference),
        "github": HookSettings.model_validate({"registry": "local", "dialect": "ghcr", "hmac": {"secret": reference}}),
        "ci": HookSettings(registry="local", dialect="cloudevents", standard_webhooks=reference),
    }
    log = MemoryLog(partitions=PARTITIONS)
    async with calling(app(log, hooks=hooks)) as client:
        made = Scene(client, log)
        await record_events(log, proposed(policy("to-qa", "local/dev/*", "local/qa/{1}")), partitions=PARTITIONS)
        await made.run.drain()
        yield made
        await made.run.shell.close()


async def test_a_sender_that_repeats_itself_gets_the_same_ids_and_nothing_happens_twice(scene: Scene) -> None:
    delivery = distribution(distribution_event(), distribution_event(id="two", target__tag="2.0"))
    first = await scene.send("registry", delivery, authorization=f"Bearer {SECRET}")
    before = await scene.effects()
    assert len(before) > 2
    for _ in range(20):
        assert await scene.send("registry", delivery, authorization=f"Bearer {SECRET}") == first
    assert await scene.effects() == before
    assert len(await events_in(scene.log)) == 21 * 2 + 1 + PARTITIONS
    await check_all(scene.log)


async def test_a_recorded_delivery_of_github_has_its_ids_under_any_name(scene: Scene) -> None:
    delivery = fixture("ghcr", "package-published")
    signature = f"sha256={hmac.digest(SECRET.encode(), delivery.body, 'sha256').hex()}"
    first = await scene.send("github", delivery, x_hub_signature_256=signature)
    before = await scene.effects()
    assert len(before) > 1
    again = Delivery({**delivery.headers, "x-github-delivery": "another"}, delivery.body)
    assert await scene.send("github", again, x_hub_signature_256=signature) == first
    assert await scene.effects() == before


async def test_a_signed_event_that_comes_again_under_another_webhook_id_is_the_same_event(scene: Scene) -> None:
    delivery = structured()
    moment = int(NOW.timestamp())
    answers = []
    for name in ("one", "one", "two"):
        signed = signature_headers(name, moment, delivery.body, [SECRET.encode()])
        answers.append(await scene.send("ci", delivery, **signed))
        if len(answers) == 1:
            before = await scene.effects()
    assert answers[0] == answers[1] == answers[2]
    assert len(before) > 1
    assert await scene.effects() == before


async def test_one_of_many_that_cannot_be_used_keeps_all_of_them_out(scene: Scene) -> None:
    events = json.loads(distribution(*[distribution_event(id=str(number)) for number in range(1000)]).body)
    events["events"][777]["target"]["digest"] = "sha256:short"
    before = await scene.effects()
    answer = await scene.client.post(
        "/hooks/registry", content=json.dumps(events).encode(), headers={"authorization": f"Bearer {SECRET}"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"].startswith("events.777.target.digest: ")
    await scene.run.drain()
    assert len(await events_in(scene.log)) == 1 + PARTITIONS
    assert await scene.effects() == before
