"""The same work on many things, some at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from towline.registry.errors import RegistryError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def each(items: Sequence[ItemT], work: Callable[[ItemT], Awaitable[ResultT]], *, at_a_time: int) -> list[ResultT]:
    """Return what ``work`` makes of each item, in the order of the items, ``at_a_time`` of them under way.

    Raises:
        RegistryError: one of the failures; the work still under way is cancelled and waited for.
    """
    results: dict[int, ResultT] = {}
    waiting = iter(enumerate(items))

    async def take() -> None:
        for number, item in waiting:
            results[number] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_a_time, len(items))):
                group.create_task(take())
    except BaseExceptionGroup as failures:
        raise _foremost(failures) from None
    return [results[number] for number in range(len(items))]


def _foremost(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure to report: a bug before a registry's error, a permanent one before one that may pass."""

    def rank(error: BaseException) -> int:
        return 0 if not isinstance(error, RegistryError) else 1 + error.retryable

    return min(failures.exceptions, key=rank)
