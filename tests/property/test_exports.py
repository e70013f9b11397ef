"""However often an export is stopped, and wherever, the folder becomes the same one."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.crashes import KilledError, killed_at
from tests.support.exports import content_of, exported, some_days
from towline import limits

WHOLE: dict[int, dict[str, bytes]] = {}


async def whole(chunk_records: int) -> dict[str, bytes]:
    """Return the files of an export that nothing befell, made once."""
    if chunk_records not in WHOLE:
        with tempfile.TemporaryDirectory() as name:
            await exported((await some_days(1)).log, Path(name))
            WHOLE[chunk_records] = content_of(Path(name))
    return WHOLE[chunk_records]


@settings(max_examples=25, deadline=None)
@given(stops=st.lists(st.integers(0, 60), max_size=6), chunk_records=st.integers(2, 6))
def test_any_row_of_stops_gives_the_same_folder(stops: list[int], chunk_records: int) -> None:
    async def run() -> None:
        log = (await some_days(1)).log
        expected = await whole(chunk_records)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for operation in stops:
                try:
                    with killed_at(operation):
                        await exported(log, folder)
                except KilledError:
                    continue
            await exported(log, folder)
            assert content_of(folder) == expected

    before = limits.export_chunk_records
    limits.export_chunk_records = chunk_records  # type: ignore[misc]
    try:
        asyncio.run(run())
    finally:
        limits.export_chunk_records = before  # type: ignore[misc]
