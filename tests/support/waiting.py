"""Waiting for a condition, with a deadline: the only way in which tests let time pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.05


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return once ``condition`` holds.

    Raises:
        AssertionError: it does not hold after ``seconds``; the text has ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not so: {what}")
        time.sleep(_POLL_SECONDS)


async def eventually(condition: Callable[[], Awaitable[bool]], *, seconds: float, what: str) -> None:
    """Return once ``condition`` holds, letting other tasks run.

    Raises:
        AssertionError: it does not hold after ``seconds``; the text has ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not so: {what}")
        await asyncio.sleep(_POLL_SECONDS)
