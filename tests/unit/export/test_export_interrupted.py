"""An export that was killed at any moment, or failed at any file operation, ends as one that was not."""

import errno
import os
from pathlib import Path

import pytest

from streams.export.check import check
from tests.support.crashes import KilledError, failing_at, killed_at
from tests.support.exports import content_of, exported, some_days
from towline import limits
from towline.errors import StorageError


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "export_chunk_records", 4)


async def test_an_export_killed_at_any_file_operation_ends_as_one_that_was_not(tmp_path: Path) -> None:
    world = await some_days(2)
    await exported(world.log, tmp_path / "whole", "jsonl", "parquet")
    whole = content_of(tmp_path / "whole")
    killed, operation = 0, 0
    while True:
        folder = tmp_path / f"killed at {operation}"
        try:
            with killed_at(operation):
                await exported(world.log, folder, "jsonl", "parquet")
            break
        except KilledError:
            killed += 1
        await exported(world.log, folder, "jsonl", "parquet")
        assert content_of(folder) == whole, operation
        operation += 1
    assert killed > 100


async def test_records_that_come_between_a_kill_and_the_next_export_change_no_file_of_the_first(
    tmp_path: Path,
) -> None:
    for operation in range(0, 90, 7):
        world = await some_days(1)
        later = await some_days(1)
        await exported(later.log, tmp_path / f"steady {operation}")
        with pytest.raises(KilledError), killed_at(operation):
            await exported(world.log, tmp_path / f"killed {operation}")
        had_begun = (tmp_path / f"killed {operation}" / "manifest.json").exists()
        if not had_begun:
            # Nothing had been planned: then it is an export of everything.
            later = await some_days(1)
            (tmp_path / f"steady {operation}").rename(tmp_path / f"unused {operation}")
        for log in (world, later):
            await some_days(1, log, first=1)
        await exported(world.log, tmp_path / f"killed {operation}")
        await exported(later.log, tmp_path / f"steady {operation}")
        assert content_of(tmp_path / f"killed {operation}") == content_of(tmp_path / f"steady {operation}"), operation


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
async def test_an_export_that_fails_at_any_file_operation_stops_cleanly_and_can_go_on(
    tmp_path: Path, code: int
) -> None:
    world = await some_days(1)
    await exported(world.log, tmp_path / "whole")
    whole = content_of(tmp_path / "whole")
    operation, told = 0, list[str]()
    while True:
        folder = tmp_path / f"failed at {operation}"
        with failing_at(operation, OSError(code, os.strerror(code))) as failed:
            try:
                await exported(world.log, folder)
            except StorageError as error:
                told.append(str(error))
        if not failed:
            break
        await exported(world.log, folder)
        assert content_of(folder) == whole, operation
        assert check(folder)[1] == []
        operation += 1
    assert len(told) > 50
    assert all(os.strerror(code) in text for text in told)
