"""Carrying out one command to its outcome: attempts, pauses, and what counts as failed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from schemas.commands import CopyImage
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from towline import limits
from towline.errors import InfrastructureError, SettingsError, TowlineError
from towline.registry.copy import CopyEngine, CopyProgress, CopyReport
from towline.registry.errors import RegistryError

TransferOutcome = TransferCompleted | TransferSkipped | TransferFailed

#: The longest text of a failure that goes into the log.
_DETAIL_LENGTH: Final = 1000

_JITTER: Final = random.SystemRandom()


class DeadlineError(InfrastructureError):
    """A transfer took longer than it may, with all its attempts."""

    retryable = True


async def carry_out(
    command_id: str,
    command: CopyImage,
    engine: CopyEngine,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = _JITTER.random,
) -> TransferOutcome:
    """Copy an image and return the outcome, within the bounds of attempts and time.

    Failures that may pass are tried again after a pause that doubles, with full jitter (``jitter`` returns a number
    from 0 to 1), and that is at least what the registry's ``Retry-After`` asks for. Whatever is not a registry's error
    or a setting that is wrong (bugs, failpoints, cancellation) is raised, so that the caller does not take it for an
    outcome.
    """
    progress = CopyProgress()
    deadline = asyncio.timeout(limits.transfer_deadline_seconds)
    try:
        async with deadline:
            report = await _attempt(command, engine, progress, sleep, jitter)
    except RegistryError as error:
        return _failure(command_id, command, progress, error.cause, error)
    except SettingsError as error:
        return _failure(command_id, command, progress, "misconfigured", error)
    except TimeoutError:
        if not deadline.expired():
            raise
        late = DeadlineError(f"not done within {limits.transfer_deadline_seconds:.0f} seconds")
        return _failure(command_id, command, progress, "deadline", late)
    return _success(command_id, command, report)


async def _attempt(
    command: CopyImage,
    engine: CopyEngine,
    progress: CopyProgress,
    sleep: Callable[[float], Awaitable[None]],
    jitter: Callable[[], float],
) -> CopyReport:
    while True:
        progress.attempts += 1
        try:
            return await engine.copy(command, progress)
        except RegistryError as error:
            if not error.retryable or progress.attempts >= limits.transfer_attempt_count:
                raise
            pause = pause_seconds(progress.attempts, jitter(), error.retry_after_seconds)
        await sleep(pause)


def pause_seconds(attempts: int, jitter: float, retry_after_seconds: float | None) -> float:
    """Return the pause after so many attempts: doubled up to a bound, times ``jitter``, at least ``Retry-After``."""
    longest = min(limits.backoff_first_seconds * 2.0 ** (attempts - 1), limits.backoff_last_seconds)
    return float(max(longest * jitter, retry_after_seconds or 0.0))


def _success(command_id: str, command: CopyImage, report: CopyReport) -> TransferOutcome:
    if report.skipped:
        return TransferSkipped(**_common(command_id, command, report.previous_digest))
    return TransferCompleted(
        **_common(command_id, command, report.previous_digest),
        bytes_copied=report.bytes_copied,
        blobs_copied=report.blobs_copied,
        blobs_mounted=report.blobs_mounted,
        blobs_skipped=report.blobs_skipped,
    )


def _failure(
    command_id: str, command: CopyImage, progress: CopyProgress, cause: str, error: TowlineError
) -> TransferFailed:
    return TransferFailed(
        **_common(command_id, command, progress.previous_digest),
        cause=cause,
        detail=str(error)[:_DETAIL_LENGTH],
        retryable=error.retryable,
        attempts=progress.attempts,
    )


def _common(command_id: str, command: CopyImage, previous_digest: str | None) -> dict[str, Any]:
    return {
        "command_id": command_id,
        "decision_id": command.decision_id,
        "policy": command.policy,
        "source": command.source,
        "target": command.target,
        "digest": command.digest,
        "previous_digest": previous_digest,
        "hops": command.hops,
    }
