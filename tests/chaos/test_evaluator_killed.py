"""W01: SIGKILL of the evaluator at each step. Decisions are byte-identical, and none is missing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.commands import CopyImage
from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.policies import PolicySet
from schemas.references import Frozen
from streams.replay.verify import Comparison, verify
from streams.topics import COMMANDS
from tests.integration.test_faust_is_harmless import POLICIES, pushes
from tests.support.brokers import BrokerUnderTest
from tests.support.builders import policy, pushed, rule_on
from tests.support.checkers import check_all
from tests.support.facts import scanned
from tests.support.system import MOMENT, System, system
from towline.failpoints import SITES

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.asyncio(loop_scope="module")]

STEPS = sorted(site for site in SITES if site.startswith("evaluator."))
SIGKILLED = -9


#: A scan ends the hold, and travels with the promotion.
HELD = policy("held-to-qa", "here/held/app", "here/held-qa/app", rule_on("vulnerability_critical", "<=", "0"))


def held_and_scanned(count: int, *, first: int) -> list[Envelope[Frozen]]:
    """Pushes that are held, and the scans that end it."""
    events: list[Envelope[Frozen]] = []
    for number in range(first, first + count):
        events.append(pushed(f"here/held/app:{number}", f"held {number}", media_type=OCI_MANIFEST, time=MOMENT))
        events.append(scanned("here/held/app", f"held {number}", time=MOMENT))
    return events


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(module_broker: BrokerUnderTest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder: Path = tmp_path_factory.mktemp("evaluator")
    async with system(module_broker.bootstrap, folder, registries={"here": {"url": "http://127.0.0.1:1"}}) as built:
        first = await built.start("evaluate", name="publisher")
        await built.apply(PolicySet(policies=(*POLICIES.policies, HELD)))
        assert await first.terminate() == 0
        yield built


@pytest.mark.parametrize("same_disk", [True, False], ids=["on the same disk", "on another machine"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_repeats_the_same_bytes_and_loses_nothing(
    one: System, step: str, same_disk: bool
) -> None:
    first = (STEPS.index(step) * 2 + same_disk) * 60
    events: list[Envelope[Frozen]] = [*pushes(60, first=first), *held_and_scanned(10, first=first)]
    # Ticks reach the sites too, so it dies whether or not it has come to the pushes.
    hit = 20 if step == "evaluator.fetched" else 5
    doomed = await one.start("evaluate", name=f"{step}-{same_disk}", failpoints=f"{step}:kill@{hit}")
    for start in range(0, len(events), 10):
        await one.push(events[start : start + 10])
    assert await doomed.ended() == SIGKILLED
    successor = await one.start("evaluate", name=f"{step}-{same_disk}" if same_disk else f"{step}-elsewhere")
    await one.decided(events)
    assert await successor.terminate() == 0
    await assert_nothing_was_invented(one)


async def assert_nothing_was_invented(one: System) -> None:
    result = await verify(one.log, Comparison(wait_seconds=10))
    assert result.is_identical, result
    decisions = await one.decisions()
    contents: dict[str, set[str]] = {}
    for decision in decisions:
        contents.setdefault(decision.id, set()).add(repr(decision))
    assert all(len(found) == 1 for found in contents.values()), "an id stands for two contents"
    await check_all(one.log)
    promoted = {decision.id for decision in decisions if decision.data.verdict == "promote"}
    commands = [item.envelope.data for item in await one.records(COMMANDS)]
    commanded = {command.decision_id for command in commands if isinstance(command, CopyImage)}
    assert commanded == promoted
