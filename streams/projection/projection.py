"""A projection that follows a log: what is new is read before a question, and one that does not fit is made anew."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Final, NamedTuple, ParamSpec, Self, TypeVar

from streams.log import LogRecord, ReadableLog
from streams.projection.records import Records
from streams.projection.rows import PROJECTED
from streams.projection.store import ProjectionError, Reached, Store, UnusableFileError, mark_of
from streams.topics import CHECKPOINTS, DEADLETTERS
from towline import limits
from towline.errors import TopicMismatchError

FILE_NAME: Final = "projection.sqlite"

_OPTIONAL: Final = frozenset({DEADLETTERS, CHECKPOINTS})

T = TypeVar("T")
P = ParamSpec("P")
Progress = Callable[[int, int], None]


class _Range(NamedTuple):
    """What of a partition is to be read."""

    topic: str
    partition: int
    start: int
    stop: int
    #: Known already: read once more, to see that the log is still the same.
    known: Reached | None


class Projection:
    """The topics of a log as rows in a file, or in memory when there is no path.

    All work with SQLite happens in a thread of its own, one piece after the other. ``tell`` gets a line when the file
    is made anew, ``progress`` how many records of how many were read.
    """

    def __init__(
        self,
        log: ReadableLog,
        path: Path | None = None,
        *,
        tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005 - nobody listens
        progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
    ) -> None:
        self._log = log
        self._path = path
        self._tell = tell
        self._progress = progress
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projection")
        self._kept: Store | None = None
        self._one_at_a_time = asyncio.Lock()
        #: How many records the log had at the last look that were not read yet.
        self.lag_count = 0
        #: Whether the end of the log was reached since the file was opened or made anew; before, much may be missing.
        self.is_whole = False

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            ProjectionError: it cannot be read or written.
        """
        try:
            self._kept = await self._run(Store, self._path)
            await self._guarded(self._prepare)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        store, self._kept = self._kept, None
        if store is not None:
            await self._run(store.close)
        self._thread.shutdown()

    async def catch_up(self) -> None:
        """Read what is new in the log.

        Raises:
            ProjectionError: the file cannot be written.
            LogUnavailableError: the log cannot be reached.
        """
        async with self._one_at_a_time:
            await self._guarded(self._catch_up)

    async def ask(self, question: Callable[Concatenate[Records, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer to a question about what was read so far.

        Raises:
            ProjectionError: the file cannot be read.
            LogUnavailableError: the file was damaged, and the log cannot be reached.
        """

        def asked() -> T:
            return self._store.asked(lambda connection: question(Records(connection), *args, **kwargs))

        try:
            return await self._run(asked)
        except UnusableFileError as error:
            async with self._one_at_a_time:
                await self._replace(error)
                await self._guarded(self._catch_up)
        with self._made_anew():
            return await self._run(asked)

    @property
    def _store(self) -> Store:
        if self._kept is None:
            raise RuntimeError("the projection is not open")
        return self._kept

    async def _prepare(self) -> None:
        await self._run(self._store.prepare)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work with the file; when it cannot be used, make it anew from the log, and do the work once more."""
        try:
            await work()
        except UnusableFileError as error:
            await self._replace(error)
            with self._made_anew():
                await work()

    @contextmanager
    def _made_anew(self) -> Iterator[None]:
        """What is wrong with a file that was made anew just now is nothing that to make it once more would mend."""
        try:
            yield
        except UnusableFileError as error:
            raise ProjectionError(
                f"the projection {self._store.name} was made anew, and still cannot be used: {error}"
            ) from error

    async def _replace(self, why: UnusableFileError) -> None:
        self.is_whole = False
        self._tell(f"the projection {self._store.name} is made anew from the log: {why}")
        try:
            await self._run(self._store.renew)
        except UnusableFileError:
            await self._run(self._store.replace)

    async def _catch_up(self) -> None:
        ranges = await self._ranges()
        total, done = sum(one.stop - one.start for one in ranges), 0
        self.lag_count = total
        turns = asyncio.Semaphore(limits.projection_reader_count)

        def read(count: int) -> None:
            nonlocal done
            done += count
            self.lag_count = max(total - done, 0)
            self._progress(done, total)

        async def take(one: _Range) -> None:
            async with turns:
                await self._read(one, read)

        tasks = [asyncio.create_task(take(one)) for one in ranges]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.is_whole = True

    async def _ranges(self) -> list[_Range]:
        """Return what is to be read.

        Raises:
            UnusableFileError: the log is not the one that was read, or has lost what was read.
        """
        known: Mapping[tuple[str, int], Reached] = await self._run(self._store.positions)
        found, same = list[_Range](), list[_Range]()
        # Effects first: whatever is read of them, their causes, which are older, are read too.
        for topic in reversed(PROJECTED):
            count = await self._partitions(topic)
            if any(place[0] == topic and place[1] >= count for place in known):
                raise UnusableFileError(f"{topic} has fewer partitions than were read")
            for partition in range(count):
                one = await self._range(topic, partition, known.get((topic, partition)))
                (found if one.known is None or one.stop > one.known.next else same).append(one)
        # Nothing is new: one record tells if this is still the same log.
        checked = [one for one in same if one.known is not None and one.known.last is not None][-1:]
        return [one for one in found if one.stop > one.start or one.known is None] or checked

    async def _partitions(self, topic: str) -> int:
        try:
            return await self._log.partitions(topic)
        except TopicMismatchError:
            # A slice may go without them; nothing follows from them.
            if topic in _OPTIONAL:
                return 0
            raise

    async def _range(self, topic: str, partition: int, known: Reached | None) -> _Range:
        low = await self._log.low_watermark(topic, partition)
        high = await self._log.high_watermark(topic, partition)
        if known is None:
            return _Range(topic, partition, low, high, None)
        start = known.next if known.last is None else known.last
        if high < known.next or low > start:
            raise UnusableFileError(
                f"{topic} partition {partition} has offsets {low} to {high}, and {start} to {known.next} were read: it "
                "is another log, or one that lost records"
            )
        return _Range(topic, partition, start, high, known)

    async def _read(self, one: _Range, read: Callable[[int], None]) -> None:
        count, is_first = await self._log.partitions(one.topic), True
        async with aclosing(self._log.read_batches(one.topic, one.partition, one.start, one.stop)) as batches:
            async for batch in batches:
                if is_first and one.known is not None and one.known.last is not None:
                    _require_same(one.known, batch[0])
                is_first = False
                await self._run(self._store.write, batch, count)
                read(len(batch))
        if is_first and one.known is not None and one.known.last is not None:
            raise UnusableFileError(f"{one.topic} partition {one.partition} lost what was read last")
        await self._run(self._store.reach, one.topic, one.partition, one.stop)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))


def _require_same(known: Reached, record: LogRecord) -> None:
    if (record.offset, mark_of(record)) != (known.last, known.mark):
        raise UnusableFileError(
            f"{record.topic} partition {record.partition} has another record at offset {known.last}: it is another log"
        )
