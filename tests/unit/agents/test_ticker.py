"""The log's clock: the same for every partition, only from the leader, and it outlives a log that is away."""

import asyncio
from datetime import UTC, datetime

import pytest

from agents.retry import retrying
from agents.ticker import tick_at, tick_forever
from schemas.catalogue import decode, encode
from schemas.events import ClockTicked
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import EVENTS
from tests.support.checkers import records
from tests.support.waiting import eventually
from tests.unit.agents.harness import PARTITIONS, until, without_waits
from towline import limits
from towline.errors import LogUnavailableError, TopicMismatchError


async def ticks(log: MemoryLog, partition: int) -> list[bytes]:
    return [record.value or b"" for record in await records(log, EVENTS, partition)]


async def stop(ticking: "asyncio.Task[None]") -> None:
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


def test_two_tickers_of_one_moment_write_the_same_event() -> None:
    moment = datetime(2026, 11, 24, 8, 0, 0, 1, tzinfo=UTC)
    assert encode(tick_at(moment)) == encode(tick_at(moment))
    assert tick_at(moment).id != tick_at(moment.replace(microsecond=2)).id
    assert tick_at(moment).data.now == "2026-11-24T08:00:00.000001Z"


async def test_every_partition_gets_the_same_ticks_in_the_order_of_time() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    ticking = asyncio.create_task(tick_forever(log, PARTITIONS, 0.001, lambda: True))

    async def some() -> bool:
        return await log.high_watermark(EVENTS, PARTITIONS - 1) >= 3

    await eventually(some, seconds=20, what="three ticks everywhere")
    await stop(ticking)
    first = (await ticks(log, 0))[:3]
    for partition in range(PARTITIONS):
        assert (await ticks(log, partition))[:3] == first
    times = [data.now for data in (decode(value).data for value in first) if isinstance(data, ClockTicked)]
    assert len(times) == 3
    assert times == sorted(times)


async def test_a_ticker_that_is_not_the_leader_is_silent_until_it_is() -> None:
    log, asked, leading = MemoryLog(partitions=PARTITIONS), 0, False

    def is_leader() -> bool:
        nonlocal asked
        asked += 1
        return leading

    ticking = asyncio.create_task(tick_forever(log, PARTITIONS, 0.001, is_leader))
    await until(lambda: asked >= 3, "three questions")
    assert await ticks(log, 0) == []
    leading = True

    async def ticked() -> bool:
        return await ticks(log, 0) != []

    await eventually(ticked, seconds=20, what="a tick")
    await stop(ticking)


async def test_a_log_that_is_away_for_a_while_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)
    refusals = iter(range(limits.shell_attempt_count - 1))

    async def away(_: Append) -> None:
        if next(refusals, None) is not None:
            raise LogUnavailableError("away")

    log = MemoryLog(partitions=PARTITIONS, before_append=away)
    ticking = asyncio.create_task(tick_forever(log, PARTITIONS, 0.001, lambda: True))

    async def everywhere() -> bool:
        return all([await ticks(log, partition) for partition in range(PARTITIONS)])

    await eventually(everywhere, seconds=20, what="a tick everywhere")
    assert not ticking.done()
    await stop(ticking)


async def test_waits_double_up_to_the_last_with_jitter_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "backoff_first_seconds", 1.0)
    monkeypatch.setattr(limits, "backoff_last_seconds", 4.0)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def away() -> None:
        raise LogUnavailableError("away")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(LogUnavailableError):
        await retrying(away)
    most = [1.0, 2.0, 4.0, 4.0, 4.0]
    assert len(waits) == limits.shell_attempt_count - 1 == len(most)
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, most, strict=True))


async def test_what_no_retry_can_mend_is_raised_at_once() -> None:
    calls = 0

    async def mismatch() -> None:
        nonlocal calls
        calls += 1
        raise TopicMismatchError("other partitions")

    with pytest.raises(TopicMismatchError):
        await retrying(mismatch)
    assert calls == 1
