"""A snapshot is what the log folds to, or it is refused with its reason."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.memory_log import MemoryLog
from streams.replay.packed import PackedState
from streams.replay.snapshot_check import check_snapshots
from streams.replay.snapshots import path_of, read_snapshot, state_before, take_record, write_snapshot
from streams.topics import EVENTS
from tests.support.builders import pushed, record_events
from tests.support.checkers import all_records, records
from tests.unit.agents.harness import PARTITIONS
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY
from towline.errors import StorageError
from towline.policy.state.values import STATE_FORMAT


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog(partitions=PARTITIONS)
    await record_events(log, *HISTORY, *AFTER_PUBLICATION, partitions=PARTITIONS)
    return log


async def fullest(log: MemoryLog) -> tuple[int, int]:
    """Return the partition with the most events, and where it ends."""
    ends = [await log.high_watermark(EVENTS, partition) for partition in range(PARTITIONS)]
    return ends.index(max(ends)), max(ends)


def rewritten(
    path: Path, change: Callable[[dict[str, Any], list[list[Any]]], None], *, is_sealed: bool = False
) -> None:
    """Change the header and the values of a snapshot, with a right checksum if it is to be sealed."""
    header, *values = [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    change(header, values)
    lines = [orjson.dumps(value) + b"\n" for value in values]
    if is_sealed:
        header |= {"sha256": hashlib.sha256(b"".join(lines)).hexdigest(), "count": len(lines)}
    path.write_bytes(gzip.compress(orjson.dumps(header) + b"\n" + b"".join(lines)))


async def test_from_every_snapshot_the_fold_goes_on_to_the_same_state(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    records = [record for record in await all_records(log, EVENTS) if record.partition == partition]
    whole, _ = await state_before(log, partition, end, None)
    for record in records:
        take_record(whole, record, PARTITIONS)
    for offset in range(end + 1):
        path = await write_snapshot(log, partition, offset, tmp_path / str(offset))
        state, start = await state_before(log, partition, end, path.parent)
        assert start == offset
        for record in records[offset:]:
            take_record(state, record, PARTITIONS)
        assert list(state.items()) == list(whole.items())


async def test_what_is_in_quarantine_is_in_no_snapshot(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    without = {(partition, offset) for offset in range(1, end)}
    path = await write_snapshot(log, partition, end, tmp_path, quarantined=without)
    assert list(read_snapshot(path).state.items()) == list((await _first_alone(log, partition, end)).items())
    assert [item.problem for item in await check_snapshots(log, tmp_path, quarantined=without)] == [None]
    assert [item.problem for item in await check_snapshots(log, tmp_path)] != [None]


async def _first_alone(log: MemoryLog, partition: int, end: int) -> PackedState:
    state, _ = await state_before(log, partition, end, None)
    take_record(state, (await records(log, EVENTS, partition))[0], PARTITIONS)
    return state


async def test_equal_states_make_equal_files(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    at_once = await write_snapshot(log, partition, end, tmp_path / "at once")
    await write_snapshot(log, partition, end // 2, tmp_path / "in two")
    in_two = await write_snapshot(log, partition, end, tmp_path / "in two")
    assert at_once.read_bytes() == in_two.read_bytes()


async def test_the_nearest_snapshot_before_an_offset_is_taken(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    for offset in (1, 3, end):
        await write_snapshot(log, partition, offset, tmp_path)
    for offset, nearest in ((0, 0), (1, 1), (2, 1), (3, 3), (end - 1, 3), (end, end)):
        assert (await state_before(log, partition, offset, tmp_path))[1] == nearest


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-9]) and None, "cannot be read"),
    "empty": (lambda path: path.write_bytes(b"") and None, "cannot be read"),
    "no gzip": (lambda path: path.write_bytes(b"{}\n") and None, "cannot be read"),
    "something else": (lambda path: path.write_bytes(gzip.compress(b"{}\n")) and None, "no snapshot"),
    "a value changed": (lambda path: rewritten(path, lambda _, values: values[0].__setitem__(1, {"a": 1})), "content"),
    "a value gone": (lambda path: rewritten(path, lambda _, values: values.pop()), "content"),
    "an older state": (
        lambda path: rewritten(path, lambda header, _: header.update(state_format=STATE_FORMAT - 1)),
        f"format {STATE_FORMAT - 1}",
    ),
    "another place": (lambda path: rewritten(path, lambda header, _: header.update(offset=1)), "at offset 1"),
    "another topic": (
        lambda path: rewritten(path, lambda header, _: header.update(topic="towline.inbound")),
        "inbound",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
async def test_what_does_not_fit_is_refused_with_its_reason_and_the_fold_begins_earlier(
    name: str, log: MemoryLog, tmp_path: Path
) -> None:
    partition, end = await fullest(log)
    damage, reason = DAMAGE[name]
    await write_snapshot(log, partition, 2, tmp_path)
    damage(await write_snapshot(log, partition, end, tmp_path))
    told: list[str] = []
    state, start = await state_before(log, partition, end, tmp_path, refused=told.append)
    assert start == 2
    assert list(state.items()) == list((await state_before(log, partition, 2, tmp_path))[0].items())
    assert len(told) == 1
    assert reason in told[0]
    assert str(path_of(tmp_path, partition, end)) in told[0]


async def test_a_snapshot_of_another_log_is_refused(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    await write_snapshot(log, partition, end, tmp_path)
    other = MemoryLog(partitions=PARTITIONS)
    told: list[str] = []
    assert (await state_before(other, partition, end, tmp_path, refused=told.append))[1] == 0
    await record_events(other, *[pushed(f"local/dev/app{n}:1", f"image {n}") for n in range(40)], partitions=PARTITIONS)
    assert await other.high_watermark(EVENTS, partition) >= end
    assert (await state_before(other, partition, end, tmp_path, refused=told.append))[1] == 0
    assert all("folded from another log" in reason for reason in told)
    assert len(told) == 2


async def test_checking_names_the_first_value_that_is_not_what_the_log_folds_to(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    for offset in (2, end):
        await write_snapshot(log, partition, offset, tmp_path)
    assert [item.problem for item in await check_snapshots(log, tmp_path)] == [None, None]
    forged = path_of(tmp_path, partition, end)
    keys = [key for key, _ in read_snapshot(forged).state.items()]
    rewritten(forged, lambda _, values: values[3][1].update(forged=True), is_sealed=True)
    good, bad = await check_snapshots(log, tmp_path)
    assert good.problem is None
    assert bad.problem == f"{forged} differs from the fold, first at {keys[3]!r}"


async def test_checking_finds_a_log_that_was_changed_long_before(log: MemoryLog, tmp_path: Path) -> None:
    partition, end = await fullest(log)
    path = await write_snapshot(log, partition, end, tmp_path)
    rewritten(path, lambda header, _: header.update(chain="0" * 64))
    (checked,) = await check_snapshots(log, tmp_path)
    assert checked.problem == f"{path} was folded from other records"


async def test_a_folder_that_cannot_be_written_is_told(log: MemoryLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        await write_snapshot(log, 0, 1, tmp_path / "file")
