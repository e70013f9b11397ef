"""Senders that ask first get their answer, and nothing that only a person may decide is decided."""

import json
from pathlib import Path

import pytest
import structlog.testing

from streams.memory_log import MemoryLog
from tests.support.gateways import OPEN, app, calling, events_in
from tests.unit.dialects.deliveries import fixture
from towline.hook_settings import HookSettings

ORIGIN = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
SECRET = "0123456789abcdef"


@pytest.fixture
def reference(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text(SECRET)
    return f"file:{tmp_path / 'secret'}"


async def test_event_grid_gets_its_code_back() -> None:
    log, question = MemoryLog(), fixture("acr", "event-grid-question")
    hook = OPEN.model_copy(update={"dialect": "acr"})
    async with calling(app(log, hooks={"acr": hook})) as client:
        answer = await client.post("/hooks/acr", content=question.body, headers=dict(question.headers))
    assert answer.status_code == 200
    code = json.loads(question.body)[0]["data"]["validationCode"]
    assert answer.json() == {"validationResponse": code}
    assert await events_in(log) == []


async def test_cloudevents_senders_may_send_to_hooks_that_exist() -> None:
    async with calling(app(MemoryLog())) as client:
        allowed = await client.options("/hooks/local", headers=ORIGIN)
        nowhere = await client.options("/hooks/nowhere", headers=ORIGIN)
        elsewhere = await client.options("/hooks/local/secret", headers=ORIGIN)
        nobody = await client.options("/hooks/local")
        odd = await client.options("/hooks/local", headers={"WebHook-Request-Origin": "a, b"})
    assert allowed.status_code == 200
    assert allowed.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert allowed.headers["webhook-allowed-rate"] == "*"
    assert [nowhere.status_code, elsewhere.status_code, nobody.status_code, odd.status_code] == [404, 404, 400, 400]
    assert "WebHook-Request-Origin" in nobody.json()["error"]["reason"]


async def test_an_address_that_is_a_secret_is_not_told_by_asking(reference: str) -> None:
    hook = HookSettings(registry="local", dialect="acr", path=reference)
    async with calling(app(MemoryLog(), hooks={"acr": hook})) as client:
        right = await client.options(f"/hooks/acr/{SECRET}", headers=ORIGIN)
        wrong = await client.options("/hooks/acr/0000000000000000", headers=ORIGIN)
        without = await client.options("/hooks/acr", headers=ORIGIN)
    assert [right.status_code, wrong.status_code, without.status_code] == [200, 401, 401]


async def test_a_topic_that_asks_is_shown_to_the_operator_and_not_confirmed(reference: str) -> None:
    log, question = MemoryLog(), fixture("ecr", "subscription")
    hook = HookSettings(registry="local", dialect="ecr", path=reference)
    with structlog.testing.capture_logs() as told:
        async with calling(app(log, hooks={"ecr": hook})) as client:
            answer = await client.post(f"/hooks/ecr/{SECRET}", content=question.body)
            stranger = await client.post("/hooks/ecr/0000000000000000", content=question.body)
    asked = json.loads(question.body)
    assert answer.status_code == 200
    assert answer.json()["topic"] == asked["TopicArn"]
    assert answer.json()["confirm"].startswith("https://sns.")
    assert stranger.status_code == 401
    (line,) = told
    assert (line["hook"], line["topic"], line["url"]) == ("ecr", asked["TopicArn"], answer.json()["confirm"])
    assert await events_in(log) == []


async def test_what_anybody_asks_is_not_logged() -> None:
    question = fixture("ecr", "subscription")
    hook = HookSettings(registry="local", dialect="ecr", anonymous=True)
    with structlog.testing.capture_logs() as told:
        async with calling(app(MemoryLog(), hooks={"ecr": hook})) as client:
            assert (await client.post("/hooks/ecr", content=question.body)).status_code == 200
    assert told == []
