"""The projection: every record once, whatever stops it, and made anew when its file or the log is another."""

import asyncio
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from streams.log import Append
from streams.memory_log import MemoryLog
from streams.projection import store
from streams.projection.projection import Projection
from streams.projection.store import VERSION, ProjectionError, Store, UnusableFileError
from streams.routing import command_append
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import at, command, completed, deleted, policy, published, pushed, ticked
from tests.support.checkers import all_records
from tests.support.projections import BreakingOff, at_once, everything, read_file
from tests.support.world import World
from towline.errors import LogUnavailableError

POLICIES = published(policy("to-qa", "first/dev/app", "first/qa/app"), policy("on", "first/qa/app", "second/app"))


async def history(tags: int = 3) -> World:
    """Pushes that are promoted and mirrored on, with ticks in between."""
    world = World()
    await world.record(POLICIES)
    for number in range(tags):
        tag = f"v{number}"
        await world.record(pushed(f"first/dev/app:{tag}", tag, time=at(number)), ticked(number + 1))
        await world.end(f"first/qa/app:{tag}", completed)
    return world


class Said(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


async def caught_up(log: Any, path: Path) -> list[str]:
    """Read a log into a file; return what was told."""
    said = Said()
    async with Projection(log, path, tell=said) as projection:
        await projection.catch_up()
    return said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "projection.sqlite"


async def test_what_is_new_is_read_and_what_was_read_is_not_read_again(path: Path) -> None:
    world = await history()
    assert await caught_up(world.log, path) == []
    await world.record(pushed("first/dev/app:new", "new"), deleted("first/dev/app:v0"))
    reads = BreakingOff(world.log, size=1)
    reads.batches = 1000
    assert await caught_up(reads, path) == []
    assert read_file(path) == await at_once(world.log)
    # One record of what was read before is read with what is new, to know the log again.
    assert 1000 - reads.batches <= 2 * 5


async def test_a_record_that_is_there_twice_is_one_row_that_says_so(path: Path) -> None:
    world = await history()
    before = await at_once(world.log)
    for topic in (DECISIONS, COMMANDS):
        for record in await all_records(world.log, topic):
            await world.log.append(Append(topic, record.key, record.value or b"", record.partition))
    after = await at_once(world.log)
    for topic in (1, 2):
        rows, doubled = ([row for row in found["records"] if row[0] == topic] for found in (before, after))
        assert rows
        assert [row[:-1] for row in rows] == [row[:-1] for row in doubled]
        assert {row[-1] for row in doubled} == {2}


async def test_the_first_of_a_record_counts_in_whatever_order_partitions_are_read(path: Path) -> None:
    world = World()
    one = command("first/dev/app:1", "first/qa/app:1", "one")
    append = command_append(one)
    await world.log.append(Append(COMMANDS, b"x", b"none of ours", 2))
    for partition in (2, 0, 1):
        # Seen each time: the place of the last one that was read is not the one that counts.
        await world.log.append(Append(COMMANDS, append.key, append.value, partition))
        await caught_up(world.log, path)
    (row,) = read_file(path)["records"]
    assert (row[1:3], row[-1]) == ((0, 0), 3)
    assert read_file(path) == await at_once(world.log)


async def test_what_nobody_asks_for_and_what_is_not_ours_has_no_row() -> None:
    world = World()
    await world.record(ticked(1), pushed("first/dev/app:1", "one"))
    await world.log.append(Append(EVENTS, b"x", b"no record", 0))
    await world.log.append(Append(DECISIONS, b"x", (await all_records(world.log, EVENTS))[0].value or b"", 0))
    # An event in the partition of others is none for the evaluator, and not here.
    (event,) = [record for record in await all_records(world.log, EVENTS) if b"image.pushed" in (record.value or b"")]
    await world.log.append(Append(EVENTS, event.key, event.value or b"", (event.partition + 1) % 3))
    found = await at_once(world.log)
    assert [(row[4], row[-1]) for row in found["records"]] == [
        ("image.pushed", 1),
        ("decision.made", 1),
    ]


async def test_the_bytes_of_a_dead_letter_stay_in_its_topic() -> None:
    from streams.deadletters import dead_letter

    world = World()
    await world.log.append(Append(EVENTS, b"key", b"canary-4711", 0))
    await world.log.append(dead_letter((await all_records(world.log, EVENTS))[0], "no JSON"))
    async with Projection(world.log) as projection:
        await projection.catch_up()
        (letter,) = await projection.ask(lambda records: records.select("type = 'input.rejected'", ()))
    assert (letter.envelope.data.reason, letter.envelope.data.value_base64) == ("no JSON", None)  # type: ignore[attr-defined]
    assert letter.position.topic == DEADLETTERS


# -- Interrupted (W01 of the read side)


@pytest.mark.parametrize("batches", range(12))
async def test_a_projection_that_was_interrupted_goes_on_where_it_was(path: Path, batches: int) -> None:
    world = await history()
    with pytest.raises(LogUnavailableError):
        await caught_up(BreakingOff(world.log, batches), path)
    assert await caught_up(world.log, path) == []
    assert read_file(path) == await at_once(world.log)


async def test_rows_and_the_place_that_was_reached_are_written_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await history()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_reach", _no_power)
        with pytest.raises(RuntimeError, match="power"):
            await caught_up(world.log, path)
    assert read_file(path)["records"] == []
    await caught_up(world.log, path)
    assert read_file(path) == await at_once(world.log)


def _no_power(*_: object) -> None:
    raise RuntimeError("power")


# -- Another file, or a damaged one (D04)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, but it was one " * 200)


def _broken_inside(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for page in range(1, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(raw)


def _another_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def _somebody_elses(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "their ""own" (x)')
    connection.close()


@pytest.mark.parametrize("harm", [_garbage, _broken_inside, _another_version, _somebody_elses])
async def test_a_file_that_cannot_be_used_is_made_anew_with_a_word(path: Path, harm: Any) -> None:
    world = await history()
    await caught_up(world.log, path)
    before = read_file(path)
    harm(path)
    (said,) = await caught_up(world.log, path)
    assert said.startswith(f"the projection {path} is made anew from the log: it is ")
    assert read_file(path) == before


@pytest.mark.parametrize("cut", [0, 1, 100, 4096, 20_000])
async def test_a_file_that_was_cut_or_removed_is_made_anew(path: Path, cut: int) -> None:
    world = await history()
    await caught_up(world.log, path)
    before = read_file(path)
    _cut(path, cut)
    await caught_up(world.log, path)
    assert read_file(path) == before
    _cut(path, None)
    assert await caught_up(world.log, path) == []
    assert read_file(path) == before


def _cut(path: Path, size: int | None) -> None:
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])


async def test_damage_that_a_question_meets_is_mended_and_the_question_answered(path: Path) -> None:
    world = await history(40)
    said = Said()
    async with Projection(world.log, path, tell=said) as projection:
        await projection.catch_up()
        before = await projection.ask(everything)
    async with Projection(world.log, path, tell=said) as projection:
        _broken_inside(path)
        assert await projection.ask(everything) == before
    assert len(said) == 1


# -- Another log


async def test_another_log_is_noticed_also_when_it_is_longer(path: Path) -> None:
    one, other = await history(2), World()
    await other.record(published(), *(pushed(f"first/dev/app:w{number}", "other") for number in range(30)))
    await caught_up(one.log, path)
    (said,) = await caught_up(other.log, path)
    assert "another" in said
    assert read_file(path) == await at_once(other.log)


async def test_a_log_of_the_same_length_and_another_content_is_noticed(path: Path) -> None:
    one, other = World(), World()
    await one.record(pushed("first/dev/app:1", "one"))
    await other.record(pushed("first/dev/app:1", "two"))
    await caught_up(one.log, path)
    (said,) = await caught_up(other.log, path)
    assert "it is another log" in said
    assert read_file(path) == await at_once(other.log)


async def test_a_log_that_lost_its_tail_or_its_beginning_is_noticed(path: Path) -> None:
    world = await history(3)
    await caught_up(world.log, path)
    shorter = World()
    await shorter.record(POLICIES)
    (said,) = await caught_up(shorter.log, path)
    assert "lost records" in said or "another log" in said
    assert read_file(path) == await at_once(shorter.log)
    await caught_up(world.log, path)
    for partition in range(3):
        world.log.remove_before(EVENTS, partition, await world.log.high_watermark(EVENTS, partition))
    await world.record(ticked(100))
    (said,) = await caught_up(world.log, path)
    assert "lost records" in said


async def test_a_log_with_fewer_partitions_is_another_one(path: Path) -> None:
    await caught_up((await history(1)).log, path)
    empty = MemoryLog(partitions=2)
    (said,) = await caught_up(empty, path)
    assert "fewer partitions" in said


# -- Several at one file, and files that cannot be written


async def test_two_that_read_into_one_file_at_the_same_time_count_every_record_once(path: Path) -> None:
    world = await history(30)
    async with (
        Projection(BreakingOff(world.log, size=2), path) as one,
        Projection(BreakingOff(world.log, size=3), path) as other,
    ):
        await asyncio.gather(one.catch_up(), other.catch_up())
        assert await one.ask(everything) == await other.ask(everything) == await at_once(world.log)


async def test_who_has_the_file_open_goes_on_when_another_makes_it_anew(path: Path) -> None:
    world, other = await history(2), await history(1)
    async with Projection(world.log, path) as projection:
        await projection.catch_up()
        await caught_up(other.log, path)
        await projection.catch_up()
        assert await projection.ask(everything) == await at_once(world.log)


async def test_a_full_disk_is_an_error_that_says_what_to_do_and_is_recovered_from(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await history(40)
    async with Projection(world.log, path) as projection:
        connection = projection._store.connection
        connection.execute("PRAGMA max_page_count = 30")
        with pytest.raises(ProjectionError, match="is full") as caught:
            await projection.catch_up()
        assert str(path) in str(caught.value)
        connection.execute("PRAGMA max_page_count = 1000000")
        await projection.catch_up()
        assert await projection.ask(everything) == await at_once(world.log)


async def test_only_its_owner_can_read_the_file_and_those_beside_it(path: Path) -> None:
    world = await history()
    async with Projection(world.log, path) as projection:
        await projection.catch_up()
        rights = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert rights == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)


async def test_a_file_that_cannot_be_used_when_it_was_made_anew_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await history()

    def unusable(*_: object) -> None:
        raise UnusableFileError("it is damaged again")

    async with Projection(world.log, path) as projection:
        await projection.catch_up()
        monkeypatch.setattr(Store, "asked", unusable)
        with pytest.raises(ProjectionError, match="made anew, and still cannot be used: it is damaged again"):
            await projection.ask(everything)
        monkeypatch.setattr(Store, "positions", unusable)
        with pytest.raises(ProjectionError, match="made anew, and still cannot be used: it is damaged again"):
            await projection.catch_up()


async def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectionError, match="cannot make"):
        async with Projection(MemoryLog(partitions=1), tmp_path / "file" / "projection.sqlite"):
            pass


async def test_a_file_that_another_holds_for_too_long_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.limits, "projection_lock_seconds", 0.01)
    world = await history(1)
    async with Projection(world.log, path) as projection:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProjectionError, match="locked"):
            await projection.catch_up()
        holder.close()
        await projection.catch_up()
        assert await projection.ask(everything) == await at_once(world.log)
