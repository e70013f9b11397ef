"""One example of every type, which together tell one story: a push, its promotion, and what went wrong beside it."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.canonical import content_id, sha256_hex
from schemas.catalogue import type_of
from schemas.commands import CopyImage
from schemas.deadletters import DeadLetter
from schemas.decisions import Decision, RuleFinding
from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.policies import Policy, PolicySet, Rule
from schemas.references import Frozen, Reference, Repository

_DEV: Final = Reference.parse("local/dev/website:1.0-stable")
_QA: Final = Reference.parse("local/qa/website:1.0-stable")
_DIGEST: Final = f"sha256:{sha256_hex(b'a manifest')}"
_OLDER_DIGEST: Final = f"sha256:{sha256_hex(b'an older manifest')}"
_POLICY: Final = "website-to-qa"
_EVENT_ID: Final = content_id("example", "push")
_PROPOSAL_ID: Final = content_id("example", "proposal")
_DECISION_ID: Final = content_id("example", "decision")
_COMMAND_ID: Final = content_id("example", "command")
_NOW: Final = "2026-11-24T08:00:00.000000Z"

_SET: Final = PolicySet(
    policies=(
        Policy(
            name=_POLICY,
            source=_DEV.repository,
            target=Repository.parse("local/qa/website"),
            rules=(Rule(field="tag", operator="ends-with", values=("-stable",)),),
        ),
    )
)

_OUTCOME: Final[Mapping[str, Any]] = {
    "command_id": _COMMAND_ID,
    "decision_id": _DECISION_ID,
    "policy": _POLICY,
    "source": _DEV,
    "target": _QA,
    "digest": _DIGEST,
    "hops": 1,
}


def _envelope(data: Frozen, source: str, subject: object) -> Envelope[Frozen]:
    return Envelope(id=content_id("example", type_of(data)), source=source, subject=str(subject), time=_NOW, data=data)


_PUSHED: Final = ImagePushed(
    repository=_DEV.repository,
    tag=_DEV.tag,
    digest=_DIGEST,
    media_type=OCI_MANIFEST,
    size=557,
    actor="ci",
    occurred_at="2026-11-24T07:59:59.773226Z",
)

_DECISION: Final = Decision(
    event_id=_EVENT_ID,
    revision=1,
    policy=_POLICY,
    verdict="promote",
    source=_DEV,
    digest=_DIGEST,
    target=_QA,
    rules=(RuleFinding(field="tag", operator="ends-with", values=("-stable",), actual="1.0-stable", result="holds"),),
    reason="every rule of website-to-qa holds",
    hops=1,
)

_DEAD_LETTER: Final = DeadLetter(
    topic="towline.inbound",
    partition=3,
    offset=17,
    reason="not JSON: Expecting value at line 1, column 1",
    key_base64=None,
    value_base64="bm90IEpTT04=",
    value_sha256=sha256_hex(b"not JSON"),
    value_size=8,
)

#: From each type to a record of it.
EXAMPLES: Final[Mapping[str, Envelope[Frozen]]] = {
    type_of(envelope.data): envelope
    for envelope in (
        _envelope(_PUSHED, "towline/hooks/local", _DEV),
        _envelope(ImageDeleted(repository=_DEV.repository, tag=_DEV.tag, actor="cleaner"), "towline/hooks/local", _DEV),
        _envelope(PolicyProposed(replaces=0, set=_SET, actor="operator"), "towline/cli", "policies@1"),
        _envelope(
            PolicyPublished(revision=1, digest=_SET.digest, set=_SET, proposal_id=_PROPOSAL_ID, actor="operator"),
            "towline/publisher",
            "policies@1",
        ),
        _envelope(ClockTicked(now=_NOW), "towline/ticker", "clock"),
        _envelope(_DECISION, "towline/evaluator", _DEV),
        _envelope(
            CopyImage(decision_id=_DECISION_ID, policy=_POLICY, source=_DEV, digest=_DIGEST, target=_QA, hops=1),
            "towline/evaluator",
            _QA,
        ),
        _envelope(
            TransferCompleted(
                **_OUTCOME,
                previous_digest=_OLDER_DIGEST,
                bytes_copied=3198,
                blobs_copied=1,
                blobs_mounted=2,
                blobs_skipped=0,
            ),
            "towline/transferrer",
            _QA,
        ),
        _envelope(TransferSkipped(**_OUTCOME, previous_digest=_DIGEST), "towline/transferrer", _QA),
        _envelope(
            TransferFailed(
                **_OUTCOME,
                cause="source-gone",
                detail="the registry has no manifest with this digest any more",
                retryable=False,
                attempts=1,
            ),
            "towline/transferrer",
            _QA,
        ),
        _envelope(_DEAD_LETTER, "towline/deadletters", "towline.inbound/3/17"),
    )
}
