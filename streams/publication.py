"""Publishing policy sets, and reading which one is in force."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from schemas.canonical import content_id
from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.events import PolicyProposed, PolicyPublished
from schemas.instants import format_instant
from schemas.policies import PolicySet
from streams.history import recorded
from streams.log import EventLog
from streams.routing import event_append
from streams.topics import EVENTS
from towline.errors import MisuseError, NoAnswerError
from towline.policy.publish import PROPOSAL_PARTITION

PROPOSAL_SOURCE = "towline/cli"


class RevisionConflictError(MisuseError):
    """Another publication came first. Look at what is in force now, and apply again."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy set in force."""

    revision: int
    policies: PolicySet
    #: When and by whom; None before the first publication.
    published: Envelope[PolicyPublished] | None = None


async def policies_in_force(log: EventLog) -> InForce:
    """Return the newest published set, as the partition of proposals has it."""
    newest = InForce(0, PolicySet())
    async for item in recorded(log, EVENTS, PROPOSAL_PARTITION):
        data = item.envelope.data
        if isinstance(data, PolicyPublished) and data.revision > newest.revision:
            newest = InForce(data.revision, data.set, cast("Envelope[PolicyPublished]", item.envelope))
    return newest


async def publish(
    log: EventLog,
    policies: PolicySet,
    *,
    replaces: int,
    actor: str,
    timeout_seconds: float,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> int:
    """Propose a set in place of revision ``replaces``; return its revision once every partition has it.

    Raises:
        RevisionConflictError: another set replaced that revision first.
        NoAnswerError: no evaluator took the proposal up in time. It stays in the log: when one starts, it decides.
        LogUnavailableError: the log cannot be reached.
    """
    partitions = await log.partitions(EVENTS)
    starts = {partition: await log.high_watermark(EVENTS, partition) for partition in range(partitions)}
    now = format_instant(datetime.now(UTC))
    proposal = Envelope(
        id=content_id("policy.proposed", str(replaces), policies.digest, actor, now),
        source=PROPOSAL_SOURCE,
        subject=f"policies@{replaces + 1}",
        time=now,
        data=PolicyProposed(replaces=replaces, set=policies, actor=actor),
    )
    position = await log.append(event_append(proposal))
    starts[PROPOSAL_PARTITION] = position.offset + 1
    try:
        async with asyncio.timeout(timeout_seconds):
            await _until_everywhere(log, proposal.id, replaces, starts, progress)
    except TimeoutError:
        raise NoAnswerError(
            f"no evaluator took up the proposal within {timeout_seconds:.0f} s. It is in the log and will be decided "
            "when one runs: start `towline worker evaluate`, then look at `towline policy list`"
        ) from None
    return replaces + 1


async def _until_everywhere(
    log: EventLog, proposal_id: str, replaces: int, starts: dict[int, int], progress: Callable[[int, int], None]
) -> None:
    if (newest := await policies_in_force(log)).revision > replaces:
        await _refuse_if_other(newest.published, proposal_id, replaces)
    missing = set(starts)
    async with aclosing(log.follow(EVENTS, starts)) as records:
        async for record in records:
            try:
                data = decode(record.value or b"").data
            except UnreadableRecordError:
                continue
            if not isinstance(data, PolicyPublished) or data.revision <= replaces:
                continue
            if data.proposal_id != proposal_id and data.revision == replaces + 1:
                raise RevisionConflictError(_conflict(data, replaces))
            missing.discard(record.partition)
            progress(len(starts) - len(missing), len(starts))
            if not missing:
                return


async def _refuse_if_other(published: Envelope[PolicyPublished] | None, proposal_id: str, replaces: int) -> None:
    if published is not None and published.data.proposal_id != proposal_id:
        raise RevisionConflictError(_conflict(published.data, replaces))


def _conflict(other: PolicyPublished, replaces: int) -> str:
    return (
        f"revision {replaces} was replaced first, by revision {other.revision} of {other.actor}: look at it with "
        "`towline policy show`, then apply again"
    )
