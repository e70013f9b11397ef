"""The evaluator gives the commands to tell receivers once by id, whatever dies; subscriptions reach all partitions."""

import pytest

from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.webhooks import DeliverWebhook, SubscriptionsPublished
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, EVENTS
from tests.support.builders import record_events
from tests.support.checkers import all_records, check_determinism, check_exactly_once_by_id
from tests.support.subscriptions import subscription, subscription_ended, subscriptions_proposed
from tests.unit.agents.harness import PARTITIONS, Run, TearingTable, until
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY

STEPS = ("decided", "effects_acked", "journal_written", "table_written", "acked")
SETS = (
    subscription("pipeline", "transfer.completed", "decision.promote", repository="local/**"),
    subscription("chat", "decision.deny", "image.pushed", "image.deleted", format="text", template="{event} {reason}"),
    subscription("portal", "image.pushed", "transfer.completed", format="dtr"),
)


async def written_log() -> MemoryLog:
    log = MemoryLog(partitions=PARTITIONS)
    proposal = subscriptions_proposed(*SETS)
    await record_events(log, proposal, *HISTORY, partitions=PARTITIONS)
    # The revisions are in force before what is to be told.
    run = await finish(log, MemoryTable(), [])
    assert run.failures == []
    await record_events(log, *AFTER_PUBLICATION, subscription_ended("chat", revision=1), partitions=PARTITIONS)
    return log


async def finish(log: MemoryLog, table: MemoryTable, committed: list[tuple[int, int]]) -> Run:
    """Let a new process do what is left."""
    successor = Run(log, table, committed=committed)
    await successor.shell.take_over(range(PARTITIONS))
    await until(lambda: all(map(successor.shell.owns, range(PARTITIONS))), "all partitions taken over")
    await successor.drain()
    assert successor.failures == []
    await successor.shell.close()
    return successor


async def webhooks(log: MemoryLog) -> set[bytes]:
    values = {record.value or b"" for record in await all_records(log, COMMANDS)}
    return {value for value in values if isinstance(decode(value).data, DeliverWebhook)}


async def revisions(log: MemoryLog) -> dict[tuple[int, int], set[str]]:
    """Return the ids of the publications by partition and revision."""
    found: dict[tuple[int, int], set[str]] = {}
    for record in await all_records(log, EVENTS):
        event = decode(record.value or b"")
        if isinstance(event.data, SubscriptionsPublished):
            found.setdefault((record.partition, event.data.revision), set()).add(event.id)
    return found


@pytest.fixture
async def undisturbed() -> set[bytes]:
    log = await written_log()
    await finish(log, MemoryTable(), [])
    return await webhooks(log)


async def test_each_webhook_is_given_once_and_each_revision_is_in_each_partition(undisturbed: set[bytes]) -> None:
    assert len({decode(value).id for value in undisturbed}) == len(undisturbed) >= 10
    log = await written_log()
    await finish(log, MemoryTable(), [])
    assert {place: len(ids) for place, ids in (await revisions(log)).items()} == {
        (partition, revision): 1 for partition in range(PARTITIONS) for revision in (1, 2)
    }


@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
async def test_a_death_at_any_step_repeats_the_same_webhooks(step: str, hit: int, undisturbed: set[bytes]) -> None:
    log, table = await written_log(), MemoryTable()
    doomed = Run(log, table, failpoints=f"evaluator.{step}:raise@{hit}")
    await doomed.drain()
    assert doomed.failures, "the failpoint was not reached"
    await doomed.shell.close()
    await finish(log, table, doomed.acknowledged)
    await check_exactly_once_by_id(log)
    await check_determinism(log)
    assert await webhooks(log) == undisturbed
    assert {len(ids) for ids in (await revisions(log)).values()} == {1}


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("write", range(0, 15, 3))
async def test_a_table_write_that_is_torn_changes_no_webhook(write: int, kept: int, undisturbed: set[bytes]) -> None:
    log, table = await written_log(), TearingTable(tear_at=write, kept=kept)
    doomed = Run(log, table)
    await doomed.drain()
    assert doomed.failures
    await doomed.shell.close()
    whole = MemoryTable()
    whole.parts = table.parts
    await finish(log, whole, doomed.acknowledged)
    assert await webhooks(log) == undisturbed
