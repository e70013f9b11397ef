"""One example of every type, which together tell one story: a push, its promotion, and what went wrong beside it."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.canonical import content_id, sha256_hex
from schemas.catalogue import type_of
from schemas.checkpoints import Checkpoint
from schemas.commands import CopyImage, InspectImage, PollRepository, RemoveTag, ResolveTag
from schemas.deadletters import DeadLetter, InputRequeued
from schemas.decisions import Decision, RuleFinding
from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
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
    TransferProgressed,
    TransferSkipped,
    TransferStarted,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    Component,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    PlatformImage,
    SbomSubmitted,
    ScanCompleted,
    ScanNoticed,
    SignatureVerified,
    Vulnerability,
    VulnerabilityOverridden,
)
from schemas.patterns import SourcePattern, TargetPattern
from schemas.policies import CopyOptions, Policy, PolicySet
from schemas.references import Frozen, Reference
from schemas.rollback_examples import ROLLED_BACK
from schemas.rules import CountRule, TagRule
from schemas.webhook_examples import NOTIFIED

_DEV: Final = Reference.parse("local/dev/website:1.0-stable")
_QA: Final = Reference.parse("local/qa/website:1.0-stable")
_DIGEST: Final = f"sha256:{sha256_hex(b'a manifest')}"
_OLDER_DIGEST: Final = f"sha256:{sha256_hex(b'an older manifest')}"
_REDUCED_DIGEST: Final = f"sha256:{sha256_hex(b'an index of fewer platforms')}"
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
            source=SourcePattern.parse("local/dev/website"),
            target=TargetPattern.parse("local/qa/website"),
            rules=(
                TagRule(field="tag", operator="ends-with", values=("-stable",)),
                CountRule(field="vulnerability_critical", operator="<=", values=("0",)),
            ),
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
    "pushed_by": "ci",
}
_IMAGE: Final[Mapping[str, Any]] = {"repository": _DEV.repository, "digest": _DIGEST}
_CVE: Final = "CVE-2024-3094"
_COMPONENT: Final = Component(
    name="xz-utils", version="5.6.0", purl="pkg:deb/debian/xz-utils@5.6.0", licenses=(("0BSD",), ("GPL-2.0-or-later",))
)


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
    rules=(
        RuleFinding(field="tag", operator="ends-with", values=("-stable",), actual="1.0-stable", result="holds"),
        RuleFinding(
            field="vulnerability_critical",
            operator="<=",
            values=("0",),
            actual="0",
            result="holds",
            events=(content_id("example", "scan.completed"), content_id("example", "vulnerability.overridden")),
        ),
    ),
    reason="tag ends-with -stable holds for 1.0-stable; vulnerability_critical <= 0 holds for 0",
    hops=1,
    options=CopyOptions(),
    pushed_by="ci",
)

_CHECKPOINT: Final = Checkpoint(
    topic="towline.decisions",
    partition=3,
    number=0,
    previous=None,
    size=2,
    root="622b4e931e6a363ff6b3e1c16886d5bf4c3d6de09cc35be68f4e34a59798c986",
    last_offset=41,
    leaves=(
        "73517acfece9f7eaf2b162f90564bcfce7e478f9f8bfa365646f667605de739b",
        "01696bd76ab39f1ddc3c6384a95768513134bc67ca337d313fad2195bed5390f",
    ),
    # The private key is the SHA-256 of the word "example".
    key_id="fff7b47d68d6151d75a8a8a78085e301e80f5cc966550417f982d45a18184786",
    signature_base64="6JuWYGBUajWUITDH+f23xd8bcmMm9faaXu57MIybcMPOWAKxyhC+Q83R3vAIf3msAyIWgd9gzneEZJJBiLg3BQ==",
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

#: What an observer does and finds.
_OBSERVED: Final[tuple[tuple[Frozen, object], ...]] = (
    (InspectImage(event_id=_EVENT_ID, **_IMAGE), _DEV.repository),
    (
        ImageInspected(
            **_IMAGE,
            media_type=OCI_MANIFEST,
            annotations={"org.opencontainers.image.revision": "0a1b2c3"},
            images=(
                PlatformImage(
                    platform="linux/amd64", digest=_DIGEST, size=3198, created=_NOW, labels={"maintainer": "team-web"}
                ),
            ),
        ),
        _DEV.repository,
    ),
    (
        InspectionFailed(
            **_IMAGE,
            command_id=_COMMAND_ID,
            cause="unreachable",
            detail="the registry did not answer",
            retryable=True,
            attempts=5,
        ),
        _DEV.repository,
    ),
    (SignatureVerified(**_IMAGE, key="release"), _DEV.repository),
    (ResolveTag(event_id=_EVENT_ID, repository=_DEV.repository, tag=_DEV.tag, actor="ci"), _DEV),
    (
        PollRepository(event_id=_EVENT_ID, source=SourcePattern.parse("local/dev/*"), cause="initial-evaluation"),
        "local/dev/*",
    ),
    (
        TagsListed(
            command_id=_COMMAND_ID,
            repository=_DEV.repository,
            cause="reconciliation",
            after=None,
            until=None,
            tags=("1.0-stable", "1.1-stable"),
        ),
        _DEV.repository,
    ),
    (
        PollCompleted(
            command_id=_COMMAND_ID,
            source=SourcePattern.parse("local/dev/*"),
            repository=_DEV.repository,
            tags=7,
            contents=sha256_hex(b"all that is there"),
        ),
        "local/dev/*",
    ),
    (
        PollFailed(
            command_id=_COMMAND_ID,
            source=SourcePattern.parse("local/dev/*"),
            cause="denied",
            detail="the registry refused the catalogue",
            retryable=False,
            attempts=1,
        ),
        "local/dev/*",
    ),
)

_GOING: Final[Mapping[str, Any]] = {"bytes_copied": 3198, "blobs_copied": 1, "blobs_mounted": 2, "blobs_skipped": 0}

#: What a transferrer tells beside the outcomes of copies.
_TRANSFERRED: Final[tuple[Frozen, ...]] = (
    TransferStarted(**_OUTCOME, manifests=1, blobs=4, bytes=7011),
    TransferProgressed(**_OUTCOME, **_GOING, blobs=4, bytes=7011),
    TagRemoved(**_OUTCOME, previous_digest=_DIGEST),
    RemovalSkipped(**_OUTCOME, reason="the tag is gone already"),
    RemovalFailed(
        **_OUTCOME,
        previous_digest=_DIGEST,
        cause="unsupported",
        detail="the registry cannot delete a tag alone",
        retryable=False,
        attempts=1,
    ),
)

#: What people and tools tell about an image.
_TOLD: Final[tuple[Frozen, ...]] = (
    ScanCompleted(
        **_IMAGE,
        scanner="trivy 0.58.0",
        vulnerabilities=(
            Vulnerability(id=_CVE, severity="critical", score_tenths=100, component="xz-utils", version="5.6.0"),
        ),
        actor="ci",
        occurred_at=_NOW,
    ),
    ScanNoticed(
        **_IMAGE,
        tag=_DEV.tag,
        succeeded=True,
        scanner="trivy 0.58.0",
        counts={"critical": 1, "high": 0},
        occurred_at=_NOW,
    ),
    SbomSubmitted(**_IMAGE, format="cyclonedx 1.5", components=(_COMPONENT,), actor="ci"),
    VulnerabilityOverridden(
        **_IMAGE, vulnerability=_CVE, component="xz-utils", reason="sshd is not in this image", actor="security"
    ),
    OverrideRevoked(**_IMAGE, vulnerability=_CVE, component="xz-utils", reason="it is now", actor="security"),
    ApprovalGranted(**_IMAGE, policy=_POLICY, actor="ann", comment="tested by hand"),
    ApprovalRevoked(**_IMAGE, policy=_POLICY, approver="ann", actor="ann", comment="found a defect"),
    PromotionRequested(
        repository=_DEV.repository, tag=_DEV.tag, digest=_DIGEST, target=_QA, actor="ann", comment="hot fix"
    ),
)

#: From each type to a record of it.
EXAMPLES: Final[Mapping[str, Envelope[Frozen]]] = {
    type_of(envelope.data): envelope
    for envelope in (
        _envelope(_PUSHED, "towline/hooks/local", _DEV),
        _envelope(
            ImageHinted(repository=_DEV.repository, tag=_DEV.tag, actor="ci", occurred_at=_NOW),
            "towline/hooks/local",
            _DEV,
        ),
        _envelope(
            ImageObserved(
                repository=_DEV.repository,
                tag=_DEV.tag,
                digest=_DIGEST,
                command_id=_COMMAND_ID,
                cause="reconciliation",
            ),
            "towline/observer",
            _DEV,
        ),
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
            CopyImage(
                decision_id=_DECISION_ID,
                policy=_POLICY,
                source=_DEV,
                digest=_DIGEST,
                target=_QA,
                hops=1,
                pushed_by="ci",
            ),
            "towline/evaluator",
            _QA,
        ),
        _envelope(
            TransferCompleted(
                **_OUTCOME,
                **_GOING,
                previous_digest=_OLDER_DIGEST,
            ),
            "towline/transferrer",
            _QA,
        ),
        _envelope(
            TransferSkipped(**_OUTCOME, previous_digest=_REDUCED_DIGEST, reduced_digest=_REDUCED_DIGEST),
            "towline/transferrer",
            _QA,
        ),
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
        _envelope(
            RemoveTag(decision_id=_DECISION_ID, policy=_POLICY, source=_DEV, digest=_DIGEST, target=_QA, hops=1),
            "towline/evaluator",
            _QA,
        ),
        *(_envelope(data, "towline/transferrer", _QA) for data in _TRANSFERRED),
        _envelope(_DEAD_LETTER, "towline/deadletters", "towline.inbound/3/17"),
        _envelope(
            InputRequeued(letter_id=content_id("example", "input.rejected"), actor="ann", sent="delivery"),
            "towline/cli",
            "towline.inbound/3/17",
        ),
        # Its id is that of what is signed.
        Envelope(
            "092d0481c4f862558d213c07607377f996e3e9e1597b63a4520f9a4ce08fe19a",
            "towline/sealer",
            "towline.decisions/3",
            _NOW,
            _CHECKPOINT,
        ),
        *(_envelope(data, "towline/observer", subject) for data, subject in _OBSERVED),
        *(_envelope(data, "towline/cli", _DEV) for data in _TOLD),
        *(_envelope(data, source, subject) for data, source, subject in (*NOTIFIED, *ROLLED_BACK)),
        _envelope(
            SyncRequested(policy=_POLICY, source=SourcePattern.parse("local/dev/website"), actor="ann"),
            "towline/cli",
            "local/dev/website",
        ),
    )
}
