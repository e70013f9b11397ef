"""What the records of a trail say, in one line each, and which of them led to which."""

from collections.abc import Callable, Mapping, Sized
from typing import Any, Final

from schemas.catalogue import TYPES, type_of
from schemas.checkpoints import Checkpoint
from schemas.commands import CopyImage, InspectImage, PollCause, PollRepository, RemoveTag, ResolveTag
from schemas.deadletters import DeadLetter
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import (
    ImageDeleted,
    ImageHinted,
    ImageObserved,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    PollCompleted,
    PollFailed,
    PromotionRequested,
    RemovalFailed,
    RemovalSkipped,
    SyncRequested,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
    TransferStarted,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    ScanNoticed,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.outcomes import Arrived
from schemas.references import Actor, Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from schemas.webhooks import SubscriptionEnded, SubscriptionsProposed, SubscriptionsPublished

#: Of what was seen, or missed, when a registry was asked about one tag.
HINTED: Final = "looked at because of a hint"

#: Of a target tag that does not have the commanded ``digest``.
REDUCED: Final = "the index of the wanted platforms only: what signs or describes the whole {digest} stayed behind"

Said = tuple[str | None, str]
"""The id of the record that led to it, or None, and the line."""


def told(envelope: Envelope[Frozen]) -> Said:
    """Return what a record says.

    Raises:
        TypeError: it is of a type that no trail has.
    """
    for words in (_RECORDS, _FACTS, _OTHERS):
        if (word := words.get(type(envelope.data))) is not None:
            return word(envelope, envelope.data)
    raise TypeError(f"{type_of(envelope.data)} is in no trail")


def _by(actor: Actor | None) -> str:
    return f" by {actor}" if actor else ""


def _count(vulnerabilities: Sized) -> str:
    count = len(vulnerabilities)
    return f"{count} vulnerabilit{'y' if count == 1 else 'ies'}"


def _about(data: Any) -> str:
    place = data.digest or "every image"
    carried = getattr(data, "carried_from", None)
    return f"{place}{f', known from {carried}' if carried else ''}"


def _until(data: Any) -> str:
    return f" until {data.expires_at}" if data.expires_at else ""


def _decided(_: Envelope[Frozen], data: Decision) -> Said:
    where = f" {data.policy} -> {data.target}" if data.policy else ""
    shadow = " in shadow" if data.mode == "shadow" else ""
    due = f"; time decides at {data.due_at}" if data.due_at else ""
    return data.event_id, f"{data.verdict}{where}{shadow} (revision {data.revision}): {data.reason}{due}"


def _completed(_: Envelope[Frozen], data: TransferCompleted) -> Said:
    copied = f"{data.blobs_copied} blobs copied, {data.blobs_mounted} mounted, {data.blobs_skipped} there already"
    return data.command_id, f"{data.target} -> {data.arrived_digest} ({copied}){_reduced(data)}"


def _skipped(_: Envelope[Frozen], data: TransferSkipped) -> Said:
    return data.command_id, data.reason or f"{data.target} has {data.arrived_digest} already{_reduced(data)}"


def _reduced(data: Arrived) -> str:
    if data.reduced_digest is None:
        return ""
    return f", {REDUCED.format(digest=data.digest)}"


def _looked(cause: PollCause) -> str:
    return "reconciliation" if cause == "reconciliation" else "a poll"


def _seen(data: ImageObserved) -> str:
    return f"{HINTED}{_by(data.actor)}" if data.cause == "hint" else f"seen by {_looked(data.cause)}"


def _size(data: TransferStarted) -> str:
    known = (("manifests", data.manifests), ("blobs", data.blobs), ("bytes", data.bytes))
    told = ", ".join(f"{count} {name}" for name, count in known if count is not None)
    return f": {told}" if told else ""


def _noticed(subject: str, data: ScanNoticed) -> str:
    if not data.succeeded:
        return f"could not scan {subject}"
    counts = ", ".join(f"{count} {band}" for band, count in sorted(data.counts.items()))
    return f"is done with {subject} ({counts or 'without numbers'}; a report decides, and is to be submitted)"


def _overridden(_: Envelope[Frozen], data: VulnerabilityOverridden) -> Said:
    where = f" in {data.component}" if data.component else ""
    return (
        None,
        f"{data.vulnerability}{where} does not count in {_about(data)}{_until(data)}{_by(data.actor)}: {data.reason}",
    )


def _inspected(_: Envelope[Frozen], data: ImageInspected) -> Said:
    platforms = ", ".join(image.platform for image in data.images) or "no platform"
    return None, f"{_about(data)} is for {platforms}"


def _set(subject: str, data: Any) -> str:
    documents = data.set.policies if hasattr(data.set, "policies") else data.set.subscriptions
    return f"{len(documents)} {subject}{_by(data.actor)}"


_RECORDS: Final[Mapping[type[Frozen], Callable[[Envelope[Frozen], Any], Said]]] = {
    ImagePushed: lambda envelope, data: (None, f"{envelope.subject} -> {data.digest}{_by(data.actor)}"),
    ImageObserved: lambda envelope, data: (
        data.command_id,
        f"{envelope.subject} -> {data.digest} {_seen(data)}",
    ),
    TagsListed: lambda _, data: (
        data.command_id,
        f"{data.repository} does not list it any more, found by {_looked(data.cause)}",
    ),
    ImageDeleted: lambda envelope, data: (
        data.command_id,
        f"{envelope.subject} {'deleted' if data.command_id is None else f'is not there, {HINTED}'}",
    ),
    ImageHinted: lambda envelope, data: (None, f"hinted{_by(data.actor)}: something happened to {envelope.subject}"),
    ResolveTag: lambda envelope, data: (data.event_id, f"look at {envelope.subject}"),
    PollFailed: lambda _, data: (data.command_id, f"{data.source} could not be asked: {data.cause}: {data.detail}"),
    PromotionRequested: lambda _, data: (
        None if data.retries is None else data.retries.command_id,
        f"{data.actor} asks {'again ' if data.retries else ''}for {data.digest} at {data.target}",
    ),
    RollbackRequested: lambda _, data: (
        None,
        f"{data.actor} wants {data.step.digest or 'it removed'} in place of {data.step.expected_digest}, because of "
        f"{data.cause}: {data.reason} (plan {data.plan_id})",
    ),
    RollbackApproved: lambda _, data: (data.request_id, f"{data.actor} approves plan {data.plan_id}"),
    Decision: _decided,
    CopyImage: lambda _, data: (data.decision_id, f"copy {data.source}@{data.digest} to {data.target}"),
    RemoveTag: lambda _, data: (data.decision_id, f"remove {data.target} if it has {data.digest}"),
    TransferStarted: lambda _, data: (data.command_id, f"copying to {data.target}{_size(data)}"),
    TransferCompleted: _completed,
    TransferSkipped: _skipped,
    TransferFailed: lambda _, data: (data.command_id, f"{data.target} unchanged: {data.cause}: {data.detail}"),
    TagRemoved: lambda _, data: (data.command_id, f"{data.target} removed, it had {data.previous_digest}"),
    RemovalSkipped: lambda _, data: (data.command_id, f"{data.target} not removed: {data.reason}"),
    RemovalFailed: lambda _, data: (data.command_id, f"{data.target} not removed: {data.cause}: {data.detail}"),
}

#: About no tag: what was published, asked for, set aside or sealed.
_OTHERS: Final[Mapping[type[Frozen], Callable[[Envelope[Frozen], Any], Said]]] = {
    PolicyProposed: lambda _, data: (None, f"{_set('policies', data)}, to replace revision {data.replaces}"),
    PolicyPublished: lambda _, data: (
        data.proposal_id,
        f"revision {data.revision} is in force: {_set('policies', data)}",
    ),
    SubscriptionsProposed: lambda _, data: (
        None,
        f"{_set('subscriptions', data)}, to replace revision {data.replaces}",
    ),
    SubscriptionsPublished: lambda _, data: (
        data.cause_id,
        f"revision {data.revision} of the subscriptions is in force: {_set('subscriptions', data)}",
    ),
    SubscriptionEnded: lambda _, data: (data.command_id, f"{data.subscription} is told no more: {data.reason}"),
    SyncRequested: lambda _, data: (None, f"{data.actor} wants {data.source} of {data.policy} asked now"),
    PollRepository: lambda _, data: (data.event_id, f"ask {data.source} what it has ({data.cause})"),
    PollCompleted: lambda _, data: (
        data.command_id,
        f"{data.repository or data.source} was asked: it has {data.tags} tag{'' if data.tags == 1 else 's'}",
    ),
    InspectImage: lambda _, data: (data.event_id, f"inspect {data.repository}@{data.digest}"),
    DigestBarred: lambda _, data: (
        None,
        f"{data.digest} may not come to {data.target_repository} again{_by(data.actor)}: {data.reason} "
        f"(plan {data.plan_id})",
    ),
    DeadLetter: lambda _, data: (
        None,
        f"set aside from {data.topic}/{data.partition}@{data.offset}, {data.value_size} bytes: {data.reason}",
    ),
    Checkpoint: lambda _, data: (
        data.previous,
        f"checkpoint {data.number} of {data.topic}/{data.partition}: {data.size} records, root {data.root}",
    ),
}

_FACTS: Final[Mapping[type[Frozen], Callable[[Envelope[Frozen], Any], Said]]] = {
    ImageInspected: _inspected,
    InspectionFailed: lambda _, data: (data.command_id, f"{data.digest} not inspected: {data.cause}: {data.detail}"),
    ScanCompleted: lambda _, data: (
        None,
        f"{data.scanner} found {_count(data.vulnerabilities)} in {_about(data)}{_by(data.actor)}",
    ),
    ScanNoticed: lambda envelope, data: (None, f"{data.scanner or 'a scanner'} {_noticed(envelope.subject, data)}"),
    SbomSubmitted: lambda _, data: (
        None,
        f"{data.format} lists {len(data.components)} components of {_about(data)}{_by(data.actor)}",
    ),
    SignatureVerified: lambda _, data: (None, f"{_about(data)} is signed with {data.key}"),
    VulnerabilityOverridden: _overridden,
    OverrideRevoked: lambda _, data: (
        None,
        f"{data.vulnerability} counts again in {_about(data)}{_by(data.actor)}: {data.reason}",
    ),
    ApprovalGranted: lambda _, data: (
        None,
        f"{data.actor} approved {data.digest} for {data.policy}{_until(data)}: {data.comment}".rstrip(": "),
    ),
    ApprovalRevoked: lambda _, data: (
        None,
        f"the approval of {data.approver} for {data.policy} was revoked{_by(data.actor)}: {data.comment}".rstrip(": "),
    ),
}

#: The types of what was found out about an image.
FACT_TYPES: Final = frozenset(name for name, model in TYPES.items() if model in _FACTS)
