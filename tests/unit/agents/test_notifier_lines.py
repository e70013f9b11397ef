"""Receivers that are slow or away hold up nobody else, and what waits for them is bounded."""

from collections.abc import AsyncIterator

import pytest

from schemas.webhooks import WebhookDelivered, WebhookFailed
from tests.support.receivers import Receiver, answering, receiving
from tests.support.waiting import eventually
from tests.unit.agents.notifying import SECRET, STEP_SECONDS, Life, Scene, notifying, webhook
from towline import limits

#: Fewer than the webhooks of the tests: what is beyond is in the log alone. More than twice the turns of a receiver.
WINDOW = 10
TURNS = limits.requests_per_host_count


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setattr(limits, "waiting_command_count", WINDOW)


@pytest.fixture
async def slow() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def quick() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def scene(slow: Receiver, quick: Receiver) -> AsyncIterator[Scene]:
    async with notifying({"slow": slow.url, "quick": quick.url}) as made:
        yield made


def waiting(life: Life) -> dict[str, int]:
    return {name: count for name, count in life.notifier.lines.counts().items() if count}


async def until_waiting(life: Life, *, at_most: int, **counts: int) -> None:
    """Wait until so many wait, and no more than ``at_most`` are in the pool."""

    async def so() -> bool:
        return waiting(life) == counts and in_memory(life) <= at_most and not life.run.failures

    await eventually(so, seconds=STEP_SECONDS, what=f"{counts} that wait: {waiting(life)} {life.run.failures}")


def in_memory(life: Life) -> int:
    pool = life.notifier.pool
    return len(pool._running) + sum(map(len, pool._waiting.values()))


async def test_a_slow_receiver_holds_up_no_other_in_its_own_partition(
    scene: Scene, slow: Receiver, quick: Receiver
) -> None:
    slow.open.clear()
    # The same subscription, so that all are in one partition, the slow ones before the quick one.
    slows = [webhook(f"slow {number}", "all", "slow") for number in range(5 * WINDOW)]
    last = webhook("quick", "all", "quick")
    await scene.tell(*slows, last)
    life = await scene.start()
    [delivered] = await scene.ended(last)
    assert isinstance(delivered, WebhookDelivered)
    await until_waiting(life, at_most=TURNS, slow=5 * WINDOW - TURNS)
    slow.open.set()
    assert {type(end) for end in await scene.ended(*slows)} == {WebhookDelivered}
    assert sorted(slow.ids()) == sorted(item.id for item in slows)
    assert slow.most_running == TURNS


async def test_a_receiver_that_is_away_holds_up_no_other_in_its_own_partition(
    scene: Scene, slow: Receiver, quick: Receiver
) -> None:
    slow.usual = answering(503)
    aways = [webhook(f"away {number}", "all", "slow") for number in range(5 * WINDOW)]
    last = webhook("quick", "all", "quick")
    await scene.tell(*aways, last)
    life = await scene.start()
    await scene.ended(last)

    async def all_attempted() -> bool:
        return len(slow.told) == len(aways)

    await eventually(all_attempted, seconds=STEP_SECONDS, what="a first attempt at each")
    await until_waiting(life, at_most=0, slow=5 * WINDOW)
    slow.usual = answering(200)
    scene.time.pass_by(10)
    assert [end.attempts for end in await scene.ended(*aways)] == [2] * len(aways)


async def test_too_many_that_wait_for_a_receiver_that_fails_end_as_failed(
    scene: Scene, slow: Receiver, quick: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "waiting_delivery_count", 3)
    slow.usual = answering(503)
    first = [webhook(f"first {number}", "all", "slow") for number in range(3)]
    beyond = [webhook(f"beyond {number}", "all", "slow") for number in range(3)]
    last = webhook("quick", "all", "quick")
    await scene.tell(*first)
    life = await scene.start()
    await until_waiting(life, at_most=0, slow=3)
    await scene.tell(*beyond, last)
    await life.run.drain()
    for end in await scene.ended(*beyond):
        assert isinstance(end, WebhookFailed)
        assert (end.cause, end.attempts, end.retryable) == ("backlog", 0, True)
    await scene.ended(last)
    slow.usual = answering(200)
    scene.time.pass_by(10)
    assert {type(end) for end in await scene.ended(*first)} == {WebhookDelivered}


async def test_a_burst_for_a_receiver_that_does_not_fail_loses_nothing_whatever_the_bound(
    scene: Scene, slow: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "waiting_delivery_count", 3)
    slow.open.clear()
    commands = [webhook(f"burst {number}", "all", "slow") for number in range(50)]
    await scene.tell(*commands)
    life = await scene.start()
    await until_waiting(life, at_most=TURNS + WINDOW, slow=3)
    slow.open.set()
    assert {type(end) for end in await scene.ended(*commands)} == {WebhookDelivered}
    assert sorted(slow.ids()) == sorted(item.id for item in commands)


async def test_the_older_ones_are_told_before_those_that_come_while_they_wait(scene: Scene, slow: Receiver) -> None:
    slow.open.clear()
    older = [webhook(f"older {number}", "all", "slow") for number in range(8)]
    await scene.tell(*older)
    life = await scene.start()
    await until_waiting(life, at_most=TURNS, slow=8 - TURNS)
    newer = [webhook(f"newer {number}", "all", "slow") for number in range(8)]
    await scene.tell(*newer)
    await life.run.drain()
    await until_waiting(life, at_most=TURNS, slow=16 - TURNS)
    slow.open.set()
    await scene.ended(*older, *newer)
    assert set(slow.ids()[:8]) == {item.id for item in older}


async def test_a_partition_that_is_given_up_takes_its_webhooks_along_and_its_turns_are_free(
    scene: Scene, slow: Receiver
) -> None:
    slow.open.clear()
    commands = [webhook(f"burst {number}", "all", "slow") for number in range(2 * WINDOW)]
    await scene.tell(*commands)
    life = await scene.start()
    await until_waiting(life, at_most=TURNS, slow=2 * WINDOW - TURNS)
    await life.run.shell.give_up(range(3))
    await until_waiting(life, at_most=0)
    slow.open.set()
    second = await scene.restart()
    assert {type(end) for end in await scene.ended(*commands)} == {WebhookDelivered}
    assert second.run.failures == []
