"""Logs as workers leave them: events in their order, each judged, and its commands ended as a test wants it."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.commands import CopyImage, RemoveTag
from schemas.envelope import Envelope
from schemas.events import TagRemoved
from schemas.references import Frozen
from streams.log import ReadableLog
from streams.memory_log import MemoryLog
from tests.support.builders import completed, envelope, failed, outcome
from tests.support.world import World

#: How a command ends: ``completed`` or ``failed`` before the next event, ``late`` after it, or ``never``.
Ending = str
Endings = Callable[[int], Ending]


def always_completed(_: int) -> Ending:
    """End every command well."""
    return "completed"


def in_turn(endings: Sequence[Ending]) -> Endings:
    """End the commands in these ways, over and over."""
    return lambda number: endings[number % len(endings)] if endings else "completed"


async def recorded_log(history: Iterable[Envelope[Frozen]], endings: Endings = always_completed) -> MemoryLog:
    """Return the log of a history, to the end of what follows from it."""
    world, late, known = World(), list[Envelope[Frozen]](), set[str]()
    for event in history:
        await world.record(event)
        following, late = late, []
        while True:
            for item in following:
                await world.record(item)
            commands = [item for item in await world.commands() if isinstance(item.data, CopyImage | RemoveTag)]
            fresh = {item.id: item for item in commands if item.id not in known}
            if not fresh:
                break
            following = []
            for number, command in enumerate(fresh.values(), len(known)):
                how = endings(number)
                if how != "never":
                    (late if how == "late" else following).append(_end(command, how, event.time))
            known |= fresh.keys()
    return world.log


def _end(command: Envelope[Frozen], how: Ending, time: str) -> Envelope[Frozen]:
    data = command.data
    if isinstance(data, CopyImage):
        end = failed if how == "failed" else completed
        return outcome(end(command.id, data).model_copy(update={"pushed_by": data.pushed_by}), time=time)
    assert isinstance(data, RemoveTag)
    gone = TagRemoved(**data.outcome_members(command.id), previous_digest=data.digest)
    return envelope(gone, subject=str(data.target), key=f"removed {command.id}", time=time)


def to_be_read(patch: pytest.MonkeyPatch, folder: Path, module: Any, log: ReadableLog) -> None:
    """Let a command of a module read this log, with settings that name the registries ``local`` and ``remote``."""

    @asynccontextmanager
    async def reading(_: Path | None) -> AsyncIterator[ReadableLog]:
        yield log

    settings = folder / "towline.yaml"
    settings.write_text("registries: {local: {url: 'http://127.0.0.1:1'}, remote: {url: 'http://127.0.0.1:2'}}\n")
    patch.setenv("TOWLINE_SETTINGS", str(settings))
    patch.setattr(module, "reading", reading)
