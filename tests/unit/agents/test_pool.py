"""The pool of transfers by itself: bounded, in order for each target tag, and free again after work was dropped."""

import asyncio

import pytest

from agents.pool import Job, JobPool
from schemas.commands import CopyImage
from tests.support.builders import command
from tests.unit.agents.harness import until
from towline import limits


class Transfers:
    """Stands in for the transferrer: transfers end when they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.finished: list[str] = []
        #: For each job that began, the last that waited behind it then.
        self.behind: dict[str, str | None] = {}
        self.go = asyncio.Event()
        self.failures: list[BaseException] = []
        self.pool: JobPool[CopyImage] = JobPool(
            self._run, self.failures.append, at_a_time=limits.parallel_transfer_count
        )

    def add(self, target: str, image: str, *, partition: int = 0) -> None:
        item = command("local/dev/app:1", target, image)
        self.pool.add(Job(partition, 0, image, item.data, target))

    async def _run(self, job: Job[CopyImage], last: Job[CopyImage] | None) -> None:
        self.begun.append(job.command_id)
        self.behind[job.command_id] = None if last is None else last.command_id
        await self.go.wait()
        self.finished.append(job.command_id)


async def test_work_that_is_dropped_before_it_began_leaves_its_target_tag_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "parallel_transfer_count", 1)
    transfers = Transfers()
    transfers.add("local/qa/app:1", "dropped at once")
    await transfers.pool.drop(0)
    transfers.add("local/qa/app:1", "next owner")
    transfers.go.set()
    await until(lambda: "next owner" in transfers.begun, "the transfer of the next owner")
    assert transfers.begun == ["next owner"]
    assert transfers.failures == []


async def test_dropping_a_partition_leaves_the_work_of_the_others() -> None:
    transfers = Transfers()
    transfers.add("local/qa/app:1", "mine", partition=0)
    transfers.add("local/qa/app:1", "mine, waiting", partition=0)
    transfers.add("local/qa/tool:1", "theirs", partition=1)
    transfers.add("local/qa/tool:1", "theirs, waiting", partition=1)
    await until(lambda: len(transfers.begun) == 2, "one transfer for each target tag")
    await transfers.pool.drop(0)
    transfers.go.set()
    await until(lambda: "theirs, waiting" in transfers.finished, "the transfer that waited")
    assert transfers.begun == ["mine", "theirs", "theirs, waiting"]
    assert transfers.finished == ["theirs", "theirs, waiting"]


async def test_a_place_that_was_dropped_is_given_to_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "parallel_transfer_count", 1)
    transfers = Transfers()
    transfers.add("local/qa/app:1", "mine", partition=0)
    transfers.add("local/qa/tool:1", "theirs", partition=1)
    await until(lambda: transfers.begun == ["mine"], "the first transfer")
    await transfers.pool.drop(0)
    await until(lambda: transfers.begun == ["mine", "theirs"], "the transfer that waited for a place")
    transfers.go.set()
    await transfers.pool.drop(1)


async def test_a_job_that_begins_is_told_the_last_that_waits_behind_it() -> None:
    transfers = Transfers()
    for image in ("first", "second", "third"):
        transfers.add("local/qa/app:1", image)
    transfers.add("local/qa/tool:1", "another tag")
    transfers.go.set()
    await until(lambda: len(transfers.finished) == 4, "all transfers")
    assert transfers.behind == {"first": None, "second": "third", "third": None, "another tag": None}


async def test_none_of_the_jobs_that_are_added_together_begins_before_all_are_there() -> None:
    transfers = Transfers()
    jobs = [
        Job(0, 0, image, command("local/dev/app:1", "local/qa/app:1", image).data, "local/qa/app:1")
        for image in ("first", "second")
    ]
    transfers.pool.add(*jobs)
    transfers.go.set()
    await until(lambda: len(transfers.finished) == 2, "both transfers")
    assert transfers.behind == {"first": "second", "second": None}
