"""The sealer: what it seals, and that no crash and no second sealer makes a chain fork (W05, A05)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from agents.seal import SealSource
from agents.sealer import Sealer
from agents.table import MemoryTable
from schemas.catalogue import decode, encode
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.metrics import Metrics
from streams.topics import CHECKPOINTS, DECISIONS
from tests.unit.agents.harness import PARTITIONS, Run, TearingTable, TornError, until, without_waits
from tests.unit.audit.sealed import public_pem, sealing_key
from towline.audit.checkpoints import PublicKeys, is_genuine, load_public_keys
from towline.audit.leaves import record_leaf
from towline.audit.merkle import root_of
from towline.audit.tail import Leaf, Mark, SealBrokenError, Tail
from towline.errors import LogError, LogUnavailableError
from towline.failpoints import SITES, FailpointError, Failpoints

KEYS = load_public_keys([("example.pub", public_pem())])
EVERY = 4
SITES_OF_THE_SEALER = sorted(site for site in SITES if site.startswith("sealer."))


class Sealing:
    """A log with decisions, and the lives of sealers over it."""

    def __init__(self) -> None:
        self.log = MemoryLog(partitions=PARTITIONS)
        self.kept: list[bytes] = []
        self.metrics = Metrics([])

    async def decide(self, count: int, partition: int = 0) -> None:
        """Write decisions; to the sealer they are bytes."""
        start = await self.log.high_watermark(DECISIONS, partition)
        for number in range(start, start + count):
            await self.log.append(Append(DECISIONS, b"here/dev", b"decision %d" % number, partition=partition))

    def sealer(
        self,
        *,
        failpoints: str = "",
        every: int = EVERY,
        key: str = "example",
        keys: PublicKeys = KEYS,
        quarantined: Sequence[tuple[int, int]] = (),
    ) -> Sealer:
        async def keep(checkpoint: bytes) -> None:
            self.kept.append(checkpoint)

        return Sealer(
            self.log,
            sealing_key(key),
            SealSource(self.log, keys, frozenset(quarantined)),
            self.metrics,
            Failpoints(failpoints),
            every_records=every,
            keep=keep,
        )

    def run(self, table: MemoryTable, sealer: Sealer | None = None, *, failpoints: str = "") -> Run:
        handler = sealer or self.sealer(failpoints=failpoints)
        run = Run(self.log, table, handler=handler, failpoints=failpoints)
        handler.submit = run.shell.submit
        return run

    async def seal(self, table: MemoryTable, sealer: Sealer | None = None, *, rest: bool = True) -> list[BaseException]:
        """Live once: take what is there and, with ``rest``, seal all of it as the timer does. Returns the failures."""
        handler = sealer or self.sealer()
        run = self.run(table, handler)
        await run.shell.take_over(range(PARTITIONS))
        await run.drain()
        if rest and not run.failures:
            await seal_rest(run, handler)
        await run.shell.close()
        return run.failures

    async def written(self, partition: int = 0) -> list[Envelope[Checkpoint]]:
        end = await self.log.high_watermark(CHECKPOINTS, partition)
        found = [decode(record.value or b"") async for record in self.log.read(CHECKPOINTS, partition, 0, end)]
        return cast("list[Envelope[Checkpoint]]", found)

    async def chain(self, partition: int = 0) -> list[Envelope[Checkpoint]]:
        """The checkpoints that count, checked against the decisions."""
        end = await self.log.high_watermark(DECISIONS, partition)
        records = [record async for record in self.log.read(DECISIONS, partition, 0, end)]
        leaves = [record_leaf(item.key, item.value, item.headers, item.timestamp_ms) for item in records]
        found: list[Envelope[Checkpoint]] = []
        for one in await self.written(partition):
            assert is_genuine(one, KEYS)
            assert one.data.root == root_of(leaves[: one.data.size]).hex()
            if one.data.number == len(found):
                assert one.data.previous == (found[-1].id if found else None)
                found.append(one)
        assert [leaf for one in found for leaf in one.data.leaves] == [leaf.hex() for leaf in leaves]
        return found


async def seal_rest(run: Run, sealer: Sealer) -> None:
    """Do what the timer does, and return when it is done."""
    await sealer.seal_all()
    # The first change may be taken together with what is due; who takes the second has done that.
    for _ in range(2):
        taken: list[int] = []
        for partition in range(PARTITIONS):
            await run.shell.submit(partition, lambda state, taken=taken: taken.append(state.partition))
        await until(lambda taken=taken: bool(run.failures) or len(taken) == PARTITIONS, "all changes are taken")


async def sizes(sealing: Sealing, partition: int = 0) -> list[int]:
    return [one.data.size for one in await sealing.written(partition)]


async def test_so_many_decisions_have_a_checkpoint_and_the_rest_one_in_time() -> None:
    sealing = Sealing()
    await sealing.decide(10)
    await sealing.decide(3, partition=2)
    assert await sealing.seal(MemoryTable(), rest=False) == []
    assert (await sizes(sealing), await sizes(sealing, 2)) == ([4, 8], [])
    assert await sealing.seal(MemoryTable()) == []
    assert (await sizes(sealing), await sizes(sealing, 1), await sizes(sealing, 2)) == ([4, 8, 10], [], [3])
    await sealing.chain()
    await sealing.chain(2)


async def test_the_last_of_so_many_decisions_is_not_waited_on() -> None:
    sealing = Sealing()
    await sealing.decide(EVERY)
    assert await sealing.seal(MemoryTable(), rest=False) == []
    assert await sizes(sealing) == [EVERY]


async def test_nothing_new_makes_no_checkpoint() -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(5)
    for _ in range(3):
        assert await sealing.seal(table) == []
    assert await sizes(sealing) == [4, 5]


@pytest.mark.parametrize("same_disk", [True, False], ids=["on the same disk", "with nothing"])
@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("site", SITES_OF_THE_SEALER)
async def test_a_crash_at_any_step_forks_nothing_and_loses_nothing(site: str, hit: int, same_disk: bool) -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(11)
    doomed = sealing.sealer(failpoints=f"{site}:raise@{hit}")
    run = sealing.run(table, doomed, failpoints=f"{site}:raise@{hit}")
    await run.shell.take_over(range(PARTITIONS))
    try:
        await run.drain()
    except FailpointError:
        assert site == "sealer.fetched"
    await run.shell.close()
    await sealing.decide(2)
    assert await sealing.seal(table if same_disk else MemoryTable()) == []
    chain = await sealing.chain()
    assert [one.data.size for one in chain][:2] == [4, 8]
    assert len(await sealing.written()) == len(chain), "a checkpoint was written again with other bytes"
    assert {encode(one) for one in chain} <= set(sealing.kept)


async def test_a_write_that_a_crash_tore_is_mended_from_the_log() -> None:
    for tear_at in range(12):
        sealing = Sealing()
        await sealing.decide(11)
        table = TearingTable(tear_at)
        failures = await sealing.seal(table)
        assert all(isinstance(error, TornError) for error in failures)
        assert await sealing.seal(table) == []
        assert len(await sealing.written()) == len(await sealing.chain())


async def test_an_answer_that_was_lost_leaves_the_same_bytes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)
    sealing = Sealing()
    await sealing.decide(9)
    append_all, lost = sealing.log.append_all, []

    async def losing(records: Sequence[Append]) -> object:
        places = await append_all(records)
        if not lost and records[0].topic == CHECKPOINTS:
            lost.append(records)
            raise LogUnavailableError("the answer is lost")
        return places

    monkeypatch.setattr(sealing.log, "append_all", losing)
    assert await sealing.seal(MemoryTable()) == []
    first, again, *_ = await sealing.written()
    assert encode(first) == encode(again)
    assert [one.data.size for one in await sealing.chain()] == [4, 8, 9]


async def test_of_two_sealers_the_first_in_the_topic_counts_and_both_go_on_from_it() -> None:
    """A worker that was paused writes late: its checkpoint is true, and nobody builds on it."""
    sealing = Sealing()
    await sealing.decide(6)
    late = Tail().with_records(await leaves_of(sealing, 3)).checkpoint(0, sealing_key())
    table = MemoryTable()
    assert await sealing.seal(table) == []
    await sealing.log.append(Append(CHECKPOINTS, b"0", encode(late), partition=0))
    await sealing.decide(6)
    assert await sealing.seal(table) == []
    assert await sealing.seal(MemoryTable()) == []
    assert [one.data.size for one in await sealing.chain()] == [4, 6, 10, 12]


async def test_a_sealer_that_was_overtaken_takes_what_the_other_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one's checkpoint arrives between its look at the topic and its own write."""
    sealing = Sealing()
    await sealing.decide(9)
    other = Tail().with_records(await leaves_of(sealing, 3)).checkpoint(0, sealing_key())
    append_all, others = sealing.log.append_all, [Append(CHECKPOINTS, b"0", encode(other), partition=0)]

    async def overtaken(records: Sequence[Append]) -> object:
        if records[0].topic == CHECKPOINTS and others:
            await append_all([others.pop()])
        return await append_all(records)

    monkeypatch.setattr(sealing.log, "append_all", overtaken)
    assert await sealing.seal(MemoryTable()) == []
    assert await sizes(sealing) == [3, 4, 7, 9]
    assert [one.data.size for one in await sealing.chain()] == [3, 7, 9]
    assert encode(other) in sealing.kept


async def leaves_of(sealing: Sealing, count: int) -> list[Leaf]:
    return [
        Leaf(record_leaf(item.key, item.value, item.headers, item.timestamp_ms), item.offset, item.timestamp_ms)
        async for item in sealing.log.read(DECISIONS, 0, 0, count)
    ]


async def test_a_checkpoint_ahead_of_what_was_read_is_waited_for() -> None:
    sealing = Sealing()
    await sealing.decide(9)
    ahead = Tail().with_records(await leaves_of(sealing, 9)).checkpoint(0, sealing_key())
    await sealing.log.append(Append(CHECKPOINTS, b"0", encode(ahead), partition=0))
    await sealing.decide(1)
    assert await sealing.seal(MemoryTable()) == []
    assert await sizes(sealing) == [9, 10]


async def test_nothing_is_sealed_beside_a_checkpoint_that_is_ahead() -> None:
    sealing = Sealing()
    await sealing.decide(9)
    ahead = Tail().with_records(await leaves_of(sealing, 9)).checkpoint(0, sealing_key())
    await sealing.log.append(Append(CHECKPOINTS, b"0", encode(ahead), partition=0))
    run = sealing.run(MemoryTable())
    await run.shell.take_over(range(PARTITIONS))
    async for record in sealing.log.read(DECISIONS, 0, 0, 6):
        await run.deliver(record)
    await until(run.is_settled, "six are taken, and three are not")
    assert (run.failures, await sizes(sealing)) == ([], [9])
    await run.shell.close()


async def test_what_comes_after_the_timer_waits_for_the_next_time() -> None:
    sealing = Sealing()
    handler = sealing.sealer()
    run = sealing.run(MemoryTable(), handler)
    await run.shell.take_over(range(PARTITIONS))
    await sealing.decide(1)
    await run.drain()
    await seal_rest(run, handler)
    await sealing.decide(2)
    await run.drain()
    assert await sizes(sealing) == [1]
    await seal_rest(run, handler)
    assert await sizes(sealing) == [1, 3]
    await run.shell.close()


async def broken(sealing: Sealing, sealer: Sealer | None = None, table: MemoryTable | None = None) -> str:
    """Seal, and return what it stops with. What stands in the topic stays as it is."""
    before = await sealing.log.high_watermark(CHECKPOINTS, 0)
    failures = await sealing.seal(table or MemoryTable(), sealer)
    assert [type(error) for error in failures] == [SealBrokenError]
    assert await sealing.log.high_watermark(CHECKPOINTS, 0) == before
    return str(failures[0])


async def test_records_that_were_rewritten_stop_the_sealer() -> None:
    sealing = Sealing()
    await sealing.decide(6)
    assert await sealing.seal(MemoryTable()) == []
    stored = sealing.log._records[DECISIONS, 0]
    stored[2] = stored[2]._replace(value=b"another decision")
    assert "checkpoint 0 committed to 4 other records" in await broken(sealing)


async def test_records_that_are_gone_stop_the_sealer() -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(6)
    assert await sealing.seal(table) == []
    del sealing.log._records[DECISIONS, 0][5:]
    assert "has 5 records, but checkpoint 1 committed to 6" in await broken(sealing, table=MemoryTable())
    (error,) = await sealing.seal(table)
    assert isinstance(error, LogError)
    assert "the log lost records" in str(error)


async def test_checkpoints_that_are_gone_stop_the_sealer() -> None:
    sealing, table = Sealing(), MemoryTable()
    await sealing.decide(9)
    assert await sealing.seal(table) == []
    await sealing.decide(1)
    assert await sealing.seal(table) == []
    stored = sealing.log._records[CHECKPOINTS, 0]
    del stored[1]
    for offset, record in enumerate(stored):
        stored[offset] = record._replace(offset=offset)
    assert "the checkpoint before number 2 is missing" in await broken(sealing)
    del stored[:]
    (error,) = await sealing.seal(table)
    assert isinstance(error, LogError)


@pytest.mark.parametrize("what", ["bytes", "another partition", "changed", "another key"])
async def test_what_is_no_checkpoint_of_ours_stops_the_sealer_until_it_is_set_aside(what: str) -> None:
    sealing = Sealing()
    await sealing.decide(3)
    tail = Tail().with_records(await leaves_of(sealing, 3))
    ours = tail.checkpoint(0, sealing_key())
    value = {
        "bytes": b"{}",
        "another partition": encode(tail.checkpoint(1, sealing_key())),
        "changed": encode(replace(ours, time="2026-01-01T00:00:00.000000Z")),
        "another key": encode(tail.checkpoint(0, sealing_key("other"))),
    }[what]
    await sealing.log.append(Append(CHECKPOINTS, b"0", value, partition=0))
    told = await broken(sealing)
    assert f"{CHECKPOINTS}/0@0" in told
    assert "audit.quarantine" in told
    assert await sealing.seal(MemoryTable(), sealing.sealer(quarantined=[(0, 0)])) == []
    assert await sealing.log.high_watermark(CHECKPOINTS, 0) == 2


async def test_a_new_key_goes_on_with_the_chain_of_the_old_one() -> None:
    sealing = Sealing()
    await sealing.decide(4)
    assert await sealing.seal(MemoryTable()) == []
    await sealing.decide(4)
    assert "audit.public_keys" in await broken(sealing, sealing.sealer(key="new", keys=new_key()))
    both = KEYS | new_key()
    assert await sealing.seal(MemoryTable(), sealing.sealer(key="new", keys=both)) == []
    old, new = await sealing.written()
    assert (new.data.number, new.data.previous, is_genuine(new, new_key())) == (1, old.id, True)


def new_key() -> PublicKeys:
    return load_public_keys([("new.pub", public_pem("new"))])


async def test_how_far_it_is_sealed_is_told_until_the_partition_is_given_up() -> None:
    sealing = Sealing()
    await sealing.decide(6)
    handler = sealing.sealer()
    run = sealing.run(MemoryTable(), handler)
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    told = sealing.metrics.exposition().decode()
    assert 'towline_sealed_records{partition="0"} 4.0' in told
    assert 'towline_sealed_records{partition="1"} 0.0' in told
    assert 'towline_sealed_timestamp_seconds{partition="0"} 0.004' in told
    await run.shell.close()
    assert 'partition="0"' not in sealing.metrics.exposition().decode()


async def test_equal_cuts_have_equal_bytes_whoever_seals() -> None:
    one, two = Sealing(), Sealing()
    for sealing in (one, two):
        await sealing.decide(11)
        assert await sealing.seal(MemoryTable()) == []
    assert [encode(item) for item in await one.written()] == [encode(item) for item in await two.written()]
    assert Mark.of((await one.written())[-1]).size == 11
