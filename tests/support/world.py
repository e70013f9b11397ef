"""A log in memory with its evaluator, and ends of copies as a test wants them, for the commands of operators."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest

from schemas.catalogue import decode
from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.cli import source
from streams.folding import fold
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, EVENTS
from tests.support.builders import outcome, record_events
from tests.support.checkers import all_records
from towline.policy.step import MemoryState

PARTITIONS = 3

End: TypeAlias = Callable[[str, CopyImage], Any]


class World:
    """Folds what is recorded, as the evaluator would, and keeps every command."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog(partitions=PARTITIONS)
        self._states = [MemoryState() for _ in range(PARTITIONS)]
        self._folded = [0] * PARTITIONS

    async def record(self, *events: Envelope[Frozen]) -> None:
        await self.record_unfolded(*events)
        await self.fold()

    async def record_unfolded(self, *events: Envelope[Frozen]) -> None:
        """Bring events into the log while no evaluator runs."""
        await record_events(self.log, *events, partitions=PARTITIONS)

    async def fold(self) -> None:
        """Let the evaluator come up to the end of the log."""
        while records := [
            item for item in await all_records(self.log, EVENTS) if item.offset >= self._folded[item.partition]
        ]:
            for item in records:
                folded = fold(self._states[item.partition], item, PARTITIONS)
                self._states[item.partition].apply(folded.changes)
                self._folded[item.partition] = item.offset + 1
                await self.log.append_all([*folded.decisions, *folded.commands, *folded.events])

    async def commands(self) -> list[Envelope[Frozen]]:
        """Every command, in the order of the partitions."""
        return [decode(item.value or b"") for item in await all_records(self.log, COMMANDS)]

    async def copies(self) -> dict[str, Envelope[Frozen]]:
        """The last command to copy, by its target."""
        return {str(item.data.target): item for item in await self.commands() if isinstance(item.data, CopyImage)}

    async def end(self, target: str, how: End) -> None:
        """End the copy to a target."""
        command = (await self.copies())[target]
        assert isinstance(command.data, CopyImage)
        await self.record(outcome(how(command.id, command.data)))


def in_place_of_kafka(patch: pytest.MonkeyPatch, module: Any, log: MemoryLog) -> None:
    """Let the commands of a module work on a log in memory, and those that only read it."""

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[MemoryLog]:
        yield log

    patch.setattr(source, "KafkaReadLog", opened)
    if hasattr(module, "KafkaLog"):
        patch.setattr(module, "KafkaLog", opened)
