"""Proposing and approving a plan: an event for each step, in the partition of its target."""

from collections.abc import Sequence

from schemas.canonical import canonical_bytes, content_id, sha256_hex
from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.rollbacks import RollbackApproved, RollbackPlan, RollbackRequested
from streams.facts import Teller
from streams.log import EventLog
from streams.rollback.story import ENDED, RollbackStory, read_rollbacks
from streams.routing import event_append
from towline import limits
from towline.dialects.reasons import fitted
from towline.errors import MisuseError


async def propose(
    log: EventLog, plan: RollbackPlan, by: Teller, *, reason: str, approvals: int
) -> list[Envelope[RollbackRequested]]:
    """Bring the proposal of a plan into the log; return what was proposed, once it is safe there.

    Steps that wait already are not proposed again, so that doing it again after a crash completes it.

    Raises:
        MisuseError: there is no reason.
        LogUnavailableError: not all was acknowledged in time. Proposing again proposes nothing twice.
    """
    if not reason.strip():
        raise MisuseError("a rollback needs a reason: say with --reason what is bad")
    known = (await read_rollbacks(log)).get(plan.plan_id)
    waiting = {step.request.number for step in known.steps if step.state not in ENDED} if known else set()
    requests = [
        _request(plan, number, by, reason, approvals) for number in range(len(plan.steps)) if number not in waiting
    ]
    await _append(log, requests)
    return requests


async def approve(log: EventLog, story: RollbackStory, by: Teller) -> list[Envelope[RollbackApproved]]:
    """Bring the approval of a plan into the log; return what was approved, once it is safe there.

    The core carries out a step with the last approval that it needs, and checks again what is checked here.

    Raises:
        MisuseError: the plan is not whole, nothing of it waits, or ``by`` proposed it.
        LogUnavailableError: not all was acknowledged in time. Approving again approves nothing twice.
    """
    _ = story.plan
    waiting = [step for step in story.steps if step.state not in {*ENDED, "pending"}]
    if not waiting:
        raise MisuseError(f"nothing of plan {story.plan_id} waits: see `towline rollback show {story.plan_id[:12]}`")
    if any(step.request.actor == by.actor for step in waiting):
        raise MisuseError(f"{by.actor} proposed this rollback: somebody else has to approve it")
    approvals = [_approval(step.request_id, step.request, by) for step in waiting if by.actor not in step.approved_by]
    await _append(log, approvals)
    return approvals


def _request(plan: RollbackPlan, number: int, by: Teller, reason: str, approvals: int) -> Envelope[RollbackRequested]:
    data = fitted(
        RollbackRequested,
        {
            "plan_id": plan.plan_id,
            "cause": plan.cause,
            "revision": plan.revision,
            "step": plan.steps[number].model_dump(mode="json"),
            "number": number,
            "steps": len(plan.steps),
            "approvals": approvals,
            "actor": by.actor,
            "reason": reason,
        },
    )
    told = sha256_hex(canonical_bytes(data.model_dump(mode="json")))
    # What was undone may be undone again when it has come back: the moment belongs to it.
    return Envelope(content_id(type_of(data), told, by.now), by.source, str(data.target), by.now, data)


def _approval(request_id: str, request: RollbackRequested, by: Teller) -> Envelope[RollbackApproved]:
    data = RollbackApproved(target=request.target, plan_id=request.plan_id, request_id=request_id, actor=by.actor)
    return Envelope(content_id(type_of(data), request_id, by.actor), by.source, str(data.target), by.now, data)


async def _append(log: EventLog, events: Sequence[Envelope[Frozen]]) -> None:
    appends = [event_append(event) for event in events]
    for start in range(0, len(appends), limits.batch_record_count):
        await log.append_all(appends[start : start + limits.batch_record_count])
