"""``towline replay``."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.inputs import AsJson, SliceFile
from streams.cli.output import FINDING, print_json, progress_bar, run, say
from streams.cli.replay_what_if import what_if_command
from streams.cli.slices import export_command
from streams.cli.source import quarantined, reading
from streams.replay.verify import Difference, Verification, verify
from towline.settings import load_settings

app = typer.Typer(help="Fold the log anew. Reads only.", no_args_is_help=True)
app.command("export")(export_command)
app.command("what-if")(what_if_command)


@app.command("verify")
def verify_command(
    wait_seconds: Annotated[float, typer.Option(help="How long an evaluator that is behind may take.")] = 10.0,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare every recorded decision, byte for byte, with what the log leads to; exit 1 when one differs."""
    # In a slice nothing comes later.
    run(_verify(0 if slice_file else wait_seconds, slice_file, as_json))


async def _verify(wait_seconds: float, slice_file: Path | None, as_json: bool) -> int:
    settings = load_settings()
    async with reading(slice_file) as log:
        with progress_bar() as bar:
            task = bar.add_task("replaying", total=None)
            result = await verify(
                log,
                wait_seconds=wait_seconds,
                quarantined=quarantined(log, settings),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    if as_json:
        print_json({"replay": "identical" if result.is_identical else "different", "details": result})
    else:
        print_verification(result)
    return 0 if result.is_identical else FINDING


def print_verification(result: Verification) -> None:
    """Print a comparison for people; its last line is the verdict."""
    counts = f"{result.events} events, {result.decisions} decisions"
    if result.duplicates:
        counts += f", {result.duplicates} of them repeated after a crash with the same bytes"
    if result.unusable:
        counts += f", {result.unusable} events unusable (dead letters)"
    say(counts)
    for difference in result.differences:
        _print_difference(difference)
    if result.undecided:
        say(f"undecided: {result.undecided} decisions are not made yet; is a worker running?")
    say(f"replay: {'identical' if result.is_identical else 'DIFFERENT'}")


def _print_difference(difference: Difference) -> None:
    event = "" if difference.event_offset is None else f", event at offset {difference.event_offset}"
    say(f"partition {difference.partition}, decision at offset {difference.decision_offset}{event}: {difference.kind}")
    for path, (expected, recorded) in difference.fields.items():
        say(f"  {path}: the log leads to {expected!r}, recorded is {recorded!r}")
