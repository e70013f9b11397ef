"""A slice is under its name whole or not at all (D01, D02)."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.slices.reader import open_slice
from tests.support.crashes import KilledError, failing_at, killed_at
from tests.support.exports import content_of, some_days
from tests.support.slices import everything, sliced
from tests.support.world import World
from towline.errors import StorageError

#: What writing one file takes: the name, its content, its place, the folder.
OPERATIONS = range(12)


@pytest.fixture
async def world() -> World:
    return await some_days(1)


async def test_a_slice_that_is_killed_at_any_moment_is_whole_or_not_there(world: World, tmp_path: Path) -> None:
    killed = 0
    for operation in OPERATIONS:
        path = tmp_path / f"{operation}.jsonl"
        try:
            with killed_at(operation):
                await sliced(world.log, path)
        except KilledError:
            killed += 1
        if path.exists():
            async with open_slice(path) as log:
                assert await everything(log) == await everything(world.log)
        # Whoever tries again is not held up by what was left.
        await sliced(world.log, path)
    assert 3 < killed < len(OPERATIONS)


async def test_content_is_on_the_disk_before_the_name_and_the_name_before_it_is_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    await sliced(world.log, tmp_path / "slice.jsonl")

    assert done == ["content", "name", "folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
async def test_a_slice_that_cannot_be_written_leaves_nothing_half_and_says_why(
    world: World, tmp_path: Path, code: int
) -> None:
    told = []
    for operation in OPERATIONS:
        folder = tmp_path / str(operation)
        os.mkdir(folder)  # noqa: PTH102 - the test is asynchronous
        with failing_at(operation, OSError(code, os.strerror(code))) as failed:
            try:
                await sliced(world.log, folder / "slice.jsonl")
            except StorageError as error:
                told.append(str(error))
                assert failed
        for name in content_of(folder):
            assert name == "slice.jsonl"
            async with open_slice(folder / name) as log:
                assert log.problems == ()
    assert len(told) > 3
    assert all("slice.jsonl" in text and os.strerror(code) in text for text in told)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let files grow so far and no further, as on a disk that becomes full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["slice.jsonl", "slice.jsonl.gz"])
async def test_a_disk_that_becomes_full_ends_it_cleanly(world: World, tmp_path: Path, name: str) -> None:
    with files_of_at_most(1024), pytest.raises(StorageError, match=rf"cannot write .*{name}: File too large"):
        await sliced(world.log, tmp_path / name)

    assert content_of(tmp_path) == {}


async def test_no_room_to_unpack_a_slice_is_told(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl.gz")
    with files_of_at_most(1024), pytest.raises(StorageError, match=r"cannot unpack .*: File too large"):
        open_slice(tmp_path / "slice.jsonl.gz")


async def test_only_its_owner_can_read_a_slice(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl")

    assert stat.S_IMODE((tmp_path / "slice.jsonl").stat().st_mode) == 0o600
