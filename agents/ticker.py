"""The ticker: the log's clock. Every tick goes to every partition, so each is complete by itself and soon healed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from agents.retry import retrying
from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import ClockTicked
from schemas.instants import format_instant
from streams.log import EventLog
from streams.routing import CLOCK_KEY, broadcast_appends

TICKER_SOURCE = "towline/ticker"


def tick_at(moment: datetime) -> Envelope[ClockTicked]:
    """Return the tick of a moment; two tickers at the same moment write the same event."""
    now = format_instant(moment)
    return Envelope(
        id=content_id("clock.ticked", now), source=TICKER_SOURCE, subject="clock", time=now, data=ClockTicked(now=now)
    )


async def tick_forever(log: EventLog, partitions: int, interval_seconds: float, is_leader: Callable[[], bool]) -> None:
    """Tick while this process is the leader: the one that owns the partition of proposals.

    Around a rebalance there may be two for a while. That is harmless: a tick from the past changes nothing.
    """
    while True:
        await asyncio.sleep(interval_seconds)
        if is_leader():
            appends = broadcast_appends(tick_at(datetime.now(UTC)), CLOCK_KEY, partitions)
            await retrying(partial(log.append_all, appends))
