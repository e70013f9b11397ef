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
from towline import limits
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
        MisuseError: there is no such revision yet, or the set is too large; nothing was proposed.
        NoAnswerError: no evaluator took the proposal up in time. It stays in the log: when one starts, it decides.
        LogUnavailableError: the log cannot be reached.
    """
    partitions = await log.partitions(EVENTS)
    starts = {partition: await log.high_watermark(EVENTS, partition) for partition in range(partitions)}
    await _check_in_force(log, replaces)
    proposal = _proposal(policies, replaces, actor)
    append = event_append(proposal)
    if append.size_bytes > limits.submission_bytes:
        raise MisuseError(
            f"the set comes to {append.size_bytes} bytes, and the log takes {limits.submission_bytes}: let policies "
            "with a glob as their source stand for many"
        )
    await log.append(append)
    try:
        async with asyncio.timeout(timeout_seconds):
            await _until_everywhere(log, proposal.id, replaces, starts, progress)
    except TimeoutError:
        raise NoAnswerError(
            f"no evaluator took up the proposal within {timeout_seconds:.0f} s. It is in the log and will be decided "
            "when one runs: start `towline worker evaluate`, then look at `towline policy list`"
        ) from None
    return replaces + 1


def _proposal(policies: PolicySet, replaces: int, actor: str) -> Envelope[PolicyProposed]:
    now = format_instant(datetime.now(UTC))
    return Envelope(
        id=content_id("policy.proposed", str(replaces), policies.digest, actor, now),
        source=PROPOSAL_SOURCE,
        subject=f"policies@{replaces + 1}",
        time=now,
        data=PolicyProposed(replaces=replaces, set=policies, actor=actor),
    )


async def _check_in_force(log: EventLog, replaces: int) -> None:
    newest = 0
    async for item in recorded(log, EVENTS, PROPOSAL_PARTITION):
        if isinstance(data := item.envelope.data, PolicyPublished):
            _refuse_if_other(data, None, replaces)
            newest = max(newest, data.revision)
    if newest < replaces:
        raise MisuseError(f"there is no revision {replaces} to replace: revision {newest} is in force")


async def _until_everywhere(
    log: EventLog, proposal_id: str, replaces: int, starts: dict[int, int], progress: Callable[[int, int], None]
) -> None:
    missing = set(starts)
    async with aclosing(log.follow(EVENTS, starts)) as records:
        async for record in records:
            try:
                data = decode(record.value or b"").data
            except UnreadableRecordError:
                continue
            if not isinstance(data, PolicyPublished) or data.revision <= replaces:
                continue
            _refuse_if_other(data, proposal_id, replaces)
            missing.discard(record.partition)
            progress(len(starts) - len(missing), len(starts))
            if not missing:
                return


def _refuse_if_other(published: PolicyPublished, proposal_id: str | None, replaces: int) -> None:
    # Who took the next number decides, not what is newest: ours may be replaced in its turn before we see it.
    if published.revision == replaces + 1 and published.proposal_id != proposal_id:
        raise RevisionConflictError(
            f"revision {replaces} was replaced first, by revision {published.revision} of {published.actor}: look at "
            "what is in force now with `towline policy show`, then apply again"
        )
