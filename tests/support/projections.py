"""Projections for tests: questions to a log by way of one in memory, logs that break off, and what a file holds."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from streams.log import LogRecord, ReadableLog
from streams.projection.projection import Projection
from streams.projection.records import Records
from towline.errors import LogUnavailableError

T = TypeVar("T")
P = ParamSpec("P")
Rows = dict[str, list[tuple[Any, ...]]]


async def asked(
    log: ReadableLog, question: Callable[Concatenate[Records, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return the answer to a question about all that a log has."""
    async with Projection(log) as projection:
        await projection.catch_up()
        return await projection.ask(question, *args, **kwargs)


#: Whatever order the partitions were read in: rows have numbers by it, and nothing else.
_DUMPS = {
    "records": "SELECT * FROM records ORDER BY topic, id",
    "digests": "SELECT named.digest, topic, id FROM digests AS named JOIN records ON number = record ORDER BY 1, 2, 3",
    "repositories": "SELECT * FROM repositories ORDER BY 1",
    "positions": "SELECT * FROM positions ORDER BY 1, 2",
}


def everything(records: Records) -> Rows:
    """All that a projection holds, in an order of its own."""
    return {
        name: [row[1:] if name == "records" else row for row in records.rows(query)] for name, query in _DUMPS.items()
    }


async def at_once(log: ReadableLog) -> Rows:
    """What a projection holds that was made of a log in one go."""
    return await asked(log, everything)


def read_file(path: Path) -> Rows:
    """What a file holds, seen by somebody else."""
    connection = sqlite3.connect(path)
    try:
        return everything(Records(connection))
    finally:
        connection.close()


class BreakingOff:
    """A log that is away after so many batches of few records; None: never."""

    def __init__(self, log: ReadableLog, batches: int | None = None, size: int = 3) -> None:
        self._log = log
        self.batches = batches
        self._size = size

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(topic)

    async def low_watermark(self, topic: str, partition: int) -> int:
        return await self._log.low_watermark(topic, partition)

    async def high_watermark(self, topic: str, partition: int) -> int:
        return await self._log.high_watermark(topic, partition)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncGenerator[LogRecord, None]:
        async for record in self._log.read(topic, partition, start, stop):
            yield record

    async def read_batches(
        self, topic: str, partition: int, start: int, stop: int
    ) -> AsyncGenerator[list[LogRecord], None]:
        while start < stop:
            if self.batches is not None:
                if self.batches == 0:
                    raise LogUnavailableError("the log is away")
                self.batches -= 1
            batch = [record async for record in self._log.read(topic, partition, start, min(stop, start + self._size))]
            yield batch
            start = batch[-1].offset + 1

    def follow(self, topic: str, starts: Any) -> AsyncGenerator[LogRecord, None]:
        return self._log.follow(topic, starts)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
