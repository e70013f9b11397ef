"""``/healthz``: the process answers. ``/readyz``: it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streams.gateway.answers import RefusedError, log_unavailable
from towline import limits
from towline.errors import LogError, LogUnavailableError

VerifyTopics = Callable[[], Awaitable[None]]
"""Returns when the broker answers and its topics are as they must be; raises LogError otherwise."""


async def alive(_: Request) -> Response:
    """Answer that the process runs, whatever the broker does: restarting would not help."""
    return JSONResponse({"status": "alive"})


class Readiness:
    """Asks the broker whenever somebody wants to know."""

    def __init__(self, verify_topics: VerifyTopics) -> None:
        self._verify_topics = verify_topics

    async def answer(self, _: Request) -> Response:
        """Answer 200 when deliveries can be taken.

        Raises:
            RefusedError: 503 with what is wrong with the topics, or that the log is away.
        """
        try:
            async with asyncio.timeout(limits.ready_timeout_seconds):
                await self._verify_topics()
        except (TimeoutError, LogUnavailableError):
            raise log_unavailable() from None
        except LogError as error:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        return JSONResponse({"status": "ready"})
