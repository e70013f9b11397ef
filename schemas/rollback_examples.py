"""Examples of what a rollback is told as: wanted, approved by another, and barred everywhere."""

from typing import Final

from schemas.canonical import content_id, sha256_hex
from schemas.references import Frozen, Reference
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackPlan, RollbackRequested, RollbackStep

_QA: Final = Reference.parse("local/qa/website:1.0-stable")
_DIGEST: Final = f"sha256:{sha256_hex(b'a manifest')}"
_OLDER_DIGEST: Final = f"sha256:{sha256_hex(b'an older manifest')}"
_PLAN: Final = RollbackPlan(
    cause=_DIGEST,
    steps=(RollbackStep(target=_QA, digest=_OLDER_DIGEST, expected_digest=_DIGEST, barred_digest=_DIGEST),),
)
_REASON: Final = "it loses orders"

#: Each with its source and its subject.
ROLLED_BACK: Final[tuple[tuple[Frozen, str, str], ...]] = (
    (
        RollbackRequested(
            plan_id=_PLAN.plan_id,
            cause=_PLAN.cause,
            step=_PLAN.steps[0],
            number=0,
            steps=1,
            actor="ann",
            reason=_REASON,
        ),
        "towline/cli",
        str(_QA),
    ),
    (
        RollbackApproved(
            target=_QA, plan_id=_PLAN.plan_id, request_id=content_id("example", "rollback.requested"), actor="bob"
        ),
        "towline/cli",
        str(_QA),
    ),
    (
        DigestBarred(
            target_repository=_QA.repository, digest=_DIGEST, plan_id=_PLAN.plan_id, actor="ann", reason=_REASON
        ),
        "towline/evaluator",
        f"{_QA.repository}@{_DIGEST}",
    ),
)
