"""How commands read their arguments."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.instants import Instant, format_instant
from schemas.references import Reference, Repository
from towline.errors import MisuseError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PolicyFile = Annotated[str, typer.Argument(metavar="FILE", help="A policy file; - for standard input.")]
SliceFile = Annotated[
    Path | None,
    typer.Option("--slice", metavar="FILE", help="Read an exported slice of the log instead of the broker."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the registries what they let us do.")]

Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="What was recorded from here on.")]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="What was recorded before this moment.")]

_DATE_LENGTH: Final = len("2026-11-24")


def reference(text: str) -> Reference:
    """Return REGISTRY/NAME:TAG as a reference.

    Raises:
        MisuseError: it is none.
    """
    try:
        return Reference.parse(text)
    except ValueError as error:
        raise MisuseError(str(error)) from None


def repository(text: str) -> Repository:
    """Return REGISTRY/NAME as a repository.

    Raises:
        MisuseError: it is none.
    """
    try:
        return Repository.parse(text)
    except ValueError as error:
        raise MisuseError(str(error)) from None


def instant(text: str) -> Instant:
    """Return a date or a moment of ISO 8601 as an instant; a date is its beginning in UTC.

    Raises:
        MisuseError: it is neither, or a time without a time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == _DATE_LENGTH:
            moment = moment.replace(tzinfo=UTC)
        return format_instant(moment)
    except (ValueError, OverflowError):
        raise MisuseError(
            f"{text!r} is no moment: write 2026-11-24, 2026-11-24T08:00Z or 2026-11-24T09:00+01:00"
        ) from None


def read_file(path: str) -> bytes:
    """Return the bytes of a file; ``-`` is standard input.

    Raises:
        MisuseError: there is no such file.
    """
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from None


def read_text(path: str) -> str:
    """Return the text of a file; ``-`` is standard input.

    Raises:
        MisuseError: there is no such file, or it is not UTF-8.
    """
    try:
        return read_file(path).decode()
    except UnicodeDecodeError as error:
        raise MisuseError(f"{path}: not UTF-8, at byte {error.start}") from None


def actor() -> str:
    """Return who runs the command, for the log."""
    return getpass.getuser()
