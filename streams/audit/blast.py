"""``audit blast``: every copy of something bad: a digest, a vulnerability, or what a revision or policy moved."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from schemas.decisions import MANUAL, ROLLBACK, Decision
from schemas.events import ImageObserved, ImagePushed
from schemas.outcomes import Arrived
from schemas.policies import CopyOptions
from schemas.references import Frozen, Reference
from streams.audit.affected import Findings, read_findings
from streams.audit.tag_history import Stay, read_histories
from streams.history import Recorded, recorded, recorded_of
from streams.log import ReadableLog
from streams.topics import DECISIONS, EVENTS
from towline.errors import MisuseError
from towline.policy.arrival import arrival_of

#: As many texts are looked for in each record; to look for more takes longer than to read it.
_TEXTS_MAX: Final = 30

Progress = Callable[[str], None]
"""Told what is read now."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a digest, a vulnerability, or what a revision or policy decided.

    Raises:
        MisuseError: it is none of them, or more than one.
    """

    digest: str | None = None
    vulnerability: str | None = None
    revision: int | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        of_decisions = self.revision is not None or self.policy is not None
        if [self.digest is not None, self.vulnerability is not None, of_decisions].count(True) != 1:
            raise MisuseError("say what is bad: a digest, a vulnerability such as CVE-2024-3094, or --revision N")

    def __str__(self) -> str:
        parts = (
            self.digest,
            self.vulnerability,
            None if self.revision is None else f"revision {self.revision}",
            None if self.policy is None else f"policy {self.policy}",
        )
        return ", ".join(part for part in parts if part is not None)

    def is_about(self, decision: Decision) -> bool:
        """Tell whether a decision is one of those that are asked about: a person's are no revision's."""
        if self.policy is None and decision.policy in {None, MANUAL, ROLLBACK}:
            return False
        return self.revision in {None, decision.revision} and self.policy in {None, decision.policy}


class Copy(Frozen):
    """A target tag that got something bad."""

    target: Reference
    #: What the tag got, and what was commanded: they differ where an index was reduced.
    digest: str
    commanded_digest: str
    source: Reference
    policy: str
    #: The revision in force; None when the topics do not hold the decision.
    revision: int | None
    reason: str | None
    decision_id: str
    hops: int
    since: str
    #: Where the log tells of it.
    position: str
    #: Whether the tag has it now, as far as the log knows; and what it has.
    is_present: bool
    present_digest: str | None
    #: Who answers for the vulnerability there.
    overridden: str | None


class Origin(Frozen):
    """A tag to which something bad was pushed, by somebody else than Towline."""

    reference: Reference
    digest: str
    since: str
    is_present: bool


@dataclass(frozen=True, slots=True)
class Past:
    """What a tag had, with the options of the copies that brought it."""

    stays: list[Stay]
    options: Mapping[str, CopyOptions]
    is_bad: Callable[[Stay], bool]


@dataclass(frozen=True, slots=True)
class Blast:
    """Every copy, those farthest downstream first."""

    question: Question
    #: The digests that are bad: none for a revision, whose decisions are.
    digests: tuple[str, ...]
    copies: tuple[Copy, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class Traced:
    """A blast radius with the past of each tag in it, from which a rollback is planned."""

    blast: Blast
    pasts: Mapping[Reference, Past]


async def trace(log: ReadableLog, question: Question, progress: Progress = lambda _: None) -> Traced:
    """Find what went where. Everything else here only reads what this returns.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    progress("finding what is bad")
    decided = await _decided(log, question)
    findings = await read_findings(log, question.vulnerability) if question.vulnerability is not None else None
    digests = {question.digest} if question.digest is not None else set(findings.components if findings else ())
    progress("following it")
    references, digests = await _reached(log, decided, digests)
    progress("reading what those tags had")
    histories = await read_histories(log, references)

    def is_bad(stay: Stay) -> bool:
        mover = stay.mover
        return stay.digest in digests or (mover is not None and mover.decision_id in decided)

    decisions = await _decisions(
        log, [outcome for stays in histories.values() for it in stays for outcome in it.outcomes]
    )
    options = {id_: decision.options or CopyOptions() for id_, decision in decisions.items()}
    pasts = {reference: Past(stays, options, is_bad) for reference, stays in histories.items()}
    copies = [copy for ref, past in pasts.items() for copy in _copies(ref, past, decisions, findings)]
    origins = [origin for ref, past in pasts.items() for origin in _origins(ref, past)]
    blast = Blast(
        question,
        tuple(sorted(digests)),
        tuple(sorted(copies, key=lambda one: (-one.hops, one.target, one.digest))),
        tuple(sorted(origins, key=lambda one: (one.reference, one.digest))),
    )
    return Traced(blast, pasts)


async def _decided(log: ReadableLog, question: Question) -> set[str]:
    if question.revision is None and question.policy is None:
        return set()
    found: set[str] = set()
    for partition in range(await log.partitions(DECISIONS)):
        async for item in recorded(log, DECISIONS, partition):
            data = item.envelope.data
            if isinstance(data, Decision) and question.is_about(data) and data.verdict in {"promote", "mirror"}:
                found.add(item.envelope.id)
    return found


async def _reached(log: ReadableLog, decided: set[str], digests: set[str]) -> tuple[set[Reference], set[str]]:
    """Return the tags that got something bad, and the digests with those that they were reduced to on the way."""
    while True:
        found: set[Reference] = set()
        more = set(digests)
        # What a decision led to names the decision, of which there may be too many to look for.
        texts = [] if decided or len(digests) > _TEXTS_MAX else [digest.encode() for digest in digests]
        async for item in _arrivals(log, texts):
            data = item.envelope.data
            arrival = arrival_of(item.envelope)
            if arrival is None:
                continue
            is_meant = isinstance(data, Arrived) and (data.decision_id in decided or data.digest in digests)
            if is_meant or arrival.digest in digests:
                found.add(arrival.reference)
            if isinstance(data, Arrived) and data.digest in digests and data.reduced_digest is not None:
                more.add(data.reduced_digest)
        if more == digests:
            return found, digests
        digests = more


async def _arrivals(log: ReadableLog, texts: Collection[bytes]) -> AsyncIterator[Recorded]:
    for partition in range(await log.partitions(EVENTS)):
        async for item in recorded(log, EVENTS, partition, texts):
            if isinstance(item.envelope.data, ImagePushed | ImageObserved | Arrived):
                yield item


async def _decisions(log: ReadableLog, outcomes: Iterable[Arrived]) -> dict[str, Decision]:
    wanted = {outcome.decision_id: outcome.source.repository for outcome in outcomes}
    found: dict[str, Decision] = {}
    async for item in recorded_of(log, DECISIONS, set(wanted.values())):
        if item.envelope.id in wanted:
            found[item.envelope.id] = cast("Decision", item.envelope.data)
    return found


def _copies(
    target: Reference, past: Past, decisions: Mapping[str, Decision], findings: Findings | None
) -> Iterable[Copy]:
    found: dict[str, Copy] = {}
    for stay in past.stays:
        mover = stay.mover
        if mover is None or stay.digest is None or not past.is_bad(stay):
            continue
        decision = decisions.get(mover.decision_id)
        names = {stay.digest, mover.digest}
        found[stay.digest] = Copy(
            target=target,
            digest=stay.digest,
            commanded_digest=mover.digest,
            source=mover.source,
            policy=mover.policy,
            revision=None if decision is None else decision.revision,
            reason=None if decision is None else decision.reason,
            decision_id=mover.decision_id,
            hops=mover.hops,
            since=stay.since,
            position=stay.position,
            is_present=stay is past.stays[-1],
            present_digest=past.stays[-1].digest,
            overridden=None if findings is None else findings.overridden(target.repository, names),
        )
    return found.values()


def _origins(reference: Reference, past: Past) -> Iterable[Origin]:
    found: dict[str, Origin] = {}
    for stay in past.stays:
        if stay.mover is None and stay.digest is not None and past.is_bad(stay):
            found[stay.digest] = Origin(
                reference=reference, digest=stay.digest, since=stay.since, is_present=stay is past.stays[-1]
            )
    return found.values()
