"""Telling the log how a copy goes, beside the copy: that it began, and now and then how far it is.

In the log the beginning comes before every report of progress, and all of them before the end of the command. After a
crash the copy begins anew, and what is told of it has the ids of the first time: of an id that comes twice the later
one is newer. Reports decide nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from agents.command_runner import Record
from agents.outcomes import known_now
from schemas.canonical import content_id
from schemas.commands import CopyImage
from schemas.events import TransferProgressed, TransferStarted
from towline import limits
from towline.registry import CopyProgress

Pause = Callable[[asyncio.Event, float], Awaitable[None]]
"""Returns when an event is set, or after so many seconds."""


async def pause_until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, on the monotonic clock, no longer than so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


@asynccontextmanager
async def reporting(
    command_id: str, command: CopyImage, record: Record, source: str, pause: Pause
) -> AsyncIterator[CopyProgress]:
    """Report on a copy while it runs. When this ends, everything that was told is acknowledged, and no more comes.

    The first report of progress comes after ``limits.progress_first_seconds``, the others at growing distances; none
    when nothing moved.

    Raises:
        LogUnavailableError: the log did not take a report.
    """
    reporter = _Reporter(command_id, command, record, source, pause)
    task = asyncio.create_task(reporter.run(), name=f"reports-{command.target}")
    try:
        yield reporter.progress
    except BaseException:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    reporter.end()
    await task


class _Reporter:
    def __init__(self, command_id: str, command: CopyImage, record: Record, source: str, pause: Pause) -> None:
        self._command_id = command_id
        self._command = command
        self._record = record
        self._source = source
        self._pause = pause
        #: Set when it is known what there is to do, and at the end.
        self._begun = asyncio.Event()
        self._over = asyncio.Event()
        self.progress = CopyProgress(on_begin=self._begun.set)

    def end(self) -> None:
        """Let :meth:`run` end."""
        self._over.set()
        self._begun.set()

    async def run(self) -> None:
        """Report until the end."""
        seconds = limits.progress_first_seconds
        await self._pause(self._begun, seconds)
        if self._over.is_set() and self.progress.extent is None:
            return  # There was nothing to do, or nothing that could be done.
        last = self._far()
        await self._tell(self._started(), "started")
        for number in count(1):
            if not self._over.is_set():
                await self._pause(self._over, seconds)
            if self._over.is_set():
                return
            far = self._far()
            if far != last:
                await self._tell(far, "progressed", str(number))
            last = far
            seconds *= limits.progress_growth

    async def _tell(self, data: TransferStarted | TransferProgressed, *sequence: str) -> None:
        id_ = content_id(self._command_id, *sequence)
        await self._record([known_now(data, id_=id_, source=self._source, subject=str(data.target))])

    def _started(self) -> TransferStarted:
        extent = self.progress.extent
        members = self._command.outcome_members(self._command_id)
        if extent is None:
            return TransferStarted(**members)
        return TransferStarted(**members, manifests=extent.manifests, blobs=extent.blobs, bytes=extent.bytes)

    def _far(self) -> TransferProgressed:
        blobs, extent = self.progress.blobs, self.progress.extent
        return TransferProgressed(
            **self._command.outcome_members(self._command_id),
            bytes_copied=blobs.bytes_sent,
            blobs_copied=blobs.count("copied"),
            blobs_mounted=blobs.count("mounted"),
            blobs_skipped=blobs.count("skipped"),
            blobs=None if extent is None else extent.blobs,
            bytes=None if extent is None else max(extent.bytes - blobs.bytes_spared, blobs.bytes_sent),
        )
