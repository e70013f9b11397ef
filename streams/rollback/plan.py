"""A rollback planned from the log: what each tag had before, and what cannot be put back, with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from schemas.decisions import ROLLBACK
from schemas.policies import Platform
from schemas.references import Frozen, Reference
from schemas.rollbacks import STEPS_MAX, RollbackPlan, RollbackStep
from streams.audit.blast import Copy, Past, Traced
from streams.audit.tag_history import Stay


class LeftOut(Frozen):
    """A tag that got something bad, and stays as it is."""

    reference: Reference
    digest: str
    reason: str


class DrawnPlan(Frozen):
    """A plan with what it leaves out, as it is kept in a file."""

    #: None: nothing is to be done.
    plan_id: str | None
    plan: RollbackPlan | None
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Before:
    """What a tag had before something bad came."""

    digest: str | None
    platforms: tuple[Platform, ...] = ()


def draw_plan(traced: Traced) -> DrawnPlan:
    """Return the plan that undoes a blast as far as the log knows how, those farthest downstream first."""
    blast = traced.blast
    steps: list[RollbackStep] = []
    left_out: list[LeftOut] = []
    for copy in blast.copies:
        step = _step(copy, traced.pasts[copy.target], set(blast.digests))
        if isinstance(step, str):
            left_out.append(LeftOut(reference=copy.target, digest=copy.digest, reason=step))
        elif len(steps) == STEPS_MAX:
            reason = f"a plan has at most {STEPS_MAX} steps: plan again when these are taken"
            left_out.append(LeftOut(reference=copy.target, digest=copy.digest, reason=reason))
        else:
            steps.append(step)
    left_out += [
        LeftOut(
            reference=origin.reference,
            digest=origin.digest,
            reason="somebody pushed it there, not Towline: push another image, or delete it at its registry",
        )
        for origin in blast.origins
        if origin.is_present
    ]
    if not steps:
        return DrawnPlan(plan_id=None, plan=None, left_out=tuple(left_out))
    plan = RollbackPlan(cause=str(blast.question), revision=blast.question.revision, steps=tuple(steps))
    return DrawnPlan(plan_id=plan.plan_id, plan=plan, left_out=tuple(left_out))


def _step(copy: Copy, past: Past, digests: set[str]) -> RollbackStep | str:
    """Return what undoes a copy, or why nothing does."""
    if not copy.is_present:
        return f"the tag has {copy.present_digest} now" if copy.present_digest else "the tag is gone"
    if copy.overridden is not None:
        return f"{copy.overridden}: roll back the digest itself if it is to go all the same"
    before = _before(past, digests)
    if before is None:
        return "the log does not know what the tag had before: promote what is to be there with `towline promote`"
    return RollbackStep(
        target=copy.target,
        digest=before.digest,
        expected_digest=copy.digest,
        barred_digest=copy.commanded_digest,
        platforms=before.platforms,
    )


def _before(past: Past, digests: set[str]) -> _Before | None:
    """Return the last that a tag had which is not bad itself; None when the log does not know."""
    bad = digests | {stay.digest for stay in past.stays if past.is_bad(stay)} | _rolled_back(past.stays)
    for digest in _earlier(past.stays):
        if digest is None:
            return _Before(None)
        if digest not in bad:
            return _Before(digest, _platforms(past, digest))
    return None


def _earlier(stays: list[Stay]) -> Iterator[str | None]:
    """Yield what a tag had, the latest first. What a transfer saw at the registry counts before what the log heard."""
    for number in range(len(stays) - 1, -1, -1):
        mover = stays[number].mover
        if mover is not None:
            yield mover.previous_digest
        if number:
            yield stays[number - 1].digest


def _rolled_back(stays: list[Stay]) -> set[str | None]:
    """Return what earlier rollbacks took away: no plan brings it again."""
    return {one.digest for one, after in pairwise(stays) if after.mover is not None and after.mover.policy == ROLLBACK}


def _platforms(past: Past, digest: str) -> tuple[Platform, ...]:
    """Return the platforms that were brought with a digest: the others need not be there."""
    for stay in reversed(past.stays):
        if stay.digest == digest and stay.mover is not None and stay.mover.decision_id in past.options:
            return past.options[stay.mover.decision_id].platforms
    return ()
