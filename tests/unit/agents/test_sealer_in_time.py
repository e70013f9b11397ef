"""A sealer in time: partitions that come and go, of which it knows what topics and table have, and its timer."""

import asyncio
from collections.abc import Sequence

import pytest

from agents.partition_worker import Internal
from agents.sealer import Sealer
from agents.table import MemoryTable
from schemas.catalogue import encode
from streams.log import Append
from streams.topics import CHECKPOINTS
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.test_sealer import EVERY, Sealing, seal_rest, sizes


def told(sealing: Sealing) -> str:
    return sealing.metrics.exposition().decode()


async def test_a_partition_that_others_had_meanwhile_goes_on_from_where_they_were() -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(2)
    handler = sealing.sealer()
    run = sealing.run(table, handler)
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await run.shell.give_up([0])
    await sealing.decide(3)
    assert await sealing.seal(table) == []
    await sealing.decide(1)
    await run.shell.take_over([0])
    await run.drain()
    await seal_rest(run, handler)
    await run.shell.close()
    assert run.failures == []
    assert [one.data.size for one in await sealing.chain()] == [EVERY, 5, 6]


async def test_what_others_sealed_is_taken_and_kept_although_nothing_new_comes() -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(3)
    assert await sealing.seal(table, rest=False) == []
    assert await sealing.seal(MemoryTable()) == []
    sealing.kept.clear()
    run = sealing.run(table)
    await run.shell.take_over(range(PARTITIONS))
    await until(lambda: 'towline_sealed_records{partition="0"} 3.0' in told(sealing), "the metric has it")
    await run.shell.close()
    assert sealing.kept == [encode(one) for one in await sealing.written()]


async def test_only_partitions_that_it_has_are_sealed_when_their_time_comes() -> None:
    sealing = Sealing()
    handler = sealing.sealer()
    run = sealing.run(MemoryTable(), handler)
    await run.shell.take_over(range(PARTITIONS))
    await until(lambda: f'partition="{PARTITIONS - 1}"' in told(sealing), "all are open")
    await run.shell.give_up([1])
    asked: list[int] = []

    async def submit(partition: int, _: Internal) -> None:
        asked.append(partition)

    handler.submit = submit
    await handler.seal_all()
    await run.shell.close()
    assert asked == [0, 2]


async def test_a_partition_that_was_given_up_while_it_was_sealed_waits_for_its_time_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealing = Sealing()
    await sealing.decide(1)
    handler = sealing.sealer()
    run = sealing.run(MemoryTable(), handler)
    await run.shell.take_over([0])
    await run.drain()
    await given_up_within_a_write(sealing, run, handler, monkeypatch)
    await sealing.decide(1)
    await run.shell.take_over([0])
    await run.drain()
    assert (run.failures, await sizes(sealing)) == ([], [])
    await run.shell.close()


async def given_up_within_a_write(sealing: Sealing, run: Run, handler: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the partition sealed, and give it up while its checkpoint is on the way."""
    append_all, writing = sealing.log.append_all, asyncio.Event()

    async def hanging(records: Sequence[Append]) -> object:
        if records[0].topic != CHECKPOINTS:
            return await append_all(records)
        writing.set()
        return await asyncio.Future[object]()

    with monkeypatch.context() as patched:
        patched.setattr(sealing.log, "append_all", hanging)
        await handler.seal_all()
        await until(writing.is_set, "the checkpoint is on the way")
        await run.shell.give_up([0])


async def test_the_timer_has_everything_sealed_again_and_again_until_it_is_left() -> None:
    sealing = Sealing()
    handler = sealing.sealer()
    run = sealing.run(MemoryTable(), handler)
    await run.shell.take_over(range(PARTITIONS))
    async with handler.timer(0, run.failures.append):
        for count in (1, 2):
            await sealing.decide(1)
            await run.drain()
            await until(lambda count=count: len(sealing.kept) == count, "its time came")
    await run.shell.close()
    assert (run.failures, await sizes(sealing)) == ([], [1, 2])


async def test_a_timer_that_fails_is_a_failure_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing() -> None:
        raise RuntimeError("no time")

    handler, failures = Sealing().sealer(), list[BaseException]()
    monkeypatch.setattr(handler, "seal_all", failing)
    async with handler.timer(0, failures.append):
        await until(lambda: bool(failures), "the failure is told")
    assert [str(failure) for failure in failures] == ["no time"]
