"""Faust may lose what it fetched, restart and rebalance: every event still has exactly one decision by id."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.envelope import Envelope
from schemas.events import ImagePushed
from schemas.policies import PolicySet
from streams.replay.verify import Comparison, verify
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy, rule
from tests.support.system import System, pushed, system
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka

POLICIES = PolicySet(
    policies=tuple(
        policy(f"app-{number}", f"here/dev/app{number}", f"here/qa/app{number}", rule("ends-with", "-stable"))
        for number in range(8)
    )
)


def pushes(count: int, first: int = 0) -> list[Envelope[ImagePushed]]:
    return [
        pushed(f"here/dev/app{number % 8}", f"{number}-{'stable' if number % 2 else 'nightly'}", f"push {number}")
        for number in range(first, first + count)
    ]


@pytest.fixture
async def one(fresh_broker: BrokerUnderTest, tmp_path: Path) -> AsyncIterator[System]:
    async with system(fresh_broker.bootstrap, tmp_path, registries={"here": {"url": "http://127.0.0.1:1"}}) as built:
        yield built


async def assert_each_decided_once(one: System, events: list[Envelope[ImagePushed]]) -> None:
    """Exactly one decision by id for each event, and its repetitions have the same bytes."""
    by_id: dict[str, set[str]] = {}
    contents: dict[str, set[str]] = {}
    for decision in await one.decisions():
        by_id.setdefault(decision.data.event_id, set()).add(decision.id)
        contents.setdefault(decision.id, set()).add(repr(decision))
    assert {event_id: len(ids) for event_id, ids in by_id.items()} == {event.id: 1 for event in events}
    assert all(len(found) == 1 for found in contents.values())
    result = await verify(one.log, Comparison(wait_seconds=10))
    assert result.is_identical, result
    assert result.decisions == len(events)


async def test_two_workers_one_restarted_midway_decide_every_event_exactly_once(one: System) -> None:
    events = pushes(800)
    first = await one.start("evaluate", name="first")
    second = await one.start("evaluate", name="second")
    await one.apply(POLICIES)
    await one.push(events[:300])
    await one.decided(events[:100])
    await one.push(events[300:500])
    assert await second.terminate() == 0
    await one.push(events[500:600])
    await one.start("evaluate", name="second")
    for start in range(600, 800, 20):
        await one.push(events[start : start + 20])
    await one.decided(events)
    assert first.process.returncode is None
    await assert_each_decided_once(one, events)


async def test_two_workers_one_killed_midway_decide_every_event_exactly_once(one: System) -> None:
    events = pushes(800)
    await one.start("evaluate", name="first")
    second = await one.start("evaluate", name="second")
    await one.apply(POLICIES)
    await one.push(events[:400])
    await one.decided(events[:50])
    await second.kill()
    await one.push(events[400:600])
    await one.start("evaluate", name="third")
    await one.push(events[600:])
    await one.decided(events)
    await assert_each_decided_once(one, events)


async def test_a_rebalance_in_the_middle_of_a_backlog_stops_nobody(one: System) -> None:
    events = pushes(6000)
    # A second for each batch, so that its queues are full when the other one joins.
    await one.start("evaluate", name="first", failpoints="evaluator.decided:delay@1+1000000")
    await one.apply(POLICIES)
    await one.push(events)
    await one.decided(events[:10])
    second = await one.start("evaluate", name="second")
    await one.decided(events[:5000])
    await second.terminate()
    await one.decided(events)
    await assert_each_decided_once(one, events)


DROP_FIFTY = "evaluator.fetched:drop@60+49"


async def test_fifty_events_that_the_consumer_drops_are_healed_from_the_log(one: System) -> None:
    events = pushes(400)
    await one.start("evaluate", failpoints=DROP_FIFTY)
    await one.apply(POLICIES)
    await one.push(events)
    await one.decided(events)
    await assert_each_decided_once(one, events)


async def test_without_the_guard_the_dropped_events_stay_undecided(one: System) -> None:
    """The test of the test above: it is the guard that heals, nothing else."""
    events = pushes(400)
    await one.start("evaluate", failpoints=f"{DROP_FIFTY},shell.guard:drop@1+1000000")
    await one.apply(POLICIES)
    await one.push(events)

    async def the_rest_is_decided() -> bool:
        return len(await one.undecided(events)) <= 50

    await eventually(the_rest_is_decided, seconds=60, what="decisions on the events that were not dropped")
    undecided = len(await one.undecided(events))
    # Ticks are among what was dropped.
    assert 0 < undecided <= 50
    later = pushes(100, first=400)
    await one.push(later)
    await one.decided(later)
    assert len(await one.undecided(events)) == undecided
    assert not (await verify(one.log)).is_identical
