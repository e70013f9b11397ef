"""``towline audit completeness`` and ``towline decisions re-emit``."""

from pathlib import Path
from typing import Annotated

import typer

from streams.audit.completeness import Completeness, Wanted, check_completeness
from streams.cli.inputs import AsJson, SliceFile, repository
from streams.cli.output import FINDING, note, print_json, print_table, progress_bar, run, say
from streams.cli.source import quarantined, reading
from streams.kafka_log import KafkaLog
from streams.log import ReadableLog
from streams.reemission import re_emit
from streams.topics import EVENTS
from towline.errors import LogError, MisuseError
from towline.settings import load_settings

app = typer.Typer(help="Write what workers should have written, where something is missing.", no_args_is_help=True)

Of = Annotated[
    str | None,
    typer.Option("--repository", metavar="REGISTRY/REPOSITORY", help="Only what is about this repository."),
]
Wait = Annotated[float, typer.Option(min=0, help="How long a worker that is writing may take.")]

#: Missing records that are listed for people; `--json` lists more.
_SHOWN = 50


def completeness_command(
    *, of: Of = None, wait_seconds: Wait = 10.0, slice_file: SliceFile = None, as_json: AsJson = False
) -> None:
    """Say what became of every offset of the log, and what it should have led to; exit 1 when something is missing.

    Decisions, commands, dead letters and the facts that travel are looked for. What no worker has reached yet is not
    missing.
    """
    run(_completeness(of, 0 if slice_file else wait_seconds, slice_file, as_json))


async def _completeness(of: str | None, wait_seconds: float, slice_file: Path | None, as_json: bool) -> int:
    async with reading(slice_file) as log:
        result = await _checked(log, of, wait_seconds)
    if as_json:
        print_json(_plain(result))
    else:
        print_completeness(result)
    return 0 if result.is_complete else FINDING


async def _checked(log: ReadableLog, of: str | None, wait_seconds: float) -> Completeness:
    wanted = Wanted(
        repository=None if of is None else repository(of),
        quarantined=quarantined(log, load_settings()),
        wait_seconds=wait_seconds,
    )
    with progress_bar() as bar:
        task = bar.add_task("folding", total=None)
        return await check_completeness(
            log, wanted, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def _plain(result: Completeness) -> dict[str, object]:
    missing = [
        {"partition": item.partition, "event_offset": item.event_offset, "kind": item.kind, "id": item.id}
        for item in result.missing
    ]
    return {
        "complete": result.is_complete,
        "beheaded": result.beheaded,
        "offsets": dict(result.offsets),
        "counts": dict(result.counts),
        "missing": missing,
    }


def print_completeness(result: Completeness) -> None:
    """Print the counts by reason, and what is missing, for people; the last line is the verdict."""
    print_table(("offsets", "reason"), [(count, reason) for reason, count in result.offsets.most_common()])
    if result.missing:
        say()
    print_table(
        ("missing", "event", "id"),
        [(item.kind, f"{item.partition}/{item.event_offset}", item.id) for item in result.missing[:_SHOWN]],
    )
    if (more := result.counts.total() - min(len(result.missing), _SHOWN)) > 0:
        say(f"and {more} more")
    if result.beheaded:
        say(f"completeness: MISSING {_beheaded(result)}")
    elif result.is_complete:
        say("completeness: nothing is missing")
    else:
        counts = ", ".join(f"{kind}: {count}" for kind, count in sorted(result.counts.items()))
        say(f"completeness: MISSING {counts}; towline decisions re-emit writes them")


def _beheaded(result: Completeness) -> str:
    numbers = ", ".join(map(str, result.beheaded))
    return (
        f"the beginning of {EVENTS}, in its partitions {numbers}: what else is missing cannot be known without it. "
        "towline topics verify tells if the broker may remove events"
    )


@app.command("re-emit")
def re_emit_command(
    *,
    of: Of = None,
    wait_seconds: Wait = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write what events lead to and nobody wrote, with the bytes and ids that a worker would have given it.

    It may run beside workers: what a worker writes as well has the same id and bytes, and counts once. Only what
    workers have gone past is written. Exit 1 when something is missing and was not written.
    """
    run(_re_emit(of, wait_seconds, dry_run, is_sure, as_json))


async def _re_emit(of: str | None, wait_seconds: float, dry_run: bool, is_sure: bool, as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        result = await _checked(log, of, wait_seconds)
        if not as_json:
            print_completeness(result)
        if result.beheaded and not dry_run:
            raise LogError(f"nothing was written: {_beheaded(result)}")
        is_wanted = bool(result.missing) and not dry_run and _is_wanted(len(result.missing), is_sure)
        written = await re_emit(log, result.missing) if is_wanted else 0
    if as_json:
        print_json(_plain(result) | {"written": written})
    elif written:
        say(f"written: {written}")
    if (left := result.counts.total() - written) and written:
        note(f"{left} more are missing: run it again")
    return FINDING if left or result.beheaded else 0


def _is_wanted(count: int, is_sure: bool) -> bool:
    if is_sure:
        return True
    try:
        return typer.confirm(f"Write these {count} records?", err=True)
    except typer.Abort:
        raise MisuseError("nothing was written: say --yes where nobody can be asked") from None
