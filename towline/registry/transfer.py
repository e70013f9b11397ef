"""Carrying out one command to its outcome: what counts as done, and what as failed."""

from typing import Final

from schemas.commands import CopyImage
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from towline.registry.attempts import Attempts, FailedError
from towline.registry.copy import CopyEngine
from towline.registry.progress import CopyProgress, CopyReport

TransferOutcome = TransferCompleted | TransferSkipped | TransferFailed

_ATTEMPTS: Final = Attempts()


async def carry_out(
    command_id: str,
    command: CopyImage,
    engine: CopyEngine,
    *,
    attempts: Attempts = _ATTEMPTS,
    progress: CopyProgress | None = None,
) -> TransferOutcome:
    """Copy an image and return the outcome, within the bounds of attempts and time.

    ``progress`` tells meanwhile how far the copy is.

    Whatever is not a registry's error or a setting that is wrong (bugs, failpoints, cancellation) is raised, so that
    the caller does not take it for an outcome.
    """
    progress = progress or CopyProgress()
    try:
        report = await attempts.until_done(lambda: engine.copy(command, progress))
    except FailedError as error:
        failure = error.failure
        return TransferFailed(
            **command.outcome_members(command_id),
            previous_digest=progress.previous_digest,
            cause=failure.cause,
            detail=failure.detail,
            retryable=failure.retryable,
            attempts=failure.attempts,
        )
    return _success(command_id, command, report)


def _success(command_id: str, command: CopyImage, report: CopyReport) -> TransferOutcome:
    members = command.outcome_members(command_id) | {
        "previous_digest": report.previous_digest,
        "reduced_digest": report.reduced_digest,
    }
    if report.skipped:
        return TransferSkipped(**members)
    return TransferCompleted(
        **members,
        bytes_copied=report.bytes_copied,
        blobs_copied=report.blobs_copied,
        blobs_mounted=report.blobs_mounted,
        blobs_skipped=report.blobs_skipped,
    )
