"""``towline audit export``: the records of the log as tables, for tools of others."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.inputs import AsJson, Since, Until, window
from streams.cli.output import FINDING, print_json, print_table, progress_bar, run, say
from streams.cli.slices import Allow, print_secrets
from streams.cli.source import reading
from streams.export.check import check
from streams.export.columns import TABLES
from streams.export.formats import Format, check_available
from streams.export.manifest import Manifest
from streams.export.run import Request, export
from streams.secrets.known import known_credentials
from streams.secrets.scanner import Scanner, SecretsFoundError
from streams.topics import DECISIONS
from towline.settings import load_settings


class FormatChoice(StrEnum):
    """What files are made."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    BOTH = "both"


_FORMATS: dict[FormatChoice, tuple[Format, ...]] = {
    FormatChoice.PARQUET: ("parquet",),
    FormatChoice.JSONL: ("jsonl",),
    FormatChoice.BOTH: ("jsonl", "parquet"),
}


def export_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the export; made when it is not there.")],
    *,
    since: Since = None,
    until: Until = None,
    format_: Annotated[
        FormatChoice, typer.Option("--format", help="Parquet needs pyarrow, which towline's extra named export brings.")
    ] = FormatChoice.BOTH,
    is_check: Annotated[
        bool,
        typer.Option("--check", help="Export nothing: compare the folder with its manifest; exit 1 when it differs."),
    ] = False,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Export events, decisions, commands, dead letters and checkpoints as tables, a folder for each day.

    An export that was interrupted goes on where it was, and one that is complete takes what came since. manifest.json
    has each file with its SHA-256, the offsets that are covered, and the checkpoint that covers the decisions.

    Every record is searched for secrets first; at one that holds any the export stops with exit 1.
    """
    if is_check:
        run(_check(folder, as_json))
    else:
        run(_export(folder, lambda: Request(_FORMATS[format_], *window(since, until)), allow or [], as_json))


async def _export(folder: Path, asked: Callable[[], Request], allowed: list[str], as_json: bool) -> int:
    request = asked()
    check_available(request.formats)
    scanner = Scanner(await known_credentials(load_settings(), allowed), allowed)
    async with reading() as log:
        with progress_bar() as bar:
            task = bar.add_task("exporting", total=None)
            try:
                manifest = await export(
                    log, folder, request, scanner, lambda done, total: bar.update(task, completed=done, total=total)
                )
            except SecretsFoundError as error:
                bar.stop()
                return print_secrets(error, as_json)
    if as_json:
        print_json({"folder": str(folder), "manifest": manifest})
    else:
        print_manifest(manifest)
    return 0


async def _check(folder: Path, as_json: bool) -> int:
    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        manifest, found = check(folder, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print_json({"folder": str(folder), "files": len(manifest.files), "deviations": found})
    else:
        for deviation in found:
            say(f"{deviation.path}: {deviation.reason}")
        if not found:
            say(f"{len(manifest.files)} files are as the manifest says")
    return FINDING if found else 0


def print_manifest(manifest: Manifest) -> None:
    """Print what an export has, and what covers it."""
    rows: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for file in manifest.files:
        table = TABLES[file.topic]
        files[table] += 1
        # Each row is in a file of every format.
        rows[table] += file.rows if file.path.endswith(manifest.formats[0]) else 0
    print_table(("TABLE", "FILES", "ROWS"), [(table, files[table], rows[table]) for table in files])
    for coverage in manifest.checkpoints:
        where = f"partition {coverage.partition} of the decisions"
        if (newest := coverage.checkpoint) is not None:
            say(f"{where}: covered by checkpoint {newest.number} up to offset {newest.last_offset}")
        elif manifest.covered[DECISIONS][coverage.partition].end:
            say(f"{where}: {coverage.reason}")
    if not manifest.files:
        say("there is nothing to export")
