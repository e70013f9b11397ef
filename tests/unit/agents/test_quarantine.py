"""An event that a bug of ours stops at: it is not lost, an operator sets it aside, and later it is sent again (E10)."""

from collections.abc import Collection
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from agents.evaluator import Evaluator
from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.deadletters import DeadLetter
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams import folding
from streams.deadletters import QUARANTINED
from streams.memory_log import MemoryLog
from streams.metrics import Metrics
from streams.redelivery import event_again
from streams.replay.verify import Comparison, verify
from streams.topics import DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import appends_of, at, policy, published, pushed, record_events
from tests.support.checkers import all_records, check_exactly_once_by_id
from tests.unit.agents.harness import PARTITIONS, Place, Run
from towline.settings import WorkerSettings

STOPS = pushed("local/dev/app:1.0", "stops")
BEHIND = pushed("local/dev/app:2.0", "behind")
(HOME,) = appends_of(STOPS, PARTITIONS)
PLACE = (HOME.partition or 0, 1)


@pytest.fixture
async def log() -> MemoryLog:
    made = MemoryLog(partitions=PARTITIONS)
    policies = published(policy("to-qa", "local/dev/app", "local/qa/app"))
    await record_events(made, policies, STOPS, BEHIND, partitions=PARTITIONS)
    return made


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The core fails at one valid event; undo it, and it is mended."""
    take = folding.take

    def buggy(state: Any, event: Envelope[Frozen]) -> Any:
        if event.id == STOPS.id:
            raise ZeroDivisionError
        return take(state, event)

    monkeypatch.setattr(folding, "take", buggy)
    return monkeypatch


async def life(
    log: MemoryLog, table: MemoryTable, quarantined: Collection[Place] = (), committed: Collection[Place] = ()
) -> Run:
    """Let an evaluator work until it has taken in everything, or failed."""
    handler = Evaluator(PARTITIONS, Metrics([]), quarantined)
    run = Run(log, table, handler=handler, committed=sorted(committed))
    await run.drain()
    await run.shell.close()
    return run


async def decided(log: MemoryLog) -> list[str]:
    data = [decode(record.value or b"").data for record in await all_records(log, DECISIONS)]
    return [item.event_id for item in data if isinstance(item, Decision)]


async def test_the_worker_stops_names_the_place_and_acknowledges_nothing_from_there_on(
    log: MemoryLog, bug: pytest.MonkeyPatch
) -> None:
    with capture_logs() as said:
        first = await life(log, MemoryTable())
    again = await life(log, MemoryTable(), committed=first.acknowledged)
    for run in (first, again):
        assert isinstance(run.failures[0], ZeroDivisionError)
        assert all(offset < PLACE[1] for partition, offset in run.acknowledged if partition == PLACE[0])
    (line,) = [line for line in said if line["event"] == "a record stops this worker"]
    assert (line["topic"], line["place"]) == (EVENTS, f"{PLACE[0]}/{PLACE[1]}")
    assert STOPS.id not in await decided(log)
    assert await all_records(log, DEADLETTERS) == []


async def test_in_quarantine_it_is_a_dead_letter_and_what_is_behind_it_is_decided(
    log: MemoryLog, bug: pytest.MonkeyPatch
) -> None:
    table = MemoryTable()
    stopped = await life(log, table)
    run = await life(log, table, {PLACE}, stopped.acknowledged)
    assert run.failures == []
    assert await decided(log) == [BEHIND.id]
    (letter,) = [decode(record.value or b"").data for record in await all_records(log, DEADLETTERS)]
    assert isinstance(letter, DeadLetter)
    assert (letter.partition, letter.offset, letter.reason) == (*PLACE, QUARANTINED)


async def test_once_the_bug_is_mended_it_is_sent_again_and_every_fold_agrees(
    log: MemoryLog, bug: pytest.MonkeyPatch
) -> None:
    await life(log, MemoryTable(), {PLACE})
    bug.undo()
    await log.append_all((await event_again(log, STOPS.id, at(60))).appends)
    rebuilt = await life(log, MemoryTable(), {PLACE})
    assert rebuilt.failures == []
    assert set(await decided(log)) == {BEHIND.id, STOPS.id}
    await check_exactly_once_by_id(log)
    assert (await verify(log, Comparison(quarantined={PLACE}))).is_identical
    # Who does not know of the quarantine expects its decision where the event stood first.
    assert (await verify(log)).late == 1


def test_places_are_read_and_nothing_else_is() -> None:
    settings = WorkerSettings(quarantine=("3/1234", "0/0"))
    assert settings.quarantined == {(3, 1234), (0, 0)}
    for other in ("3", "3/", "3/-1", "a/1", STOPS.id):
        with pytest.raises(ValidationError):
            WorkerSettings(quarantine=(other,))
