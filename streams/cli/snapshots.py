"""``towline replay snapshot``: write and check snapshots of the folded state."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.inputs import AsJson, SliceFile
from streams.cli.output import FINDING, note, print_json, print_table, progress_bar, run, say
from streams.cli.source import quarantined, reading
from streams.log import ReadableLog
from streams.moments import instant
from streams.replay.snapshot_check import check_snapshots
from streams.replay.snapshots import write_snapshot
from streams.replay.spans import Span, part_of
from streams.topics import EVENTS
from towline.settings import load_settings

Directory = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where snapshots are.", show_default="snapshots in the data directory"),
]


def folder_of(directory: Path | None) -> Path:
    """Return where snapshots are: where the caller says, or in the data directory."""
    return load_settings().data_dir / "snapshots" if directory is None else directory


def snapshot_command(
    *,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The state before what came at this moment; without: now.")
    ] = None,
    check: Annotated[bool, typer.Option("--verify", help="Write none: compare those that are there.")] = False,
    directory: Directory = None,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the folded state of each partition to a file, so that a replay of later events begins there.

    With --verify each snapshot is compared with a fold of the whole log; exit 1 when one differs.
    """
    run(_check(directory, slice_file, as_json) if check else _write(at, directory, slice_file, as_json))


async def _write(at: str | None, directory: Path | None, slice_file: Path | None, as_json: bool) -> int:
    span, folder = Span(stop=None if at is None else instant(at)), folder_of(directory)
    async with reading(slice_file) as log:
        paths = await _write_all(log, span, folder)
    if as_json:
        print_json([str(path) for path in paths])
    for path in () if as_json else paths:
        say(str(path))
    return 0


async def _write_all(log: ReadableLog, span: Span, folder: Path) -> list[Path]:
    partitions, aside, paths = await log.partitions(EVENTS), quarantined(log, load_settings()), list[Path]()
    with progress_bar() as bar:
        task = bar.add_task("folding partitions", total=partitions)
        for partition in range(partitions):
            part = await part_of(log, partition, span)
            paths.append(await write_snapshot(log, partition, part.stop, folder, quarantined=aside, refused=note))
            bar.advance(task)
    return paths


async def _check(directory: Path | None, slice_file: Path | None, as_json: bool) -> int:
    async with reading(slice_file) as log:
        with progress_bar() as bar:
            task = bar.add_task("folding", total=None)
            checked = await check_snapshots(
                log,
                folder_of(directory),
                quarantined=quarantined(log, load_settings()),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    if as_json:
        print_json([{"path": str(item.path), "problem": item.problem} for item in checked])
    else:
        print_table(("snapshot", "result"), [(item.path.name, item.problem or "as the log folds") for item in checked])
        if not checked:
            say("there are no snapshots: towline replay snapshot")
    return FINDING if any(item.problem for item in checked) else 0
