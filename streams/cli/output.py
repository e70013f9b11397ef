"""What commands print, and how they end: tables for people, JSON for programs, one exit code for each kind of end."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final, NoReturn

import orjson
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.printable import printable
from towline.errors import InfrastructureError, MisuseError, TowlineError

FINDING: Final = 1
MISUSE: Final = 2
INFRASTRUCTURE: Final = 3

#: Of many that are left out, how many are told.
_REFUSED_COUNT: Final = 20

#: For people; results go to standard output, everything else to standard error.
console = Console(highlight=False, soft_wrap=True, markup=False)
progress_console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def say(text: str = "") -> None:
    """Print a line of a result."""
    console.print(printable(text))


def note(text: str) -> None:
    """Print a line that is no part of the result."""
    progress_console.print(printable(text))


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    typer.echo(orjson.dumps(value, default=_plain).decode())


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; without rows, nothing.

    Nothing is cut to the width of a terminal: a digest that lost its end is of no use to anybody.
    """
    lines = [[printable("" if cell is None else cell) for cell in row] for row in rows]
    if not lines:
        return
    lines.insert(0, list(columns))
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def note_refused(refused: Sequence[tuple[str, str]], *, is_error: bool) -> None:
    """Print of the first that are left out, by their names, why: as errors when nothing was done because of them."""
    for name, reason in refused[:_REFUSED_COUNT]:
        note(f"{'error' if is_error else 'left out'}: {name}: {reason}")
    if len(refused) > _REFUSED_COUNT:
        note(f"and {len(refused) - _REFUSED_COUNT} more are left out")


def progress_bar() -> Progress:
    """Return a progress bar on standard error, which vanishes when done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=progress_console,
        transient=True,
    )


def fail(error: TowlineError) -> NoReturn:
    """Print an error and end with its exit code."""
    note(f"error: {error}")
    if isinstance(error, MisuseError):
        raise typer.Exit(MISUSE)
    raise typer.Exit(INFRASTRUCTURE if isinstance(error, InfrastructureError) else FINDING)


def run(
    main: Coroutine[Any, Any, int | None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a command to its end and exit with its code: 0 fine, 1 a finding, 2 misuse, 3 infrastructure."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(main)
    except TowlineError as error:
        fail(error)
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(130) from None
    if code:
        raise typer.Exit(code)
