"""Exports of logs in memory, for tests."""

from pathlib import Path
from typing import Any

import orjson

from streams.export.formats import Format
from streams.export.manifest import Manifest
from streams.export.run import Request, export
from streams.log import Append, ReadableLog
from streams.secrets.scanner import Scanner
from streams.topics import DEADLETTERS
from tests.support.builders import at, policy, published, pushed, ticked
from tests.support.world import World

DAY_SECONDS = 24 * 3600


async def exported(
    log: ReadableLog, folder: Path, *formats: Format, scanner: Scanner | None = None, **chosen: Any
) -> Manifest:
    """Export what there is now."""
    return await export(log, folder, Request(formats or ("jsonl",), **chosen), scanner or Scanner({}))


def content_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def rows_of(folder: Path, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table's JSON lines, by partition and offset."""
    lines = [line for path in (folder / table).rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(map(orjson.loads, lines), key=lambda row: (row["partition"], row["offset"]))


async def some_days(days: int = 3, world: World | None = None, first: int = 0) -> World:
    """Return a log with pushes of several days, decided, and something unreadable on each."""
    world = world or World()
    if first == 0:
        await world.record(published(policy("to-qa", "local/dev/app", "local/qa/app")))
    for day in range(first, first + days):
        moment = day * DAY_SECONDS + 60
        await world.record(pushed(f"local/dev/app:{day}", f"image {day}", time=at(moment)), ticked(moment + 60))
        await world.log.append(Append(DEADLETTERS, key=b"\xff", value=b'=cmd()|"\xfe\n', headers=(("h", b"\xfd"),)))
    return world
