"""An export that was killed at any moment, or failed at any file operation, ends as one that was not (D01, D02)."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.export.check import check
from tests.support.crashes import KilledError, failing_at, killed_at
from tests.support.exports import content_of, exported, some_days
from tests.support.world import World
from towline import limits
from towline.errors import StorageError

#: The file operations of one export; the tests hold that there are not many more.
OPERATIONS = 200


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "export_chunk_records", 2)


@pytest.fixture
async def world() -> World:
    return await some_days(1)


@pytest.fixture
async def whole(world: World, tmp_path: Path) -> dict[str, bytes]:
    """The files of an export that nothing befell."""
    await exported(world.log, tmp_path / "whole")
    return content_of(tmp_path / "whole")


async def test_an_export_killed_at_any_file_operation_ends_as_one_that_was_not(
    world: World, whole: dict[str, bytes], tmp_path: Path
) -> None:
    for operation in range(OPERATIONS):
        folder = tmp_path / f"killed at {operation}"
        try:
            with killed_at(operation):
                await exported(world.log, folder)
        except KilledError:
            await exported(world.log, folder)
            assert content_of(folder) == whole, operation
        else:
            break
    assert 50 < operation < OPERATIONS - 1


@pytest.mark.parametrize("replacement", [1, 4, 12])
async def test_an_export_that_is_killed_indeed_ends_as_one_that_was_not(
    world: World, whole: dict[str, bytes], tmp_path: Path, replacement: int
) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from tests.support.exports import exported, some_days
from towline import limits

limits.export_chunk_records = 2
replace, left = os.replace, {replacement}

def killing(*arguments, **named):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments, **named)

os.replace = killing

async def main():
    await exported((await some_days(1)).log, Path("killed"))

asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to happen meanwhile
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    parts = [path for path in content_of(tmp_path / "killed") if path.endswith(".part")]
    assert len(parts) == 1
    await exported(world.log, tmp_path / "killed")
    assert content_of(tmp_path / "killed") == whole


@pytest.mark.parametrize("operation", range(0, 70, 9))
async def test_records_that_come_between_a_kill_and_the_next_export_change_no_file_of_the_first(
    world: World, tmp_path: Path, operation: int
) -> None:
    steady = await some_days(1)
    with pytest.raises(KilledError), killed_at(operation):
        await exported(world.log, tmp_path / "killed")
    if (tmp_path / "killed" / "manifest.json").exists():
        # It was planned what to export; else there was nothing yet to go on with.
        await exported(steady.log, tmp_path / "steady")
    for log in (world, steady):
        await some_days(1, log, first=1)
    await exported(world.log, tmp_path / "killed")
    await exported(steady.log, tmp_path / "steady")

    assert content_of(tmp_path / "killed") == content_of(tmp_path / "steady")


@pytest.mark.parametrize(("code", "step"), [(errno.ENOSPC, 1), (errno.EACCES, 7), (errno.EIO, 5)])
async def test_an_export_that_fails_at_any_file_operation_stops_cleanly_and_can_go_on(
    world: World, whole: dict[str, bytes], tmp_path: Path, code: int, step: int
) -> None:
    told: list[str] = []
    for operation in range(0, OPERATIONS, step):
        folder = tmp_path / f"failed at {operation}"
        with failing_at(operation, OSError(code, os.strerror(code))) as failed:
            try:
                await exported(world.log, folder)
            except StorageError as error:
                told.append(str(error))
        if not failed:
            break
        assert not [path for path in content_of(folder) if path.endswith(".part")] if folder.exists() else True
        await exported(world.log, folder)
        assert content_of(folder) == whole, operation
        assert check(folder)[1] == []
    assert not failed
    assert len(told) > 50 // step
    assert all(os.strerror(code) in text for text in told)
