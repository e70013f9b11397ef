"""A history of rollbacks: waited for, refused, approved, outdated; and what is barred from where afterwards."""

from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import arrived, policy, proposed, pushed
from tests.support.facts import requested
from tests.support.rollbacks import back, rollback_approved, rollback_requested

_APP, _QA, _PROD = "local/dev/app", "local/qa/app", "local/prod/app"
_POLICIES = (policy("to-qa", _APP, _QA), policy("to-prod", _QA, _PROD))
_QA_STEP = rollback_requested(back(f"{_QA}:1", "bad", "good"))
_PROD_STEP = rollback_requested(back(f"{_PROD}:1", "bad", None), approvals=2)
_OTHER_STEP = back(f"{_QA}:2", "other", "good", platforms=("linux/amd64",))
_LATER = rollback_requested(_OTHER_STEP, revision=1, key="once more")

ROLLBACKS: tuple[Envelope[Frozen], ...] = (
    proposed(*_POLICIES),
    pushed(f"{_APP}:1", "good"),
    arrived(f"{_QA}:1", "good", hops=1),
    pushed(f"{_APP}:1", "bad"),
    arrived(f"{_QA}:1", "bad", hops=1),
    arrived(f"{_PROD}:1", "bad", hops=2),
    _PROD_STEP,
    _QA_STEP,
    _QA_STEP,
    # Not by the one who proposed, and each counts once.
    rollback_approved(_PROD_STEP, by="alice"),
    rollback_approved(_PROD_STEP, by="bob"),
    rollback_approved(_PROD_STEP, by="bob"),
    rollback_approved(_PROD_STEP, by="carol"),
    rollback_approved(_QA_STEP, by="bob"),
    rollback_approved(_QA_STEP, by="bob"),
    arrived(f"{_QA}:1", "good", hops=1, key="again"),
    # It is not promoted again by itself; by hand it is, and then it is free.
    pushed(f"{_APP}:3", "bad"),
    requested(f"{_APP}:1", "bad", f"{_QA}:1", by="dora"),
    pushed(f"{_APP}:4", "bad"),
    # The tag has something else, or what was wanted, by then.
    pushed(f"{_QA}:2", "newer"),
    rollback_requested(_OTHER_STEP, revision=1),
    rollback_requested(back(f"{_QA}:2", "other", "newer")),
    # Of one revision, only that one's policies are meant.
    pushed(f"{_QA}:2", "other", key="after all"),
    _LATER,
    rollback_approved(_LATER),
    pushed(f"{_APP}:5", "other"),
    proposed(*_POLICIES, replaces=1),
    pushed(f"{_APP}:6", "other"),
)
