"""The read side of a gateway: a projection that is kept up to date beside the hooks, and what is asked of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

import structlog

from streams.gateway.answers import RefusedError
from streams.projection.projection import Projection
from streams.projection.records import Records
from towline import limits
from towline.errors import InfrastructureError

T = TypeVar("T")
P = ParamSpec("P")

_log = structlog.get_logger(__name__)


class AsOf(NamedTuple, Generic[T]):
    """An answer, and how far the log was read for it: the next offset of each partition, by topic."""

    answer: T
    as_of: dict[str, list[int]]


class Follower:
    """Keeps a projection up to date, and answers from it once it was at the end of the log."""

    def __init__(self, projection: Projection, clock: Callable[[], datetime]) -> None:
        self._projection = projection
        self._clock = clock
        #: When the end of the log was reached last, in seconds since 1970; 0 before.
        self.caught_up_at = 0.0

    @property
    def lag_count(self) -> int:
        """How many records were not read yet at the last look."""
        return self._projection.lag_count

    async def look(self) -> None:
        """Read what is new.

        Raises:
            InfrastructureError: the log or the file cannot be used.
        """
        await self._projection.catch_up()
        self.caught_up_at = self._clock().timestamp()

    async def follow(self) -> None:
        """Look again and again; what fails is tried again, and shows in the metrics meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.look()
            except InfrastructureError as error:
                _log.warning("the read side is not up to date", reason=str(error))
            except Exception:
                # The hooks go on. Each answer tells how far the log was read, and the metrics that it stands.
                _log.exception("the read side is not up to date, for a reason that nobody foresaw")
            took = loop.time() - began
            await asyncio.sleep(max(limits.projection_pause_seconds, took * limits.projection_pause_factor))

    async def ask(self, question: Callable[Concatenate[Records, P], T], *args: P.args, **kwargs: P.kwargs) -> AsOf[T]:
        """Return the answer to a question.

        Raises:
            RefusedError: 503 while the log was not read to its end yet, or is read anew, or the file cannot be used.
        """
        if not self.caught_up_at:
            raise self._unread()

        def both(records: Records) -> AsOf[T]:
            return AsOf(question(records, *args, **kwargs), records.positions())

        try:
            answer = await self._projection.ask(both)
        except InfrastructureError as error:
            _log.error("the read side cannot answer", reason=str(error))
            raise _away("the read side cannot be used; see the gateway's log") from error
        if not self._projection.is_whole:
            # The file is being made anew: what is missing in the answer may be in the log.
            raise self._unread()
        return answer

    def _unread(self) -> RefusedError:
        return _away(f"the log is being read from its beginning, {self.lag_count} records are left; come again")


def _away(reason: str) -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": str(limits.hook_retry_after_seconds)})


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[Follower]:
    """Keep a projection up to date while this is open."""
    task = asyncio.create_task(follower.follow(), name="projection")
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])
