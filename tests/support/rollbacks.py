"""Builders of rollbacks. Deterministic, as the other builders."""

from typing import Any

from schemas.envelope import Envelope
from schemas.references import Frozen, Reference, Repository
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackPlan, RollbackRequested, RollbackStep
from tests.support.builders import digest, envelope


def back(target: str, bad: str, good: str | None, *, commanded: str | None = None, **more: Any) -> RollbackStep:
    """Return the step that gives a tag the image ``good`` again, or removes it, in place of ``bad``.

    ``commanded``: what ``bad`` was reduced from.
    """
    return RollbackStep(
        target=Reference.parse(target),
        digest=None if good is None else digest(good),
        expected_digest=digest(bad),
        barred_digest=digest(commanded or bad),
        **more,
    )


def rollback_requested(
    step: RollbackStep, *, by: str = "alice", key: str = "", revision: int | None = None, approvals: int = 1
) -> Envelope[Frozen]:
    """Return the proposal of a plan of one step."""
    plan = RollbackPlan(cause="a defect", revision=revision, steps=(step,))
    data = RollbackRequested(
        plan_id=plan.plan_id,
        cause=plan.cause,
        revision=revision,
        step=step,
        number=0,
        steps=1,
        approvals=approvals,
        actor=by,
        reason="it loses orders",
    )
    return envelope(data, subject=str(step.target), key=f"request {plan.plan_id} {by} {key}")


def rollback_approved(request: Envelope[Frozen], *, by: str = "bob") -> Envelope[Frozen]:
    """Return the approval of a proposal."""
    data = request.data
    assert isinstance(data, RollbackRequested)
    approval = RollbackApproved(target=data.target, plan_id=data.plan_id, request_id=request.id, actor=by)
    return envelope(approval, subject=str(data.target), key=f"approve {request.id} {by}")


def barred(repository: str, image: str, *, revision: int | None = None, key: str = "") -> Envelope[Frozen]:
    """Return that a digest is barred from a repository."""
    data = DigestBarred(
        target_repository=Repository.parse(repository),
        digest=digest(image),
        revision=revision,
        plan_id="a" * 64,
        actor="alice",
        reason="it loses orders",
    )
    return envelope(data, subject=f"{repository}@{image}", key=f"bar {repository} {image} {revision} {key}")
