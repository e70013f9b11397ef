"""How commands read their arguments."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.instants import Instant
from schemas.references import Reference, Repository
from streams.moments import instant
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


def window(since: str | None, until: str | None) -> tuple[Instant | None, Instant | None]:
    """Return the moments that --from and --to give.

    Raises:
        MisuseError: one is no moment, or nothing is between them.
    """
    found = None if since is None else instant(since), None if until is None else instant(until)
    if found[0] and found[1] and found[0] >= found[1]:
        raise MisuseError("--from is not before --to, so nothing is between them")
    return found


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
