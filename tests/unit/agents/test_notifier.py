"""The notifier: who answers what, and how it goes on (N01, N03, S01, S05)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from schemas.webhooks import WebhookDelivered, WebhookFailed
from tests.support.receivers import Receiver, Reply, answering, broken, endless, receiving, silent, verified
from tests.support.waiting import eventually
from tests.unit.agents.notifying import BODY, SECRET, STEP_SECONDS, Scene, notifying, webhook
from towline import limits
from towline.net.http import USER_AGENT
from towline.settings import ReceiverSettings


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.fixture
async def ci() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def scene(ci: Receiver) -> AsyncIterator[Scene]:
    async with notifying({"ci": ci.url}) as made:
        yield made


async def test_a_receiver_is_told_once_and_can_verify_by_whom(scene: Scene, ci: Receiver) -> None:
    one = webhook("one")
    await scene.tell(one)
    await scene.start()
    assert await scene.ended(one) == [
        WebhookDelivered(
            command_id=one.id,
            cause_id=one.data.cause_id,
            subscription="one",
            receiver="ci",
            attempts=1,
            status_code=204,
        )
    ]
    [told] = ci.told
    assert (told.path, told.body) == ("/hook", BODY.encode())
    assert (told["webhook-id"], told["webhook-timestamp"]) == (one.id, str(int(scene.time.now)))
    assert (told["content-type"], told["user-agent"]) == ("application/json", USER_AGENT)
    assert verified(told, SECRET)
    assert not {"authorization", "cookie"} & {name for name, _ in told.headers}


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (answering(500), 500),
        (answering(503, {"retry-after": "nonsense"}), 503),
        (answering(401), 401),
        (answering(404), 404),
        (answering(302, {"location": "/elsewhere"}), 302),
        (answering(307, {"location": "http://127.0.0.1:1/"}), 307),
        (endless(500), 500),
        (silent, None),
    ],
    ids=["500", "503", "401", "404", "302", "307", "endless", "silent"],
)
async def test_any_answer_but_2xx_is_tried_again_with_the_same_id(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch, reply: Reply, status: int | None
) -> None:
    monkeypatch.setattr(limits, "request_deadline_seconds", 0.2 if status is None else 30.0)
    ci.replies = [reply]
    one = webhook("one")
    await scene.tell(one)
    life = await scene.start()
    await scene.passed(life, 1)
    [delivered] = await scene.ended(one)
    assert isinstance(delivered, WebhookDelivered)
    assert delivered.attempts == 2
    assert [told.path for told in ci.told] == ["/hook", "/hook"]
    assert ci.ids() == [one.id, one.id]
    first, second = (int(told["webhook-timestamp"]) for told in ci.told)
    assert 4 <= second - first <= 6
    assert all(verified(told, SECRET) for told in ci.told)


@pytest.mark.parametrize("reply", [endless(200), answering(202, body=b"x" * 10_000_000), broken])
async def test_a_status_of_success_is_enough_whatever_the_body(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    ci.replies = [reply]
    one = webhook("one")
    await scene.tell(one)
    await scene.start()
    [delivered] = await scene.ended(one)
    assert isinstance(delivered, WebhookDelivered)
    assert len(ci.told) == 1


async def test_a_receiver_that_is_gone_ends_its_subscription_and_no_other(scene: Scene, ci: Receiver) -> None:
    ci.replies = [answering(410)]
    first = webhook("first", "leaving")
    await scene.tell(first)
    life = await scene.start()
    [gone] = await scene.ended(first)
    assert isinstance(gone, WebhookFailed)
    assert (gone.cause, gone.status_code, gone.attempts, gone.retryable) == ("gone", 410, 1, False)
    [ended] = await scene.ends_of_subscriptions()
    assert (ended.subscription, ended.receiver, ended.command_id, ended.revision) == ("leaving", "ci", first.id, 1)
    late, again, other = webhook("late", "leaving"), webhook("again", "leaving", revision=2), webhook("other", "other")
    await scene.tell(late, again, other)
    await life.run.drain()
    ends = await scene.ended(late, again, other)
    assert [type(end) for end in ends] == [WebhookFailed, WebhookDelivered, WebhookDelivered]
    assert ends[0].attempts == 0
    assert sorted(ci.ids()) == sorted([first.id, again.id, other.id])
    assert len(await scene.ends_of_subscriptions()) == 1


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120.0), ("9" * 400, 3600.0), ("0", 5.0)])
async def test_a_receiver_that_asks_for_patience_is_left_alone_by_all(
    scene: Scene, ci: Receiver, asked: str, seconds: float
) -> None:
    ci.replies = [answering(429, {"retry-after": asked})]
    one, two = webhook("one"), webhook("two", "two")
    await scene.tell(one)
    life = await scene.start()
    begun = scene.time.now
    await eventually(lambda: _is(sum(life.notifier.lines.counts().values()) == 1), seconds=STEP_SECONDS, what="a wait")
    await scene.tell(two)
    await life.run.drain()
    if seconds > 5:
        await scene.passed(life, 2)
        assert len(ci.told) == 1
        assert scene.time.now == begun + seconds
    else:
        await scene.ended(two)
        await scene.passed(life, 1)
    assert [end.attempts for end in await scene.ended(one, two)] == [2, 1]


async def _is(value: bool) -> bool:
    return value


async def test_after_the_last_attempt_it_fails_and_the_subscription_ends_that_got_nothing(
    scene: Scene, ci: Receiver
) -> None:
    ci.usual = answering(503)
    one, two = webhook("one"), webhook("two")
    await scene.tell(one, two)
    life, begun = await scene.start(), scene.time.now
    for _ in range(2 * len(limits.webhook_pauses_seconds)):
        await scene.passed(life, 2 if len(ci.told) < 21 else 1)
        count = len(ci.told)
        await eventually(lambda: _is(len(ci.told) > count), seconds=STEP_SECONDS, what="the next attempt")  # noqa: B023
    ends = await scene.ended(one, two)
    for end in ends:
        assert isinstance(end, WebhookFailed)
        assert (end.cause, end.status_code, end.attempts, end.retryable) == ("exhausted", 503, 11, True)
    assert len(ci.told) == 22
    assert 2.8 < (scene.time.now - begun) / 86_400 < 3.5
    [ended] = await scene.ends_of_subscriptions()
    assert ended.subscription == "one"
    assert ended.reason.startswith("nothing could be delivered for 3.")


async def test_a_subscription_that_is_told_other_things_meanwhile_does_not_end(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "webhook_pauses_seconds", (5.0,))
    ci.replies = [answering(500), answering(200), answering(500)]
    one, two = webhook("one"), webhook("two")
    await scene.tell(one)
    life = await scene.start()
    await eventually(lambda: _is(sum(life.notifier.lines.counts().values()) == 1), seconds=STEP_SECONDS, what="a wait")
    await scene.tell(two)
    await life.run.drain()
    await scene.ended(two)
    await scene.passed(life, 1)
    [failed] = await scene.ended(one)
    assert isinstance(failed, WebhookFailed)
    assert (failed.cause, failed.attempts) == ("exhausted", 2)
    assert await scene.ends_of_subscriptions() == []


async def test_while_a_secret_is_replaced_both_sign_and_a_new_one_counts_from_the_next_attempt_on(
    ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXT_SECRET", "whsec_bmV4dA==")
    ci.replies = [answering(500)]
    async with notifying({"ci": ci.url}, secrets=["env:NEXT_SECRET", "env:HOOK_SECRET"]) as scene:
        one = webhook("one")
        await scene.tell(one)
        life = await scene.start()
        await eventually(lambda: _is(len(ci.told) == 1), seconds=STEP_SECONDS, what="the first attempt")
        assert verified(ci.told[0], SECRET)
        assert verified(ci.told[0], "whsec_bmV4dA==")
        monkeypatch.setenv("HOOK_SECRET", "a third")
        await scene.passed(life, 1)
        await scene.ended(one)
    assert verified(ci.told[1], "whsec_bmV4dA==")
    assert verified(ci.told[1], "a third")
    assert not verified(ci.told[1], SECRET)


async def test_what_is_wrong_in_the_settings_can_be_put_right_while_its_webhooks_wait(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    one, unknown = webhook("one"), webhook("two", receiver="unknown")
    await scene.tell(one, unknown)
    life = await scene.start()
    await scene.passed(life, 2)
    assert ci.told == []
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    scene.settings["unknown"] = ReceiverSettings(url=f"{ci.url}/hook", secrets=("env:HOOK_SECRET",))
    scene.time.pass_by(120)
    assert [type(end) for end in await scene.ended(one, unknown)] == [WebhookDelivered, WebhookDelivered]


@pytest.mark.parametrize("url", ["http://169.254.169.254/hook", "http://127.0.0.1/hook", "http://localhost:1/hook"])
async def test_an_address_inside_is_not_dialled_unless_the_settings_allow_it(
    scene: Scene, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "webhook_pauses_seconds", ())
    monkeypatch.setenv("ADDRESS", url)
    scene.settings["inside"] = ReceiverSettings(url_from="env:ADDRESS")
    one = webhook("one", receiver="inside")
    await scene.tell(one)
    await scene.start()
    [failed] = await scene.ended(one)
    assert isinstance(failed, WebhookFailed)
    assert failed.cause == "exhausted"
    assert "egress" in failed.detail


async def test_no_secret_is_in_what_the_log_is_told(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "webhook_pauses_seconds", ())
    monkeypatch.setattr(limits, "request_deadline_seconds", 0.2)
    monkeypatch.setenv("ADDRESS", f"{ci.url}/canary-path?token=canary-query")
    monkeypatch.setenv("NO_ADDRESS", "canary without a host")
    monkeypatch.setenv("BAD_SECRET", "whsec_canary canary")
    scene.settings |= {
        "chat": ReceiverSettings(url_from="env:ADDRESS"),
        "none": ReceiverSettings(url_from="env:NO_ADDRESS"),
        "bad": ReceiverSettings(url_from="env:ADDRESS", secrets=("env:BAD_SECRET",)),
    }
    ci.replies = [answering(500, body=b"canary of the receiver"), silent]
    commands = [webhook(f"{name} {turn}", name, name) for name in ("chat", "none", "bad") for turn in range(2)]
    await scene.tell(*commands)
    await scene.start()
    ends = await scene.ended(*commands)
    assert {type(end) for end in ends} == {WebhookFailed}
    assert {told.path for told in ci.told} == {"/canary-path"}
    assert "canary" not in "".join(str(event.data) for event in await scene.events())


async def test_a_receiver_gets_no_more_at_a_time_than_the_bound(scene: Scene, ci: Receiver) -> None:
    commands = [webhook(str(number), f"subscription-{number % 5}") for number in range(30)]
    ci.open.clear()
    await scene.tell(*commands)
    await scene.start()
    bound = limits.requests_per_host_count
    await eventually(lambda: _is(ci.running == bound), seconds=STEP_SECONDS, what="as many as may")
    ci.open.set()
    await scene.ended(*commands)
    assert ci.most_running == bound
    assert sorted(ci.ids()) == sorted(item.id for item in commands)


async def test_stopping_ends_what_is_under_way(scene: Scene, ci: Receiver) -> None:
    ci.open.clear()
    await scene.tell(webhook("one"))
    life = await scene.start()
    await eventually(lambda: _is(ci.running == 1), seconds=STEP_SECONDS, what="an attempt")
    await asyncio.wait_for(life.end(), 10)
    assert await scene.events() == []
