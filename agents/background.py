"""Work beside the agents, for as long as they run."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def in_background(
    work: Coroutine[Any, Any, None], name: str, on_failure: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Do work that never ends by itself until this is left; when it ends all the same, that is a failure."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(
        lambda ended: None if ended.cancelled() else on_failure(ended.exception() or RuntimeError(ended))
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
