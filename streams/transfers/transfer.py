"""A transfer as people and programs see it: a command to copy an image, and how it ended."""

from dataclasses import dataclass, replace
from typing import Literal

from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from schemas.outcomes import Outcome

Ended = Literal["completed", "skipped", "failed"]
State = Literal["pending"] | Ended
"""``pending``: the log has no end of it yet."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A command to copy an image, and how it ended. What only its end could tell is None before it."""

    #: The id of the command.
    id: str
    state: State
    #: When the event was recorded that led to it, and when it ended.
    time: str
    ended_at: str | None
    policy: str
    source: str
    digest: str
    target: str
    decision_id: str
    #: What the target tag had before.
    previous_digest: str | None
    #: Why it failed, or was skipped.
    cause: str | None = None
    detail: str | None = None
    #: The later command for the same target tag, which left nothing to do for this one.
    superseded_by: str | None = None
    #: Whether the same may succeed later without anybody changing anything.
    retryable: bool | None = None
    attempts: int | None = None
    bytes_copied: int | None = None
    blobs_copied: int | None = None
    blobs_mounted: int | None = None
    blobs_skipped: int | None = None


def ended_as(outcome: Outcome) -> Ended:
    """Return how a transfer ended, in one word."""
    if isinstance(outcome, TransferFailed):
        return "failed"
    return "completed" if isinstance(outcome, TransferCompleted) else "skipped"


def transfer_of(command: Envelope[CopyImage], end: Envelope[Outcome] | None) -> Transfer:
    """Return a command and its end as one."""
    data, outcome = command.data, None if end is None else end.data
    transfer = Transfer(
        id=command.id,
        state="pending" if outcome is None else ended_as(outcome),
        time=command.time,
        ended_at=None if end is None else end.time,
        policy=data.policy,
        source=str(data.source),
        digest=data.digest,
        target=str(data.target),
        decision_id=data.decision_id,
        previous_digest=None if outcome is None else outcome.previous_digest,
    )
    return _with_end(transfer, outcome)


def _with_end(transfer: Transfer, outcome: Outcome | None) -> Transfer:
    match outcome:
        case TransferFailed():
            return replace(
                transfer,
                cause=outcome.cause,
                detail=outcome.detail,
                retryable=outcome.retryable,
                attempts=outcome.attempts,
            )
        case TransferCompleted():
            return replace(
                transfer,
                bytes_copied=outcome.bytes_copied,
                blobs_copied=outcome.blobs_copied,
                blobs_mounted=outcome.blobs_mounted,
                blobs_skipped=outcome.blobs_skipped,
            )
        case TransferSkipped():
            return replace(transfer, detail=outcome.reason, superseded_by=outcome.superseded_by)
        case _:
            return transfer
