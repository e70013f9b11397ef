"""A delivery that is answered 202 is in the log; one that is not can be sent again (I1, W03)."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from schemas.events import ImageDeleted, ImagePushed
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import EVENTS, partition_for
from tests.support.gateways import OPEN, app, calling, events_in
from tests.unit.dialects.deliveries import binary, distribution, distribution_event, fixture, structured
from towline.dialects import Delivery
from towline.errors import LogError, LogUnavailableError, TopicMismatchError


async def send(client: httpx.AsyncClient, delivery: Delivery, source: str = "local") -> httpx.Response:
    return await client.post(f"/hooks/{source}", content=delivery.body, headers=dict(delivery.headers))


async def test_a_push_is_in_the_log_when_it_is_answered() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await send(client, fixture("distribution", "push-manifest-tag"))
    assert answer.status_code == 202
    (event,) = await events_in(log)
    assert answer.json() == {"events": [event.id], "passed_over": 0, "flags": []}
    assert isinstance(event.data, ImagePushed)
    assert event.source == "towline/hooks/local"
    assert event.subject == "local/dev/website:1.0-stable"
    assert event.time == "2026-11-24T08:00:00.000000Z"


async def test_events_are_keyed_by_their_repository() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        await send(client, distribution(distribution_event()))
    key = b"local/dev/website"
    (record,) = [record async for record in log.read(EVENTS, partition_for(key, 12), 0, 1)]
    assert record.key == key


async def test_a_batch_keeps_its_order() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await send(client, fixture("distribution", "batch"))
    events = await events_in(log)
    assert [type(event.data) for event in events] == [ImagePushed, ImageDeleted]
    assert answer.json() == {"events": [event.id for event in events], "passed_over": 3, "flags": []}


async def test_a_batch_of_ten_thousand_has_stable_ids() -> None:
    log = MemoryLog()
    event = {"action": "delete", "target": {"repository": "a", "tag": "1"}}
    delivery = distribution(*[{"id": str(number), **event} for number in range(10_000)])
    async with calling(app(log)) as client:
        first, second = await send(client, delivery), await send(client, delivery)
    assert first.json() == second.json()
    assert len(set(first.json()["events"])) == 10_000
    assert len(await events_in(log)) == 20_000


async def test_a_delivery_that_moves_no_tag_is_accepted_and_leaves_nothing() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await send(client, fixture("distribution", "pull-manifest-tag"))
    assert (answer.status_code, answer.json()["events"]) == (202, [])
    assert await events_in(log) == []


async def test_one_bad_event_keeps_the_whole_delivery_out_of_the_log() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await send(client, distribution(distribution_event(), distribution_event(target__digest=None)))
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"].startswith("events.1.target.digest: ")
    assert await events_in(log) == []


async def test_a_bad_stamp_is_accepted_and_flagged_to_its_sender() -> None:
    log = MemoryLog()
    async with calling(app(log)) as client:
        answer = await send(client, distribution(distribution_event(timestamp="yesterday")))
    assert answer.status_code == 202
    assert answer.json()["flags"] == ["events.0.timestamp: 'yesterday' is not a moment and was left out"]
    assert len(await events_in(log)) == 1


@pytest.mark.parametrize("delivery", [structured(), binary("ce-")], ids=["structured", "binary"])
async def test_cloudevents_come_by_http_in_both_modes(delivery: Delivery) -> None:
    log = MemoryLog()
    hook = OPEN.model_copy(update={"dialect": "cloudevents"})
    async with calling(app(log, hooks={"ci": hook})) as client:
        answer = await send(client, delivery, "ci")
    assert answer.status_code == 202
    assert [event.source for event in await events_in(log)] == ["towline/hooks/ci"]


async def test_nothing_is_answered_before_the_log_has_acknowledged() -> None:
    reached, acknowledge = asyncio.Event(), asyncio.Event()

    async def hold(_: Append) -> None:
        reached.set()
        await acknowledge.wait()

    async with calling(app(MemoryLog(before_append=hold))) as client:
        sending = asyncio.create_task(send(client, distribution(distribution_event())))
        async with asyncio.timeout(10):
            await reached.wait()
            # Whatever is ready to run has run: only the acknowledgement is missing.
            for _ in range(100):
                await asyncio.sleep(0)
            assert not sending.done()
            acknowledge.set()
            assert (await sending).status_code == 202


async def test_a_log_that_is_away_asks_the_sender_to_come_again() -> None:
    async def away(_: Append) -> None:
        raise LogUnavailableError("broker kafka-0.internal:9092 said canary")

    log = MemoryLog(before_append=away)
    async with calling(app(log)) as client:
        refused = await send(client, distribution(distribution_event()))
        log.before_append = None
        accepted = await send(client, distribution(distribution_event()))
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert "canary" not in refused.text
    assert accepted.status_code == 202
    assert len(await events_in(log)) == 1


@pytest.mark.parametrize("error", [TopicMismatchError, LogError])
async def test_a_log_that_refuses_is_not_an_accepted_delivery(error: type[LogError]) -> None:
    async def refuse(_: Append) -> None:
        raise error("canary")

    async with calling(app(MemoryLog(before_append=refuse))) as client:
        answer = await send(client, distribution(distribution_event()))
    assert answer.status_code == 503
    assert "canary" not in answer.text


@pytest.mark.parametrize(("site", "kept"), [("gateway.body_read", 0), ("gateway.events_acked", 1)])
async def test_a_gateway_that_fails_between_log_and_answer_gets_the_same_event_again(site: str, kept: int) -> None:
    log = MemoryLog()
    async with calling(app(log, failpoints=f"{site}:raise@1")) as client:
        failed = await send(client, distribution(distribution_event()))
        assert len(await events_in(log)) == kept
        accepted = await send(client, distribution(distribution_event()))
    assert failed.status_code == 500
    assert failed.json() == {"error": {"reason": "internal error"}}
    assert accepted.status_code == 202
    assert {event.id for event in await events_in(log)} == set(accepted.json()["events"])
    assert len(await events_in(log)) == kept + 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/hooks/other", 404),
        ("POST", "/hooks/local/", 404),
        ("POST", "/hooks/", 404),
        ("POST", "/hooks/..%2flocal", 404),
        ("POST", "/hooks/%00", 404),
        ("POST", "/hooks/\u00e9", 404),
        ("GET", "/hooks/local", 405),
        ("PUT", "/hooks/local", 405),
        ("GET", "/nothing", 404),
    ],
)
async def test_what_is_not_there_is_refused_in_the_one_shape(method: str, path: str, status: int) -> None:
    async with calling(app(MemoryLog())) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert_refused(answer.json())


def assert_refused(answer: Any) -> None:
    assert list(answer) == ["error"]
    assert list(answer["error"]) == ["reason"]
    assert answer["error"]["reason"]
    assert "local" not in json.dumps(answer)
