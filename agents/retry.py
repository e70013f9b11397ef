"""Trying again while the log is away: with jitter, and not for ever."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from towline import limits
from towline.errors import LogUnavailableError

ResultT = TypeVar("ResultT")

_logger = structlog.get_logger(__name__)


async def retrying(call: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Call until it succeeds, with doubling, jittered waits while the log is not available.

    Raises:
        LogUnavailableError: it was not available at the last attempt either.
    """
    wait = limits.backoff_first_seconds
    for _ in range(limits.shell_attempt_count - 1):
        try:
            return await call()
        except LogUnavailableError as error:
            _logger.warning("the log is not available; trying again", error=str(error))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            wait = min(wait * 2, limits.backoff_last_seconds)
    return await call()
