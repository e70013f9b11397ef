"""What the log hears of a copy while it runs: that it began, then how far it is, then its end, and nothing after."""

import asyncio
from itertools import pairwise

import pytest

from agents.table import MemoryTable
from agents.transferrer import Work
from schemas.catalogue import decode
from schemas.commands import CopyImage, RemoveTag
from schemas.descriptors import OCI_MANIFEST, Descriptor
from schemas.envelope import Envelope
from schemas.events import TransferCompleted, TransferProgressed, TransferStarted
from schemas.outcomes import Outcome, Report
from schemas.references import Frozen
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import EVENTS
from tests.support.builders import completed, digest, skipped
from tests.support.checkers import all_records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, Run, until
from tests.unit.agents.transferring import ONE, ended, start, working, write
from towline import limits
from towline.errors import LogUnavailableError
from towline.registry import CopyProgress, RemovalOutcome, TransferOutcome
from towline.registry.blobs import digest_of
from towline.registry.manifests import Manifest

MIB = 1024 * 1024


def layer(name: str, size: int) -> Descriptor:
    return Descriptor(media_type="application/octet-stream", digest=digest(name), size=size)


SHARED, LARGE = layer("shared", 3 * MIB), layer("large", 7 * MIB)


def image() -> Manifest:
    content = b"{}"
    return Manifest(digest_of(content), OCI_MANIFEST, content, (SHARED, LARGE), ())


class Pauses:
    """Stands in for time: a pause ends when the test says so, or when what it waits for has come."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over = asyncio.Event()

    async def __call__(self, event: asyncio.Event, seconds: float) -> None:
        self.asked.append(seconds)
        over = self._over
        waits = [asyncio.create_task(it.wait()) for it in (event, over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def pass_by(self) -> None:
        """Let the time of the pause under way be over."""
        self._over.set()
        self._over = asyncio.Event()


class Copying:
    """A copy that a test leads."""

    def __init__(self) -> None:
        self.progress: CopyProgress | None = None
        self.go = asyncio.Event()
        self.ends_as: TransferOutcome | None = None

    async def __call__(self, command_id: str, copy: CopyImage, progress: CopyProgress) -> TransferOutcome:
        self.progress = progress
        await self.go.wait()
        return self.ends_as or completed(command_id, copy)

    @property
    def goes(self) -> CopyProgress:
        assert self.progress is not None
        return self.progress


async def no_removal(command_id: str, command: RemoveTag) -> RemovalOutcome:
    raise AssertionError((command_id, command))


class Stage:
    def __init__(self, log: MemoryLog | None = None, table: MemoryTable | None = None) -> None:
        self.log = log or MemoryLog(partitions=PARTITIONS)
        self.table = table or MemoryTable()
        self.copy, self.pauses = Copying(), Pauses()
        self.run: Run = working(self.log, self.table, Work(copy=self.copy, remove=no_removal, pause=self.pauses))

    async def begin(self) -> None:
        await start(self.run)
        await until(lambda: self.copy.progress is not None and bool(self.pauses.asked), "the copy, and its reports")

    async def told(self) -> list[Envelope[Frozen]]:
        events = [decode(record.value or b"") for record in await all_records(self.log, EVENTS)]
        return [event for event in events if isinstance(event.data, Report)]

    async def until_told(self, count: int) -> list[Envelope[Frozen]]:
        async def so() -> bool:
            return len(await self.told()) >= count

        await eventually(so, seconds=20, what=f"{count} reports")
        return await self.told()

    async def next_pause(self, count: int) -> None:
        await until(lambda: len(self.pauses.asked) >= count, f"pause {count}")


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await write(made.log, ONE)
    await made.begin()
    return made


async def test_a_copy_is_told_to_have_begun_with_what_there_is_to_copy(stage: Stage) -> None:
    assert await stage.told() == []
    stage.copy.goes.begin([image()])
    [started] = await stage.until_told(1)
    assert started.data == TransferStarted(
        **ONE.data.outcome_members(ONE.id), manifests=1, blobs=2, bytes=SHARED.size + LARGE.size
    )
    assert started.subject == str(ONE.data.target)
    await stage.run.shell.close()


async def test_progress_is_told_after_a_while_and_then_the_end_and_nothing_after_it(stage: Stage) -> None:
    stage.copy.goes.begin([image()])
    await stage.next_pause(2)
    stage.copy.goes.blobs.record(SHARED, "mounted")
    stage.copy.goes.blobs.sent(LARGE, 2 * MIB)
    stage.pauses.pass_by()
    await stage.next_pause(3)
    stage.copy.goes.blobs.record(LARGE, "copied")
    stage.copy.go.set()
    told = [event.data for event in await stage.until_told(3)]
    assert [type(data) for data in told] == [TransferStarted, TransferProgressed, TransferCompleted]
    assert told[1] == TransferProgressed(
        **ONE.data.outcome_members(ONE.id),
        bytes_copied=2 * MIB,
        blobs_copied=0,
        blobs_mounted=1,
        blobs_skipped=0,
        blobs=2,
        bytes=LARGE.size,
    )
    asked = list(stage.pauses.asked)
    stage.pauses.pass_by()
    await stage.run.shell.close()
    assert stage.pauses.asked == asked, "somebody still waits to report"
    assert len(await stage.told()) == 3


async def test_a_copy_that_ends_at_once_tells_no_progress_and_its_beginning_before_its_end() -> None:
    stage = Stage()

    async def at_once(command_id: str, copy: CopyImage, progress: CopyProgress) -> TransferOutcome:
        progress.begin([image()])
        return completed(command_id, copy)

    await write(stage.log, ONE)
    run = working(stage.log, stage.table, Work(copy=at_once, remove=no_removal))
    await start(run)
    told = await stage.until_told(2)
    await run.shell.close()
    assert [type(event.data) for event in told] == [TransferStarted, TransferCompleted]


async def test_a_copy_with_nothing_to_do_tells_its_end_alone(stage: Stage) -> None:
    stage.copy.ends_as = skipped(ONE.id, ONE.data)
    stage.copy.go.set()
    assert [type(event.data) for event in await stage.until_told(1)] == [type(stage.copy.ends_as)]
    await stage.run.shell.close()


async def test_a_copy_whose_source_does_not_answer_for_long_is_told_to_have_begun_all_the_same(stage: Stage) -> None:
    stage.pauses.pass_by()
    [started] = await stage.until_told(1)
    assert started.data == TransferStarted(**ONE.data.outcome_members(ONE.id))
    await stage.next_pause(2)
    stage.copy.goes.begin([image()])
    stage.pauses.pass_by()
    progressed = (await stage.until_told(2))[1].data
    assert isinstance(progressed, TransferProgressed)
    assert (progressed.blobs, progressed.bytes) == (2, SHARED.size + LARGE.size)
    await stage.run.shell.close()


async def test_a_copy_in_which_nothing_moves_is_not_told_again(stage: Stage) -> None:
    stage.copy.goes.begin([image()])
    for count in range(2, 6):
        await stage.next_pause(count)
        stage.pauses.pass_by()
    await stage.next_pause(6)
    stage.copy.go.set()
    told = await stage.until_told(2)
    await stage.run.shell.close()
    assert [type(event.data) for event in told] == [TransferStarted, TransferCompleted]


async def test_the_longest_copy_makes_a_bounded_number_of_reports(stage: Stage) -> None:
    stage.copy.goes.begin([image()])
    reports = 0
    await stage.next_pause(2)
    while sum(stage.pauses.asked[1:]) < limits.transfer_deadline_seconds:
        reports += 1
        stage.copy.goes.blobs.sent(LARGE, reports)
        asked = len(stage.pauses.asked)
        stage.pauses.pass_by()
        await stage.next_pause(asked + 1)
    stage.copy.go.set()
    assert len(await stage.until_told(reports + 2)) == reports + 2
    await stage.run.shell.close()
    assert reports <= 24
    assert all(later > earlier for earlier, later in pairwise(stage.pauses.asked[1:]))
    assert stage.pauses.asked[1] == limits.progress_first_seconds


async def test_a_copy_that_is_driven_again_repeats_the_ids_of_its_reports(stage: Stage) -> None:
    stage.copy.goes.begin([image()])
    await stage.next_pause(2)
    stage.copy.goes.blobs.sent(LARGE, MIB)
    stage.pauses.pass_by()
    before = await stage.until_told(2)
    await stage.run.shell.close()
    again = Stage(stage.log, stage.table)
    await again.begin()
    again.copy.goes.begin([image()])
    await again.next_pause(2)
    again.copy.goes.blobs.sent(LARGE, 3 * MIB)
    again.pauses.pass_by()
    told = await again.until_told(4)
    again.copy.go.set()
    await again.until_told(5)
    await again.run.shell.close()
    assert [event.id for event in told[2:]] == [event.id for event in before]
    assert len({event.id for event in before}) == 2


async def test_a_report_that_the_log_is_slow_to_take_holds_up_the_end_and_not_the_copy() -> None:
    let_in = asyncio.Event()

    async def slow(record: Append) -> None:
        if record.topic == EVENTS and isinstance(decode(record.value or b"").data, TransferStarted):
            await let_in.wait()

    stage = Stage(MemoryLog(partitions=PARTITIONS, before_append=slow))
    await write(stage.log, ONE)
    await stage.begin()
    stage.copy.goes.begin([image()])
    stage.copy.go.set()
    await until(lambda: stage.copy.progress is not None and stage.copy.go.is_set(), "the copy")
    for _ in range(100):
        await asyncio.sleep(0)
    assert await ended(stage.log) == []
    let_in.set()
    told = await stage.until_told(2)
    await stage.run.shell.close()
    assert [type(event.data) for event in told] == [TransferStarted, TransferCompleted]


async def test_a_report_that_the_log_does_not_take_stops_the_worker_and_the_command_stays_pending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "backoff_first_seconds", 0.0)
    monkeypatch.setattr(limits, "backoff_last_seconds", 0.0)

    async def away(record: Append) -> None:
        if record.topic == EVENTS:
            raise LogUnavailableError("nobody is there")

    stage = Stage(MemoryLog(partitions=PARTITIONS, before_append=away))
    await write(stage.log, ONE)
    await stage.begin()
    stage.copy.goes.begin([image()])
    stage.copy.go.set()
    await until(lambda: bool(stage.run.failures), "the failure")
    await stage.run.shell.close()
    assert isinstance(stage.run.failures[0], LogUnavailableError)
    stage.log.before_append = None
    again = Stage(stage.log, stage.table)
    await again.begin()
    again.copy.go.set()
    assert isinstance((await again.until_told(1))[0].data, Outcome)
    await again.run.shell.close()
