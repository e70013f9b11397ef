"""The notifier dies: the receiver sees the same webhook again at most, and each ends once (N02, W04, I9)."""

from collections.abc import AsyncIterator

import pytest

from agents.outcomes import end_id
from agents.partition_state import JOURNAL_KEY
from agents.table import MemoryTable
from schemas.envelope import Envelope
from schemas.webhooks import DeliverWebhook, WebhookDelivered, WebhookFailed
from tests.support.receivers import Receiver, answering, receiving
from tests.support.waiting import eventually
from tests.unit.agents.notifying import BODY, SECRET, STEP_SECONDS, Life, Scene, notifying, webhook
from towline import limits
from towline.failpoints import SITES

STEPS = sorted(site for site in SITES if site.startswith("notifier."))
COMMANDS = [webhook(f"{name} {number}", name) for name in ("one", "two") for number in range(3)]


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


async def until_failed(life: Life) -> None:
    async def so() -> bool:
        return bool(life.run.failures)

    await eventually(so, seconds=STEP_SECONDS, what="the failpoint")


async def until_waiting(life: Life, count: int) -> None:
    async def so() -> bool:
        return sum(life.notifier.lines.counts().values()) == count and not life.run.failures

    await eventually(so, seconds=STEP_SECONDS, what=f"{count} that wait: {life.run.failures}")


@pytest.mark.parametrize("hit", [1, 2, 5])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "notifier.fetched"])
async def test_a_failure_at_any_step_leaves_each_webhook_one_end_and_one_id(
    scene: Scene, ci: Receiver, step: str, hit: int
) -> None:
    ci.replies = [answering(503)]
    await scene.tell(*COMMANDS)
    doomed = await scene.start(f"{step}:raise@{hit}")
    if hit == 1 or step in {"notifier.post_next", "notifier.answered", "notifier.outcome_acked"}:
        await until_failed(doomed)
    await doomed.end()
    second = await scene.restart()

    async def told() -> bool:
        scene.time.pass_by(10)
        return {end_id(item.id) for item in COMMANDS} <= {event.id for event in await scene.events()}

    await eventually(told, seconds=STEP_SECONDS, what="an end for every command")
    assert {type(end) for end in await scene.ended(*COMMANDS)} == {WebhookDelivered}
    assert len(await scene.events()) == len(COMMANDS)
    assert set(ci.ids()) == {item.id for item in COMMANDS}
    assert {told.body for told in ci.told} == {BODY.encode()}
    assert second.run.failures == []


async def test_a_crash_after_the_answer_tells_the_receiver_the_same_id_again(scene: Scene, ci: Receiver) -> None:
    one = webhook("one")
    await scene.tell(one)
    doomed = await scene.start("notifier.answered:raise")
    await until_failed(doomed)
    await doomed.end()
    assert await scene.events() == []
    await scene.restart()
    await scene.ended(one)
    assert ci.ids() == [one.id, one.id]


async def test_what_was_delivered_is_not_sent_again_by_the_next_life_even_without_its_table(
    scene: Scene, ci: Receiver
) -> None:
    await scene.tell(*COMMANDS)
    await scene.start()
    await scene.ended(*COMMANDS)
    await scene.lives[-1].end()
    await (await scene.restart()).end()
    scene.table = MemoryTable()
    last = await scene.start()

    async def read_again() -> bool:
        return len(last.run.acknowledged) == len(COMMANDS)

    await eventually(read_again, seconds=STEP_SECONDS, what="all commands read again")
    assert len(ci.told) == len(COMMANDS)


async def test_after_a_restart_the_next_attempt_is_the_one_that_is_due_and_the_count_goes_on(
    scene: Scene, ci: Receiver
) -> None:
    ci.replies = [answering(503), answering(503)]
    one = webhook("one")
    await scene.tell(one)
    first = await scene.start()
    await scene.passed(first, 1)
    await until_waiting(first, 1)
    await first.end()
    scene.time.pass_by(20)
    second = await scene.restart()
    await until_waiting(second, 1)
    assert len(ci.told) == 2, "the pause of a minute is not over"
    await scene.passed(second, 1)
    [end] = await scene.ended(one)
    assert end.attempts == 3


async def test_an_attempt_that_was_missed_while_nobody_ran_is_made_at_once(scene: Scene, ci: Receiver) -> None:
    ci.replies = [answering(503)]
    one = webhook("one")
    await scene.tell(one)
    first = await scene.start()
    await until_waiting(first, 1)
    await first.end()
    scene.time.pass_by(3600)
    await scene.restart()
    [end] = await scene.ended(one)
    assert end.attempts == 2


async def test_a_clock_that_was_wrong_keeps_nothing_waiting_for_longer_than_a_pause(scene: Scene, ci: Receiver) -> None:
    ci.replies = [answering(503)]
    one = webhook("one")
    scene.time.pass_by(10 * 365 * 86_400)
    await scene.tell(one)
    first = await scene.start()
    await until_waiting(first, 1)
    await first.end()
    scene.time.pass_by(-10 * 365 * 86_400)
    second = await scene.restart()
    await until_waiting(second, 1)
    begun = scene.time.now
    await scene.passed(second, 1)
    assert scene.time.now - begun <= 1.1 * max(limits.webhook_pauses_seconds)
    await scene.ended(one)


async def until_only_ends(scene: Scene, *commands: Envelope[DeliverWebhook]) -> None:
    """Wait until the table has nothing but that these commands ended."""
    assert isinstance(scene.table, MemoryTable)
    parts = scene.table.parts
    known = sorted(f"command {item.id}".encode() for item in commands)

    async def so() -> bool:
        entries = [(key, entry) for part in parts.values() for key, entry in part.items() if key != JOURNAL_KEY]
        return sorted(key for key, _ in entries) == known and all(b'"ended"' in entry for _, entry in entries)

    await eventually(so, seconds=STEP_SECONDS, what="a table of ends alone")


async def test_what_was_given_up_leaves_nothing_of_its_attempts_in_the_table(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "webhook_pauses_seconds", (5.0,))
    ci.usual = answering(503)
    one, two = webhook("one"), webhook("two", "two")
    await scene.tell(one, two)
    first = await scene.start()
    await until_waiting(first, 2)
    await first.end()
    scene.time.pass_by(10)
    await scene.restart()
    assert {type(end) for end in await scene.ended(one, two)} == {WebhookFailed}
    await until_only_ends(scene, one, two)


async def test_when_something_was_told_last_is_forgotten_when_nothing_waits_that_could_ask(
    scene: Scene, ci: Receiver
) -> None:
    one = webhook("one")
    await scene.tell(one)
    await (await scene.start()).run.drain()
    await scene.ended(one)
    assert isinstance(scene.table, MemoryTable)
    parts = scene.table.parts

    async def remembered() -> bool:
        return any(b"told one" in part for part in parts.values())

    await eventually(remembered, seconds=STEP_SECONDS, what="when it was told")
    await scene.lives[-1].end()
    scene.time.pass_by(1)
    await scene.restart()
    await until_only_ends(scene, one)


async def test_what_was_told_before_a_restart_counts_after_it(
    scene: Scene, ci: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "webhook_pauses_seconds", (5.0,))
    ci.replies = [answering(503), answering(200), answering(503)]
    one, two = webhook("one"), webhook("two")
    await scene.tell(one)
    first = await scene.start()
    await until_waiting(first, 1)
    await scene.tell(two)
    await first.run.drain()
    await scene.ended(two)
    await first.end()
    scene.time.pass_by(10)
    await scene.restart()
    assert {type(end) for end in await scene.ended(one)} == {WebhookFailed}
    assert await scene.ends_of_subscriptions() == []
