"""Work at a registry within the bounds of attempts and time, and what it means when that was not enough."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from towline import limits
from towline.errors import SettingsError
from towline.registry.errors import RateLimitedError, RegistryError

ResultT = TypeVar("ResultT")
Sleep = Callable[[float], Awaitable[None]]
Jitter = Callable[[], float]

#: The longest text of a failure that goes into the log.
_DETAIL_LENGTH: Final = 1000

_random: Final = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why work ended without a result, as the log has it."""

    cause: str
    detail: str
    #: Whether the same may succeed later without anybody changing anything.
    retryable: bool
    attempts: int


class FailedError(Exception):
    """The work failed for good; for callers that do several things and end with the first that fails."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class Attempts:
    """How often and how long something is tried.

    ``jitter`` returns a number from 0 to 1, by which the pauses between attempts are multiplied.
    """

    def __init__(self, *, sleep: Sleep = asyncio.sleep, jitter: Jitter = _random.random) -> None:
        self._sleep = sleep
        self._jitter = jitter

    async def until_done(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Do ``work``, again and again while its failures may pass.

        Pauses double, with full jitter, and are at least what the registry's ``Retry-After`` asks for. A registry that
        asks for patience gets it: that is no failed attempt, and bounded by itself. Whatever is
        not a registry's error or a setting that is wrong (bugs, failpoints, cancellation) is raised as it is, so that
        nobody takes it for an outcome.

        Raises:
            FailedError: it could not be done.
        """
        made = limited = 0

        async def again() -> ResultT:
            nonlocal made, limited
            while True:
                made += 1
                try:
                    return await work()
                except RegistryError as error:
                    limited += isinstance(error, RateLimitedError)
                    if not error.retryable or made - limited >= limits.transfer_attempt_count:
                        raise
                    if limited > limits.rate_limit_wait_count:
                        raise
                    pause = pause_seconds(made, self._jitter(), error.retry_after_seconds)
                await self._sleep(pause)

        deadline = asyncio.timeout(limits.transfer_deadline_seconds)
        try:
            async with deadline:
                return await again()
        except RegistryError as error:
            failure = Failure(error.cause, str(error)[:_DETAIL_LENGTH], error.retryable, made)
        except SettingsError as error:
            failure = Failure("misconfigured", str(error)[:_DETAIL_LENGTH], error.retryable, made)
        except TimeoutError:
            if not deadline.expired():
                raise
            late = f"not done within {limits.transfer_deadline_seconds:.0f} seconds"
            failure = Failure("deadline", late, retryable=True, attempts=made)
        raise FailedError(failure)


def pause_seconds(attempts: int, jitter: float, retry_after_seconds: float | None) -> float:
    """Return the pause after so many attempts: doubled up to a bound, times ``jitter``, at least ``Retry-After``."""
    longest = min(limits.backoff_first_seconds * 2.0 ** (attempts - 1), limits.backoff_last_seconds)
    return float(max(longest * jitter, retry_after_seconds or 0.0))
