"""Rollbacks in the partition of their target: proposed, approved by another person, decided.

What is checked is what this partition's log knows: that whoever approves is not the one who proposed, and that the tag
still has what the plan was made for.
"""

from collections.abc import Sequence
from dataclasses import replace

from schemas.canonical import content_id
from schemas.catalogue import type_of
from schemas.decisions import ROLLBACK, Decision
from schemas.envelope import Envelope
from schemas.policies import CopyOptions
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from towline.policy.agenda import NOTHING, Agenda, Standing
from towline.policy.judge import DECISION_SOURCE
from towline.policy.state.images import ImageState
from towline.policy.state.rollbacks import RollbackState, bar
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, RevisionState, StateView


def propose_rollback(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take a proposal into the state, unless the same step of the same plan waits already."""
    data = event.data
    if not isinstance(data, RollbackRequested):
        return NOTHING
    known = RollbackState.read(draft, data.plan_id, data.target)
    if known is not None and (not known.is_settled or event.id in {known.request_id, *known.earlier}):
        return NOTHING
    earlier = () if known is None else (*known.earlier, known.request_id)
    standing = _outdated(draft, data) or Standing(data, "hold", _waits(data, ()))
    RollbackState(event.id, data, {}, standing.verdict != "hold", earlier).write(draft)
    return Agenda(rollback=standing)


def approve_rollback(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take an approval into the state: each person's once, and only of a proposal that waits."""
    data = event.data
    if not isinstance(data, RollbackApproved):
        return NOTHING
    known = RollbackState.read(draft, data.plan_id, data.target)
    if known is None or known.is_settled or known.request_id != data.request_id or data.actor in known.approvals:
        return NOTHING
    approvals = {**known.approvals, data.actor: event.id}
    request = known.request
    if data.actor == request.actor:
        reason = f"{data.actor} proposed this rollback: somebody else has to approve it"
        standing = Standing(request, "deny", reason)
        is_settled = False
    else:
        standing = _approved(draft, request, sorted(name for name in approvals if name != request.actor))
        is_settled = standing.verdict != "hold"
    replace(known, approvals=approvals, is_settled=is_settled).write(draft)
    agenda = Agenda(rollback=standing)
    for barred in announce_bar(event, agenda):
        bar(draft, barred.id, barred.data)  # At once, for what this partition holds behind this event.
    return agenda


def take_bar(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take into the state that a digest is barred from a repository."""
    if isinstance(event.data, DigestBarred):
        bar(draft, event.id, event.data)
    return NOTHING


def decide_rollback(state: StateView, event: Envelope[Frozen], standing: Standing) -> Decision:
    """Return the decision on a step of a rollback: to put the earlier digest there again is a promotion."""
    request, step = standing.request, standing.request.step
    pushers = () if step.digest is None else ImageState.read(state, step.target.repository, step.digest).pushed_by
    return Decision(
        event_id=event.id,
        revision=RevisionState.read(state).revision,
        policy=ROLLBACK,
        verdict=standing.verdict,
        # What it had is in its own repository, and only the tag has to be moved.
        source=step.target,
        digest=step.digest or step.expected_digest,
        target=step.target,
        rules=(),
        reason=standing.reason,
        hops=1,
        options=CopyOptions(platforms=step.platforms, referrers=False),
        actor=request.actor,
        pushed_by=pushers[-1] if pushers else None,
    )


def announce_bar(event: Envelope[Frozen], agenda: Agenda) -> tuple[Envelope[DigestBarred], ...]:
    """Return what every partition is told when a rollback was approved."""
    if agenda.rollback is None or not agenda.rollback.is_approved:
        return ()
    request = agenda.rollback.request
    barred = DigestBarred(
        target_repository=request.target.repository,
        digest=request.step.barred_digest,
        revision=request.revision,
        plan_id=request.plan_id,
        actor=request.actor,
        reason=request.reason,
    )
    subject = f"{barred.target_repository}@{barred.digest}"
    return (Envelope(content_id(type_of(barred), event.id), DECISION_SOURCE, subject, event.time, barred),)


def _approved(draft: Draft, request: RollbackRequested, approvers: Sequence[str]) -> Standing:
    outdated = _outdated(draft, request, is_approved=len(approvers) >= request.approvals)
    if outdated is not None:
        return outdated
    if len(approvers) < request.approvals:
        return Standing(request, "hold", _waits(request, approvers))
    what = "restores" if request.step.digest else "removes"
    reason = f"a rollback {what} it: {_told(request)}, and {' and '.join(approvers)} approved"
    return Standing(request, "promote" if request.step.digest else "remove", reason, is_approved=True)


def _outdated(draft: Draft, request: RollbackRequested, *, is_approved: bool = False) -> Standing | None:
    """Return how it ends because the tag has something else than the plan was made for; None when it does not."""
    step, present = request.step, TagState.read(draft, request.target).digest
    if present == step.expected_digest:
        return None
    if present == step.digest:
        has = "has that digest again" if present else "is gone"
        return Standing(request, "ignore", f"the tag {has} already; {_told(request)}", is_approved=is_approved)
    has = present or "nothing"
    reason = f"the plan was made for {step.expected_digest}, and the tag has {has} now: make another plan"
    return Standing(request, "deny", reason)


def _waits(request: RollbackRequested, approvers: Sequence[str]) -> str:
    so_far = f", {' and '.join(approvers)} did" if approvers else ""
    return f"{_told(request)}; {request.approvals} besides {request.actor} must approve{so_far}"


def _told(request: RollbackRequested) -> str:
    return f"{request.actor} asked for it because of {request.cause}: {request.reason} (plan {request.plan_id[:12]})"
