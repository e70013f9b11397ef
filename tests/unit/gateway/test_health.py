"""Alive is not ready: an orchestrator restarts for the one and waits for the other."""

import asyncio

import pytest

from streams.memory_log import MemoryLog
from tests.support.gateways import app, calling
from towline import limits
from towline.errors import LogUnavailableError, TopicMismatchError


async def test_a_gateway_with_its_topics_is_ready() -> None:
    async with calling(app(MemoryLog())) as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_gateway_without_a_broker_is_alive_and_not_ready() -> None:
    async def away() -> None:
        raise LogUnavailableError("canary")

    async with calling(app(MemoryLog(), verify_topics=away)) as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.headers["retry-after"]
    assert "canary" not in ready.text


async def test_a_wrong_topic_is_named() -> None:
    async def differs() -> None:
        raise TopicMismatchError("towline.events: retention.ms is 5, must be -1")

    async with calling(app(MemoryLog(), verify_topics=differs)) as client:
        ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"error": {"reason": "towline.events: retention.ms is 5, must be -1"}}


async def test_a_broker_that_does_not_answer_does_not_hang_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ready_timeout_seconds", 0.05)

    async def silent() -> None:
        await asyncio.Event().wait()

    async with calling(app(MemoryLog(), verify_topics=silent)) as client, asyncio.timeout(30):
        ready = await client.get("/readyz")
    assert ready.status_code == 503


async def test_the_broker_is_asked_once_a_second_at_most() -> None:
    asked, now = 0, 100.0

    async def verify() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if asked == 2:
            raise LogUnavailableError("away")

    async with calling(app(MemoryLog(), verify_topics=verify, monotonic=lambda: now)) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert asked == 1
        now += limits.ready_cache_seconds
        answers = [await client.get("/readyz") for _ in range(5)]
        assert {answer.status_code for answer in answers} == {503}
        assert asked == 2
        now += limits.ready_cache_seconds
        assert (await client.get("/readyz")).status_code == 200
