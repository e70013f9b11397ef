"""How facts change what is known of a digest, and which verdicts they may change."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.references import Frozen, Reference, Repository
from towline import limits
from towline.policy.agenda import NOTHING, Agenda, Task, merge_tasks
from towline.policy.index import (
    APPROVAL,
    INSPECTION,
    OVERRIDE,
    SBOM,
    SCAN,
    SIGNATURE,
    Match,
    policies_in_force,
)
from towline.policy.state.images import (
    WHOLE,
    FactsState,
    ImageState,
    RepositoryOverrides,
    override_name,
    report_key,
)
from towline.policy.state.rollbacks import lift
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, Value
from towline.policy.sweep import begin_override_sweep, next_tasks

_KINDS: Final[Mapping[type[Frozen], str]] = {
    ImageInspected: INSPECTION,
    InspectionFailed: INSPECTION,
    ScanCompleted: SCAN,
    SbomSubmitted: SBOM,
    SignatureVerified: SIGNATURE,
    VulnerabilityOverridden: OVERRIDE,
    OverrideRevoked: OVERRIDE,
    ApprovalGranted: APPROVAL,
    ApprovalRevoked: APPROVAL,
}
_PLACE: Final = {"repository", "digest"}


def learn(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take a fact about a digest into the state; a re-delivery changes nothing."""
    data: Any = event.data
    facts = FactsState.read(draft, data.repository, data.digest)
    if event.id in facts.recent:
        return NOTHING
    learned = _learned(draft, event, facts)
    if learned is None:
        return NOTHING
    replace(learned, recent=_remembered(facts.recent, event)).write(draft, data.repository, data.digest)
    policy = data.policy if isinstance(data, ApprovalGranted | ApprovalRevoked) else None
    return Agenda(tuple(_waiting(draft, data.repository, data.digest, _KINDS[type(data)], policy)))


def learn_for_repository(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take an override into the state: for one digest, or for every image of the repository."""
    data = event.data
    if not isinstance(data, VulnerabilityOverridden | OverrideRevoked) or data.digest is not None:
        return learn(draft, event)
    known = RepositoryOverrides.read(draft, data.repository)
    overrides = None if event.id in known.recent else _overridden(known.overrides, event)
    if overrides is None:
        return NOTHING
    RepositoryOverrides(overrides, _remembered(known.recent, event)).write(draft, data.repository)
    begin_override_sweep(draft, data.repository)
    return Agenda(merge_tasks(next_tasks(draft)))


def request(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Note that a person asked for an image at a target.

    What a rollback barred from there is free again, unless a failed transfer is only made again. It changes nothing
    else, its transfer's outcome will.
    """
    data = event.data
    if not isinstance(data, PromotionRequested):
        return NOTHING
    facts = FactsState.read(draft, data.repository, data.digest)
    if event.id in facts.recent:
        return NOTHING
    replace(facts, recent=_remembered(facts.recent, event)).write(draft, data.repository, data.digest)
    if data.retries is None:
        lift(draft, data.repository, data.target.repository, data.digest)
    return Agenda(is_requested=True)


def _learned(draft: Draft, event: Envelope[Frozen], facts: FactsState) -> FactsState | None:
    match event.data:
        case ImageInspected() as data:
            if _is_outranked(data.carried_from, facts.inspection):
                return None
            _note_parents(draft, data)
            return replace(facts, inspection=_stored(event), inspection_failure=None)
        case InspectionFailed() as data:
            detail = f"the last one failed: {data.detail}"
            failure = {"event": event.id, "time": event.time, "detail": detail}
            return replace(facts, inspection_failure=failure)
        case ScanCompleted() as data:
            return _reported(draft, event, facts, "scan", data)
        case SbomSubmitted() as data:
            return _reported(draft, event, facts, "sbom", data)
        case SignatureVerified() as data:
            if data.carried_from is not None and data.key in facts.signatures:
                return None
            return replace(facts, signatures={**facts.signatures, data.key: event.id})
        case VulnerabilityOverridden() | OverrideRevoked():
            overrides = _overridden(facts.overrides, event)
            return None if overrides is None else replace(facts, overrides=overrides)
        case ApprovalGranted() | ApprovalRevoked():
            return replace(facts, approvals=_approved(facts.approvals, event))
        case data:
            raise TypeError(f"{event.subject} tells no fact about a digest")


def _remembered(recent: tuple[str, ...], event: Envelope[Frozen]) -> tuple[str, ...]:
    return (*recent, event.id)[-limits.recent_event_count :]


def _stored(event: Envelope[Frozen]) -> Value:
    return {"event": event.id, "data": event.data.model_dump(mode="json", exclude=_PLACE)}


def _is_outranked(carried_from: Reference | None, known: Value | None) -> bool:
    """Tell whether a fact that a promotion brought along meets one that was found out here."""
    return carried_from is not None and known is not None and known["data"]["carried_from"] is None


def _reported(
    draft: Draft, event: Envelope[Frozen], facts: FactsState, kind: str, data: ScanCompleted | SbomSubmitted
) -> FactsState | None:
    platform = data.platform or WHOLE
    key = report_key(kind, data.repository, data.digest, platform)
    if _is_outranked(data.carried_from, draft.get(key)):
        return None
    newest = facts.newest.get(kind, platform)
    if not _is_outranked(data.carried_from, draft.get(report_key(kind, data.repository, data.digest, newest))):
        newest = platform
    draft.put(key, _stored(event))
    facts = replace(facts, newest={**facts.newest, kind: newest})
    if kind == "scan":
        return replace(facts, scans={**facts.scans, platform: event.id})
    return replace(facts, sboms={**facts.sboms, platform: event.id})


def _overridden(known: Mapping[str, Value], event: Envelope[Frozen]) -> Mapping[str, Value] | None:
    """Return the overrides with one more, or one less; None when nothing comes of it."""
    data = event.data
    if isinstance(data, VulnerabilityOverridden):
        name = override_name(data.vulnerability, data.component)
        return None if _is_outranked(data.carried_from, known.get(name)) else {**known, name: _stored(event)}
    if isinstance(data, OverrideRevoked):
        revoked = override_name(data.vulnerability, data.component)
        return {name: item for name, item in known.items() if name != revoked}
    return None


def _approved(
    approvals: Mapping[str, Mapping[str, Value]], event: Envelope[Frozen]
) -> Mapping[str, Mapping[str, Value]]:
    data = event.data
    if isinstance(data, ApprovalGranted):
        given = {**approvals.get(data.policy, {}), data.actor: {"event": event.id, "expires_at": data.expires_at}}
        return {**approvals, data.policy: given}
    if isinstance(data, ApprovalRevoked):
        left = {actor: item for actor, item in approvals.get(data.policy, {}).items() if actor != data.approver}
        return {**approvals, data.policy: left}
    return approvals


def _note_parents(draft: Draft, data: ImageInspected) -> None:
    for image in data.images:
        if image.digest == data.digest:
            continue
        known = ImageState.read(draft, data.repository, image.digest)
        if data.digest not in known.parents:
            parents = (*known.parents, data.digest)[-limits.parent_count :]
            replace(known, parents=parents).write(draft, data.repository, image.digest)


def _waiting(draft: Draft, repository: Repository, digest: str, kind: str, policy: str | None) -> list[Task]:
    """Return the tags with a verdict on this digest, or on an index that it is part of, that the fact may change."""
    kinds = {match.policy.name: match for match in policies_in_force(draft).matching(repository)}
    tasks: list[Task] = []
    image = ImageState.read(draft, repository, digest)
    for about in (digest, *image.parents):
        state = image if about == digest else ImageState.read(draft, repository, about)
        for name in state.waiting:
            reference = Reference(repository, name)
            pending = TagState.read(draft, reference).pending
            concerned = frozenset(name for name in pending if _concerns(kinds.get(name), kind, policy))
            if concerned:
                tasks.append(Task(reference, concerned))
    return tasks


def _concerns(match: Match | None, kind: str, policy: str | None) -> bool:
    return match is not None and kind in match.kinds and policy in {None, match.policy.name}
