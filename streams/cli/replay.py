"""``towline replay``."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from schemas.instants import Instant
from streams.cli.inputs import AsJson, SliceFile, repository
from streams.cli.output import FINDING, note, print_json, progress_bar, run, say
from streams.cli.replay_state import state_command
from streams.cli.replay_what_if import what_if_command
from streams.cli.slices import export_command, import_command
from streams.cli.snapshots import Directory, folder_of, snapshot_command
from streams.cli.source import quarantined, reading
from streams.kafka_read_log import KafkaReadLog
from streams.moments import instant
from streams.replay.matching import Difference, Verification
from streams.replay.processes import Opener, verify_in_processes
from streams.replay.spans import Place, Span
from streams.replay.verify import Comparison
from streams.slices.reader import open_slice
from towline.errors import MisuseError
from towline.settings import Settings, load_settings

app = typer.Typer(help="Fold the log anew. Only import writes, and only to an empty log.", no_args_is_help=True)
app.command("export")(export_command)
app.command("what-if")(what_if_command)
app.command("snapshot")(snapshot_command)
app.command("import")(import_command)
app.command("state")(state_command)


@app.command("verify")
def verify_command(
    *,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME|PARTITION/OFFSET", help="Only what came then, or there, or later."),
    ] = None,
    stop: Annotated[
        str | None, typer.Option("--to", metavar="TIME|PARTITION/OFFSET", help="Only what came before then, or there.")
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--repository", metavar="REGISTRY/REPOSITORY", help="Only the decisions of this repository."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="How many share the work, each with partitions of its own.", show_default="cores")
    ] = os.cpu_count() or 1,
    directory: Directory = None,
    wait_seconds: Annotated[float, typer.Option(help="How long an evaluator that is behind may take.")] = 10.0,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare every recorded decision, byte for byte, with what the log leads to; exit 1 when one differs.

    What comes before a range is folded and not compared; a snapshot near its beginning saves most of that.
    """
    # In a slice nothing comes later.
    wait = 0 if slice_file else wait_seconds
    run(_verify(lambda: _comparison(start, stop, of, directory, wait), processes, slice_file, as_json))


def _comparison(
    start: str | None, stop: str | None, of: str | None, directory: Path | None, wait_seconds: float
) -> Comparison:
    return Comparison(
        span=Span(_end(start), _end(stop)),
        repository=None if of is None else repository(of),
        wait_seconds=wait_seconds,
        snapshots=folder_of(directory),
    )


def _end(text: str | None) -> Instant | Place | None:
    if text is None or "/" not in text:
        return None if text is None else instant(text)
    partition, _, offset = text.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise MisuseError(f"{text!r} is no place in the log: write PARTITION/OFFSET, such as 3/1200, or a time")
    return Place(int(partition), int(offset))


async def _verify(asked: Callable[[], Comparison], processes: int, slice_file: Path | None, as_json: bool) -> int:
    settings = load_settings()
    async with reading(slice_file) as log:
        comparison = replace(asked(), quarantined=quarantined(log, settings))
    with progress_bar() as bar:
        task = bar.add_task("replaying", total=None)
        result = await verify_in_processes(
            _opener(settings, slice_file),
            comparison,
            processes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for reason in result.refused:
        note(reason)
    if as_json:
        print_json({"replay": "identical" if result.is_identical else "different", "details": result})
    else:
        print_verification(result)
    return 0 if result.is_identical else FINDING


def _opener(settings: Settings, slice_file: Path | None) -> Opener:
    return partial(KafkaReadLog, settings.kafka) if slice_file is None else partial(open_slice, slice_file)


def print_verification(result: Verification) -> None:
    """Print a comparison for people; its last line is the verdict."""
    counts = f"{result.events} events, {result.decisions} decisions"
    if result.duplicates:
        counts += f", {result.duplicates} repeated with the same bytes"
    if result.late:
        counts += f", late: {result.late}"
    if result.unusable:
        counts += f", {result.unusable} events unusable (dead letters)"
    say(counts)
    for difference in result.differences:
        _print_difference(difference)
    if result.different:
        say(f"{result.changed} changed, {result.missing} missing, {result.unexpected} unexpected")
    if result.undecided:
        say(f"undecided: {result.undecided} decisions are not made yet; is a worker running?")
    say(f"replay: {'identical' if result.is_identical else 'DIFFERENT'}")


def _print_difference(difference: Difference) -> None:
    places = [
        f"{what} at offset {offset}"
        for what, offset in (("decision", difference.decision_offset), ("event", difference.event_offset))
        if offset is not None
    ]
    say(f"partition {difference.partition}, {', '.join(places)}: {difference.kind}")
    for path, (expected, recorded) in difference.fields.items():
        say(f"  {path}: the log leads to {expected!r}, recorded is {recorded!r}")
