"""``/healthz``: the process answers. ``/readyz``: it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from streams.gateway.answers import JsonAnswer, RefusedError, log_unavailable
from towline import limits
from towline.errors import LogError, LogUnavailableError

VerifyTopics = Callable[[], Awaitable[None]]
"""Returns when the broker answers and its topics are as they must be; raises LogError otherwise."""


async def alive(_: Request) -> Response:
    """Answer that the process runs, whatever the broker does: restarting would not help."""
    return JsonAnswer({"status": "alive"})


class Readiness:
    """Asks the broker when somebody wants to know and its last answer is not of the last second."""

    def __init__(self, verify_topics: VerifyTopics, monotonic: Callable[[], float]) -> None:
        self._verify_topics = verify_topics
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._refusal: RefusedError | None = None

    async def answer(self, _: Request) -> Response:
        """Answer 200 when deliveries can be taken.

        Raises:
            RefusedError: 503 with what is wrong with the topics, or that the log is away.
        """
        async with self._asking:
            if self._monotonic() - self._asked_at >= limits.ready_cache_seconds:
                self._refusal = await self._ask()
                self._asked_at = self._monotonic()
            refusal = self._refusal
        if refusal is not None:
            # Anew: one error that is raised again and again remembers each time.
            raise RefusedError(refusal.status, refusal.reason, refusal.headers)
        return JsonAnswer({"status": "ready"})

    async def _ask(self) -> RefusedError | None:
        try:
            async with asyncio.timeout(limits.ready_timeout_seconds):
                await self._verify_topics()
        except (TimeoutError, LogUnavailableError):
            return log_unavailable()
        except LogError as error:
            return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return None
