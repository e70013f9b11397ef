"""A transfer as people and programs see it: a command to copy an image or to remove a tag, and how it ended."""

from dataclasses import dataclass, replace
from typing import Literal

from schemas.commands import RemoveTag, TargetCommand
from schemas.envelope import Envelope
from schemas.events import (
    RemovalFailed,
    RemovalSkipped,
    TagRemoved,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.outcomes import Arrived, Outcome
from streams.transfers.reports import Reported

Ended = Literal["completed", "skipped", "failed"]
State = Literal["pending", "running"] | Ended
"""Before the log has an end of it: ``running`` when the log has a beginning."""
Work = Literal["copy", "removal"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A command to copy an image or to remove a tag, and how it ended.

    What only its end could tell is None before it; of a copy that runs the counts are those of the last report.
    """

    #: The id of the command.
    id: str
    work: Work
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
    #: What the target tag has instead of ``digest``: the index of the wanted platforms only. Signatures and other
    #: referrers of the whole index stayed behind.
    reduced_digest: str | None = None
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
    #: When a copy began, and when it was last told how far it is.
    started_at: str | None = None
    reported_at: str | None = None
    #: While it runs: what there is to copy in all, how much of it is done from 0 to 1, and how fast it goes.
    blobs: int | None = None
    bytes: int | None = None
    share: float | None = None
    bytes_per_second: float | None = None


def ended_as(outcome: Outcome) -> Ended:
    """Return how a transfer ended, in one word."""
    if isinstance(outcome, TransferFailed | RemovalFailed):
        return "failed"
    return "completed" if isinstance(outcome, TransferCompleted | TagRemoved) else "skipped"


def transfer_of(
    command: Envelope[TargetCommand], end: Envelope[Outcome] | None, running: Reported | None = None
) -> Transfer:
    """Return a command with its end, or with the last report on it, as one."""
    data, outcome = command.data, None if end is None else end.data
    transfer = Transfer(
        id=command.id,
        work="removal" if isinstance(data, RemoveTag) else "copy",
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
    return _with_end(transfer, outcome) if running is None else _with_report(transfer, running)


def _with_report(transfer: Transfer, running: Reported) -> Transfer:
    return replace(
        transfer,
        state="running",
        started_at=running.started_at,
        reported_at=running.time,
        bytes_copied=running.bytes_copied,
        blobs_copied=running.blobs_copied,
        blobs_mounted=running.blobs_mounted,
        blobs_skipped=running.blobs_skipped,
        blobs=running.blobs,
        bytes=running.bytes,
        share=running.share,
        bytes_per_second=running.bytes_per_second,
    )


def _with_end(transfer: Transfer, outcome: Outcome | None) -> Transfer:
    if isinstance(outcome, Arrived):
        transfer = replace(transfer, reduced_digest=outcome.reduced_digest)
    match outcome:
        case TransferFailed() | RemovalFailed():
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
        case TransferSkipped() | RemovalSkipped():
            return replace(transfer, detail=outcome.reason, superseded_by=outcome.superseded_by)
        case _:
            return transfer
