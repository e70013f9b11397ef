"""Publishing sets of documents, policies or subscriptions, and reading which set is in force.

Whoever publishes proposes a set in place of the revision that they saw; an evaluator puts proposals into one order and
announces those that it accepts to every partition.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar, cast

from schemas.canonical import content_id
from schemas.catalogue import UnreadableRecordError, decode
from schemas.envelope import Envelope
from schemas.events import PolicyProposed, PolicyPublished
from schemas.instants import format_instant
from schemas.policies import PolicySet
from schemas.references import Frozen
from schemas.webhooks import SubscriptionsPublished
from streams.history import recorded
from streams.log import EventLog, ReadableLog
from streams.routing import event_append
from streams.topics import EVENTS
from towline import limits
from towline.errors import MisuseError, NoAnswerError
from towline.policy.publish import PROPOSAL_PARTITION

PROPOSAL_SOURCE: Final = "towline/cli"

PublishedT = TypeVar("PublishedT", PolicyPublished, SubscriptionsPublished)
Progress = Callable[[int, int], None]


class RevisionConflictError(MisuseError):
    """Another publication came first. Look at what is in force now, and apply again."""


@dataclass(frozen=True, slots=True)
class Documents(Generic[PublishedT]):
    """One kind of documents that are published as whole sets, and how people are told of it."""

    published: type[PublishedT]
    #: Returns which event made a revision.
    cause_of: Callable[[PublishedT], str]
    #: The command that shows what is in force, and the one that lists it.
    shown_by: str
    listed_by: str
    #: What helps when a set is too large.
    smaller: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed set, and the revision that it is to replace."""

    event: Envelope[Frozen]
    replaces: int


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy set in force."""

    revision: int
    policies: PolicySet
    #: When and by whom; None before the first publication.
    published: Envelope[PolicyPublished] | None = None


POLICIES: Final = Documents(
    PolicyPublished,
    lambda published: published.proposal_id,
    shown_by="towline policy show",
    listed_by="towline policy list",
    smaller="let policies with a glob as their source stand for many",
)


async def policies_in_force(log: ReadableLog) -> InForce:
    """Return the newest published set, as the partition of proposals has it."""
    published = await newest(log, POLICIES)
    return (
        InForce(0, PolicySet())
        if published is None
        else InForce(published.data.revision, published.data.set, published)
    )


async def publish(
    log: EventLog,
    policies: PolicySet,
    *,
    replaces: int,
    actor: str,
    timeout_seconds: float,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> int:
    """Propose a policy set in place of revision ``replaces``; see :func:`propose`."""
    now = format_instant(datetime.now(UTC))
    event = Envelope(
        id=content_id("policy.proposed", str(replaces), policies.digest, actor, now),
        source=PROPOSAL_SOURCE,
        subject=f"policies@{replaces + 1}",
        time=now,
        data=PolicyProposed(replaces=replaces, set=policies, actor=actor),
    )
    return await propose(log, POLICIES, Proposal(event, replaces), timeout_seconds, progress)


async def newest(log: ReadableLog, documents: Documents[PublishedT]) -> Envelope[PublishedT] | None:
    """Return the newest publication of these documents, as the partition of proposals has it; None before the first."""
    found: Envelope[PublishedT] | None = None
    async for item in recorded(log, EVENTS, PROPOSAL_PARTITION):
        data = item.envelope.data
        if isinstance(data, documents.published) and (found is None or data.revision > found.data.revision):
            found = cast("Envelope[PublishedT]", item.envelope)
    return found


async def propose(
    log: EventLog,
    documents: Documents[PublishedT],
    proposal: Proposal,
    timeout_seconds: float,
    progress: Progress,
) -> int:
    """Propose a set in place of the revision that was seen; return its own once every partition has it.

    Raises:
        RevisionConflictError: another set replaced that revision first.
        MisuseError: there is no such revision yet, or the set is too large; nothing was proposed.
        NoAnswerError: no evaluator took the proposal up in time. It stays in the log: when one starts, it decides.
        LogUnavailableError: the log cannot be reached.
    """
    partitions = await log.partitions(EVENTS)
    starts = {partition: await log.high_watermark(EVENTS, partition) for partition in range(partitions)}
    await _check_in_force(log, documents, proposal)
    append = event_append(proposal.event)
    if append.size_bytes > limits.submission_bytes:
        raise MisuseError(
            f"the set comes to {append.size_bytes} bytes, and the log takes {limits.submission_bytes}: "
            f"{documents.smaller}"
        )
    await log.append(append)
    try:
        async with asyncio.timeout(timeout_seconds):
            await _until_everywhere(log, documents, proposal, starts, progress)
    except TimeoutError:
        raise NoAnswerError(
            f"no evaluator took up the proposal within {timeout_seconds:.0f} s. It is in the log and will be decided "
            f"when one runs: start `towline worker evaluate`, then look at `{documents.listed_by}`"
        ) from None
    return proposal.replaces + 1


async def _check_in_force(log: ReadableLog, documents: Documents[PublishedT], proposal: Proposal) -> None:
    revision = 0
    async for item in recorded(log, EVENTS, PROPOSAL_PARTITION):
        if isinstance(data := item.envelope.data, documents.published):
            _refuse_if_other(documents, data, proposal)
            revision = max(revision, data.revision)
    if revision < proposal.replaces:
        raise MisuseError(f"there is no revision {proposal.replaces} to replace: revision {revision} is in force")


async def _until_everywhere(
    log: EventLog, documents: Documents[PublishedT], proposal: Proposal, starts: dict[int, int], progress: Progress
) -> None:
    missing = set(starts)
    async with aclosing(log.follow(EVENTS, starts)) as records:
        async for record in records:
            try:
                data = decode(record.value or b"").data
            except UnreadableRecordError:
                continue
            if not isinstance(data, documents.published) or data.revision <= proposal.replaces:
                continue
            _refuse_if_other(documents, data, proposal)
            missing.discard(record.partition)
            progress(len(starts) - len(missing), len(starts))
            if not missing:
                return


def _refuse_if_other(documents: Documents[PublishedT], published: PublishedT, proposal: Proposal) -> None:
    # Who took the next number decides, not what is newest: ours may be replaced in its turn before we see it.
    if published.revision == proposal.replaces + 1 and documents.cause_of(published) != proposal.event.id:
        raise RevisionConflictError(
            f"revision {proposal.replaces} was replaced first, by revision {published.revision} of "
            f"{published.actor}: look at what is in force now with `{documents.shown_by}`, then apply again"
        )
