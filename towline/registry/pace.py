"""How fast a registry is used, over all the work of a process: within our settings, and within what it says itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx

from towline import limits
from towline.net.retry_after import retry_after_seconds
from towline.settings import RegistryLimits

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Rate:
    """So much of something a second; what was not used in the last second may be caught up."""

    def __init__(self, per_second: float, clock: Clock, sleep: Sleep) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    async def take(self, amount: float) -> None:
        """Return when it is the turn of so much more; everybody comes in the order of asking."""
        now = self._clock()
        start = max(self._free_at, now - 1.0)
        self._free_at = start + amount / self._per_second
        if self._free_at > now:
            await self._sleep(self._free_at - now)


class Pace:
    """The turns at one registry. ``clock`` returns seconds that only grow."""

    def __init__(self, allowed: RegistryLimits, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        at_a_time = allowed.concurrent_requests
        self._reads = None if at_a_time is None else asyncio.Semaphore(at_a_time)
        self._uploads = None if at_a_time is None else asyncio.Semaphore(at_a_time)
        self._requests = _rate(allowed.requests_per_second, clock, sleep)
        self._bytes = _rate(allowed.bytes_per_second, clock, sleep)
        #: Until when the registry wants no request at all, and none that it counts.
        self._closed_until = 0.0
        self._spent_until = 0.0

    @asynccontextmanager
    async def place(self, *, upload: bool) -> AsyncIterator[None]:
        """Hold a place among the requests under way.

        Uploads have places of their own: they read while they write, perhaps from the same registry, and would wait
        for each other for ever.
        """
        places = self._uploads if upload else self._reads
        if places is None:
            yield
            return
        async with places:
            yield

    async def turn(self, method: str) -> None:
        """Return when a request may be sent."""
        if self._requests is not None:
            await self._requests.take(1)
        until = self._closed_until if method == "HEAD" else max(self._closed_until, self._spent_until)
        pause = until - self._clock()
        if pause > 0:
            await self._sleep(pause)

    async def moved(self, size: int) -> None:
        """Return when so many bytes more may go on to or from the registry."""
        if self._bytes is not None:
            await self._bytes.take(size)

    def learn(self, response: httpx.Response) -> None:
        """Remember what an answer says of the requests to come.

        ``Retry-After`` of a 429 is for all requests. ``RateLimit-Remaining: 0`` is for those that count, which HEAD
        does not at the registries that send it; without ``RateLimit-Reset`` it is believed for as long as a
        ``Retry-After`` is at most.
        """
        if response.status_code == 429:
            asked = _seconds(response, "retry-after")
            self._closed_until = max(self._closed_until, self._clock() + (asked or 0.0))
        remaining = response.headers.get("ratelimit-remaining", "").partition(";")[0].strip()
        if remaining == "0":
            reset = _seconds(response, "ratelimit-reset")
            pause = limits.retry_after_seconds if reset is None else reset
            self._spent_until = max(self._spent_until, self._clock() + pause)


def _seconds(response: httpx.Response, header: str) -> float | None:
    return retry_after_seconds(response.headers.get(header), datetime.now(UTC), limits.retry_after_seconds)


def _rate(per_second: float | None, clock: Clock, sleep: Sleep) -> Rate | None:
    return None if per_second is None else Rate(per_second, clock, sleep)
