"""A slice of a running system replays: decisions end where its events do, checkpoints where its decisions do."""

from pathlib import Path

import pytest

from schemas.references import Repository
from streams.log import Append
from streams.replay.verify import verify
from streams.slices.form import Range
from streams.slices.reader import open_slice
from streams.slices.selection import Choice, choose
from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS, partition_for
from tests.support.builders import at, policy, published, pushed, ticked
from tests.support.slices import everything, sliced
from tests.support.world import PARTITIONS, World

REPOSITORY = "local/dev/app"
HOME = partition_for(REPOSITORY.encode(), PARTITIONS)


async def busy() -> World:
    """Pushes a minute apart, each decided."""
    world = World()
    await world.record(published(policy("to-qa", REPOSITORY, "local/qa/app")))
    for minute in range(1, 7):
        await world.record(
            pushed(f"{REPOSITORY}:{minute}", f"image {minute}", time=at(60 * minute)), ticked(60 * minute)
        )
    return world


async def test_a_whole_slice_replays_identically(tmp_path: Path) -> None:
    world = await busy()
    await sliced(world.log, tmp_path / "slice.jsonl")

    async with open_slice(tmp_path / "slice.jsonl") as log:
        result = await verify(log)
    assert result.is_identical
    assert (result.events, result.decisions) == (27, 6)


@pytest.mark.parametrize("minute", range(8))
async def test_a_slice_up_to_any_moment_replays_identically(tmp_path: Path, minute: int) -> None:
    world = await busy()
    await sliced(world.log, tmp_path / "slice.jsonl", Choice(until=at(60 * minute)))

    async with open_slice(tmp_path / "slice.jsonl") as log:
        result = await verify(log)
        events = [item for item in await everything(log, (EVENTS,)) if item.partition == HOME]
    assert result.is_identical
    # The publication, and a push and a tick for each minute that had passed.
    assert len(events) == (0 if minute == 0 else 1 + 2 * (minute - 1))


async def test_everything_before_the_end_is_there_even_where_a_clock_was_ahead(tmp_path: Path) -> None:
    world = World()
    await world.record(pushed(f"{REPOSITORY}:ahead", "one", time=at(100)), pushed(f"{REPOSITORY}:b", "two", time=at(5)))

    assert (await choose(world.log, Choice(until=at(50))))[EVENTS][HOME] == Range(first=0, end=2)


async def test_decisions_of_events_that_came_while_the_slice_was_begun_are_left_out(tmp_path: Path) -> None:
    world = await busy()
    end = await world.log.high_watermark(EVENTS, HOME)

    class Growing:
        """The log of a system in which a push is decided just after the end of the events was asked for."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.log, name)

        async def high_watermark(self, topic: str, partition: int) -> int:
            found = await world.log.high_watermark(topic, partition)
            if (topic, partition, found) == (EVENTS, HOME, end):
                await world.record(pushed(f"{REPOSITORY}:late", "late", time=at(999)))
            return found

    await sliced(Growing(), tmp_path / "slice.jsonl")  # type: ignore[arg-type]

    async with open_slice(tmp_path / "slice.jsonl") as log:
        result = await verify(log)
        assert result.is_identical
        assert await log.high_watermark(DECISIONS, HOME) < await world.log.high_watermark(DECISIONS, HOME)


async def test_a_beginning_limits_commands_and_dead_letters_and_nothing_that_decides() -> None:
    world = await busy()
    await world.log.append(Append(DEADLETTERS, key=None, partition=0, value=b"recorded in 1970 by the log's own clock"))
    whole = await choose(world.log, Choice())
    late = await choose(world.log, Choice(since=at(60 * 4)))

    assert {topic for topic in whole if whole[topic] != late[topic]} == {COMMANDS, DEADLETTERS}
    commands = [kept for kept in late[COMMANDS] if kept and kept.first < kept.end]
    assert [kept.end - kept.first for kept in commands] == [3]
    assert late[DEADLETTERS][0] == Range(first=1, end=1)


async def test_a_slice_of_a_repository_is_its_whole_partition() -> None:
    world = await busy()
    found = await choose(world.log, Choice(repositories=(Repository.parse(REPOSITORY),)))

    for topic, ranges in found.items():
        assert [kept is not None for kept in ranges] == [number == HOME for number in range(PARTITIONS)], topic
    assert found[EVENTS][HOME] == Range(first=0, end=await world.log.high_watermark(EVENTS, HOME))


async def test_checkpoints_end_where_their_decisions_do() -> None:
    world = await busy()
    sealed = [b'{"data":{"last_offset":%d}}' % last for last in (1, 3, 4, 5)]
    await world.log.append_all([Append(CHECKPOINTS, key=None, partition=HOME, value=value) for value in sealed])

    decisions = (await choose(world.log, Choice(until=at(60 * 5))))[DECISIONS][HOME]
    assert decisions == Range(first=0, end=4)
    assert (await choose(world.log, Choice(until=at(60 * 5))))[CHECKPOINTS][HOME] == Range(first=0, end=2)
    assert (await choose(world.log, Choice(topics=(CHECKPOINTS,))))[CHECKPOINTS][HOME] == Range(first=0, end=4)


async def test_what_the_evaluators_set_aside_goes_along(tmp_path: Path) -> None:
    from streams.cli.source import quarantined
    from streams.secrets.scanner import Scanner
    from streams.slices.writer import write_slice
    from towline.settings import Settings

    world = await busy()
    await write_slice(world.log, tmp_path / "slice.jsonl", Choice(), Scanner({}), quarantine=("1/4", "2/17"))

    async with open_slice(tmp_path / "slice.jsonl") as log:
        assert quarantined(log, Settings()) == {(1, 4), (2, 17)}
    assert quarantined(world.log, Settings()) == frozenset()
