"""What commands that publish a set of documents share."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from streams.cli.output import progress_bar, say
from streams.log import EventLog
from streams.publication import Progress, RevisionConflictError
from streams.topics import EVENTS

Replaces = Annotated[
    int | None, typer.Option(help="The revision you mean to replace; refused when another came first.")
]
Timeout = Annotated[float, typer.Option(help="How long to wait for the evaluators.")]


async def published(log: EventLog, publish: Callable[[Progress], Awaitable[int]]) -> int | None:
    """Publish with a progress bar and return the revision; None when another came first, which is said."""
    try:
        with progress_bar() as bar:
            task = bar.add_task("publishing", total=await log.partitions(EVENTS))
            return await publish(lambda done, total: bar.update(task, completed=done, total=total))
    except RevisionConflictError as error:
        say(str(error))
        return None
