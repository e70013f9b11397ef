"""Receivers that are slow or away hold up nobody else, and what waits for them is bounded."""

from collections.abc import AsyncIterator

import pytest
from starlette.types import Send

from agents.lines import Lines, Waiting
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
    most_held = 0

    async def looking(send: Send) -> None:
        nonlocal most_held
        most_held = max(most_held, in_memory(life))
        await answering(200)(send)

    slow.usual = looking
    commands = [webhook(f"burst {number}", "all", "slow") for number in range(50)]
    await scene.tell(*commands)
    life = await scene.start()
    await until_waiting(life, at_most=WINDOW, slow=3)
    slow.open.set()
    assert {type(end) for end in await scene.ended(*commands)} == {WebhookDelivered}
    assert sorted(slow.ids()) == sorted(item.id for item in commands)
    # Those of the window, and those that a turn brought back into the pool.
    assert 0 < most_held <= WINDOW + TURNS


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


async def test_what_was_attempted_before_is_not_given_up_after_a_restart_because_many_wait(
    scene: Scene, slow: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.replies = [answering(503)] * 4
    commands = [webhook(f"first {number}", "all", "slow") for number in range(3)]
    await scene.tell(*commands)
    first = await scene.start()
    await until_waiting(first, at_most=0, slow=3)
    await first.end()
    monkeypatch.setattr(limits, "waiting_delivery_count", 0)
    scene.time.pass_by(10)
    second = await scene.restart()
    await until_waiting(second, at_most=0, slow=1)
    scene.time.pass_by(70)
    ends = await scene.ended(*commands)
    assert sorted(end.attempts for end in ends) == [2, 2, 3]


# -- A line ------------------------------------------------------------------------------------------------------------


def delivery(number: int, *, due: float = 0.0, partition: int = 0) -> Waiting:
    return Waiting(due, number, partition, f"id {number}", "slow")


def test_who_comes_takes_no_turn_from_those_who_wait_for_it() -> None:
    lines = Lines()
    assert all(lines.begin(delivery(number), 1.0) for number in range(TURNS))
    assert not lines.begin(delivery(10), 1.0)
    lines.wait(delivery(10))
    lines.end("slow", "id 0")
    assert not lines.begin(delivery(11), 1.0)
    assert lines.admit(1.0) == delivery(10)
    assert lines.admit(1.0) is None


def test_those_who_wait_for_later_keep_nobody_from_a_turn_now() -> None:
    lines = Lines()
    lines.wait(delivery(1, due=5.0))
    assert lines.begin(delivery(2), 1.0)
    assert lines.next_moment() == 5.0
    assert lines.admit(4.9) is None
    assert lines.admit(5.0) == delivery(1, due=5.0)


def test_a_partition_that_is_forgotten_gives_its_turns_back() -> None:
    lines = Lines()
    assert all(lines.begin(delivery(number, partition=number % 2), 1.0) for number in range(TURNS))
    lines.wait(delivery(10, partition=0))
    lines.wait(delivery(11, partition=1))
    lines.forget(0)
    assert lines.counts() == {"slow": 1}
    assert [lines.begin(delivery(20 + number, partition=1), 0.0) for number in range(2)] == [False, False]
    assert lines.admit(1.0) == delivery(11, partition=1)
    assert lines.begin(delivery(22, partition=1), 1.0)
    assert not lines.begin(delivery(23, partition=1), 1.0)
