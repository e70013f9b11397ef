"""``replay verify`` in several processes: partitions are independent, so each is compared by whichever is free."""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from streams.log import ReadableLog
from streams.replay.matching import Verification
from streams.replay.verify import Comparison, Progress, sizes_of, verify, verify_partition
from towline.errors import InfrastructureError

Opener = Callable[[], AbstractAsyncContextManager[ReadableLog]]
"""Opens the log. Another process gets it pickled: a class or function of a module, perhaps with its arguments."""

#: How often the progress of the others is looked at.
_LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Shared:
    """What a process of the pool has in common with the one that started it."""

    #: How many events all of them have folded.
    count: Any = None


_shared: Final = _Shared()


async def verify_in_processes(
    opener: Opener, comparison: Comparison, processes: int, *, progress: Progress
) -> Verification:
    """Compare all partitions that are asked for, in up to ``processes`` processes.

    Raises:
        LogUnavailableError: the log cannot be reached.
        InfrastructureError: one of the processes was ended from outside.
    """
    async with opener() as log:
        sizes = await sizes_of(log, comparison)
        if min(processes, len(sizes)) <= 1:
            return await verify(log, comparison, progress=progress)
    # Not forked: a fork would take the connections and the event loop along.
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    with ProcessPoolExecutor(min(processes, len(sizes)), context, _share, (count,)) as pool:
        # The largest first, so that none is left over at the end.
        order = sorted(sizes, key=lambda partition: -sizes[partition])
        running = [asyncio.wrap_future(pool.submit(_verify_one, opener, partition, comparison)) for partition in order]
        try:
            pending: set[asyncio.Future[Verification]] = set(running)
            while pending:
                done, pending = await asyncio.wait(pending, timeout=_LOOK_SECONDS, return_when="FIRST_EXCEPTION")
                progress(count.value, sum(sizes.values()))
                for future in done:
                    future.result()
        except BrokenProcessPool:
            raise InfrastructureError("a process that replays was ended: is there enough memory?") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    result = Verification()
    for _, future in sorted(zip(order, running, strict=True), key=lambda item: item[0]):
        result.add(future.result())
    return result


def _share(count: Any) -> None:
    _shared.count = count


def _verify_one(opener: Opener, partition: int, comparison: Comparison) -> Verification:
    return asyncio.run(_verify_alone(opener, partition, comparison))


async def _verify_alone(opener: Opener, partition: int, comparison: Comparison) -> Verification:
    before = 0

    def tell(folded: int) -> None:
        nonlocal before
        with _shared.count.get_lock():
            _shared.count.value += folded - before
        before = folded

    async with opener() as log:
        return await verify_partition(log, partition, comparison, tell)
