"""A worker whose partitions nobody works on ends, and one that is merely slow or idle does not."""

import asyncio

import pytest

from agents.watchdog import Watchdog, watch
from towline import limits
from towline.errors import NoAnswerError

LONG = limits.takeover_timeout_seconds + 1


class Worker:
    def __init__(self) -> None:
        self.assigned: set[int] = set()
        self.owned: set[int] = set()
        self.rebalancing = False
        self.dog = Watchdog("topic", lambda: self.assigned, self.owned.__contains__, lambda: self.rebalancing)


def test_partitions_that_are_not_taken_over_in_time_end_the_process() -> None:
    worker = Worker()
    worker.assigned, worker.owned = {0, 1, 2}, {1}
    worker.dog = Watchdog("topic", lambda: worker.assigned, worker.owned.__contains__, lambda: False)
    worker.dog.check(0)
    worker.dog.check(LONG - 2)
    with pytest.raises(NoAnswerError, match=r"partitions \[0, 2\] not taken over"):
        worker.dog.check(LONG)


def test_a_rebalance_that_does_not_end_ends_the_process() -> None:
    worker = Worker()
    worker.rebalancing = True
    worker.dog.check(0)
    with pytest.raises(NoAnswerError, match="an assignment not taken over"):
        worker.dog.check(LONG)


def test_a_worker_without_partitions_may_wait_for_ever() -> None:
    worker = Worker()
    worker.dog.check(0)
    worker.dog.check(LONG * 100)


def test_the_time_begins_anew_once_work_has_begun() -> None:
    worker = Worker()
    worker.assigned = {0}
    worker.dog.check(0)
    worker.owned.add(0)
    worker.dog.check(LONG / 2)
    worker.owned.clear()
    worker.dog.check(LONG)
    worker.dog.check(LONG * 1.5)
    with pytest.raises(NoAnswerError):
        worker.dog.check(LONG * 2.5)


async def test_what_the_watchdog_finds_is_a_failure_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "takeover_timeout_seconds", 0.0)
    worker = Worker()
    worker.rebalancing = True
    failures: list[BaseException] = []
    async with asyncio.timeout(10):
        await watch([worker.dog], failures.append)
    assert isinstance(failures[0], NoAnswerError)
