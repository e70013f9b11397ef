"""``towline replay export`` and ``import``: the log as a file, and a file as a log."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.inputs import AsJson, Since, Until, repository, window
from streams.cli.output import FINDING, fail, note, print_json, progress_bar, run, say
from streams.cli.source import opened_slice, reading
from streams.kafka_log import KafkaLog
from streams.secrets.known import known_credentials
from streams.secrets.scanner import Scanner, SecretsFoundError
from streams.slices.loading import load_slice
from streams.slices.selection import DEFAULT_TOPICS, Choice
from streams.slices.writer import write_slice
from streams.topics import TOPICS
from towline.errors import MisuseError
from towline.settings import load_settings

Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND@PLACE",
        help="Let a secret pass that was found there; the file says so. Several are possible.",
    ),
]


def export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The slice; packed when it ends with .gz.")],
    *,
    since: Since = None,
    until: Until = None,
    of: Annotated[
        list[str] | None,
        typer.Option(
            "--repository",
            metavar="REGISTRY/REPOSITORY",
            help="The partitions of this repository only, whole; several are possible. Name its targets too.",
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help=f"This topic; several are possible. Without: {', '.join(DEFAULT_TOPICS)}."),
    ] = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Write the log, or a slice of it, to one file that replays without a broker; exit 1 when it holds a secret.

    Every record is searched for the credentials of the settings and for what well-known secrets look like. When one is
    found nothing is written, and its place is told.

    Events, decisions and checkpoints are in it from the beginning of the log, since a decision depends on everything
    before it: --to ends them, --from limits commands and dead letters only.
    """
    if file.exists():
        fail(MisuseError(f"{file} is there already: remove it, or give another name"))
    run(_export(file, lambda: _choice(since, until, of or [], topic or []), allow or [], as_json))


def _choice(since: str | None, until: str | None, of: list[str], topics: list[str]) -> Choice:
    for topic in topics:
        if topic not in TOPICS:
            raise MisuseError(f"there is no topic {topic!r}; there are {', '.join(TOPICS)}")
    chosen = tuple(dict.fromkeys(topics)) if topics else DEFAULT_TOPICS
    return Choice(chosen, *window(since, until), tuple(repository(text) for text in of))


async def _export(file: Path, asked: Callable[[], Choice], allowed: list[str], as_json: bool) -> int:
    choice = asked()
    settings = load_settings()
    scanner = Scanner(await known_credentials(settings, allowed), allowed)
    async with reading() as log:
        with progress_bar() as bar:
            task = bar.add_task("exporting", total=None)
            try:
                result = await write_slice(
                    log,
                    file,
                    choice,
                    scanner,
                    quarantine=settings.worker.quarantine,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            except SecretsFoundError as error:
                bar.stop()
                return print_secrets(error, as_json)
    if as_json:
        print_json({"file": str(file), "records": result.records, "sha256": result.sha256})
    else:
        say(f"{file}: {result.records} records, and no secret that was looked for")
    return 0


def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A slice of the log.")],
    as_json: AsJson = False,
) -> None:
    """Write a slice into an empty log, such as that of an embedded broker, so that every command works on it.

    Records get the offsets that they had: every topic has to be empty, and the slice to begin at offset 0. Mostly
    --slice FILE is all that is needed.
    """
    run(_import(file, as_json))


async def _import(file: Path, as_json: bool) -> None:
    async with opened_slice(file) as given, KafkaLog(load_settings().kafka) as log:
        with progress_bar() as bar:
            task = bar.add_task("importing", total=None)
            count = await load_slice(log, given, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print_json({"file": str(file), "records": count})
    else:
        say(f"{file}: {count} records are in the log")


def print_secrets(error: SecretsFoundError, as_json: bool) -> int:
    """Print where the secrets are, never what they are; return the exit code."""
    if as_json:
        print_json({"secrets": error.findings, "count": error.count})
        return FINDING
    for finding in error.findings:
        say(str(finding))
    if error.count > len(error.findings):
        say(f"and {error.count - len(error.findings)} more")
    note(f"error: {error}, and nothing is written that holds one. --allow KIND@PLACE lets pass what is none")
    return FINDING
