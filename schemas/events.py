"""Events: facts in the past tense. Everything a decision may look at is one of these."""

from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.commands import PollCause
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
from schemas.instants import Instant
from schemas.outcomes import Arrived, Outcome, Report
from schemas.patterns import SourcePattern
from schemas.policies import CopyOptions, PolicyName, PolicySet
from schemas.references import Actor, Count, Digest, Frozen, MediaType, Reference, Repository, Tag
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from schemas.webhooks import (
    SubscriptionEnded,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)

#: Tags of one page of a listing: as many as one event makes the evaluator judge (``judged_tag_count``).
LISTED_MAX: Final = 500

Revision = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""The number of a policy set: 0 is the empty set before the first publication."""


class ImagePushed(Frozen):
    """A tag was pushed: the repository now has this digest under this tag."""

    repository: Repository
    tag: Tag
    digest: Digest
    media_type: MediaType | None = None
    size: Count | None = None
    actor: Actor | None = None
    occurred_at: Instant | None = None


class ImageHinted(Frozen):
    """Something happened to a tag. What it has now, if it is there at all, only the registry can tell."""

    repository: Repository
    tag: Tag
    #: None too when nobody can know who sent the hint: a stranger could name anybody.
    actor: Actor | None = None
    occurred_at: Instant | None = None


ObservationCause = PollCause | Literal["hint"]
"""Why a tag was looked at: as part of a poll, or because of a hint at it."""


class ImageObserved(Frozen):
    """A repository was asked what it has: this digest under this tag."""

    repository: Repository
    tag: Tag
    digest: Digest
    media_type: MediaType | None = None
    size: Count | None = None
    #: The command that asked.
    command_id: str
    #: Why it was asked. What a reconciliation finds new was pushed, and no webhook told of it.
    cause: ObservationCause
    #: Who pushed it, when a hint told.
    actor: Actor | None = None


class TagsListed(Frozen):
    """One page of a complete listing: of the tags after ``after`` up to ``until``, the repository has exactly these."""

    #: The command that asked.
    command_id: str
    repository: Repository
    cause: PollCause
    #: The last tag of the page before, which is not in this one; None: from the beginning.
    after: Tag | None
    #: The last tag that the page tells of, there or not; None: to the end.
    until: Tag | None
    #: Sorted, each once.
    tags: Annotated[tuple[Tag, ...], Field(max_length=LISTED_MAX)]

    @model_validator(mode="after")
    def _is_a_page(self) -> Self:
        if any(one >= other for one, other in pairwise(self.tags)):
            raise ValueError("the tags of a page are sorted, and each is there once")
        if self.tags and (self.tags[0] <= (self.after or "") or (self.until or self.tags[-1]) < self.tags[-1]):
            raise ValueError("a tag is outside of the page")
        return self


class ImageDeleted(Frozen):
    """A tag, or everything under a digest, is gone from the repository."""

    repository: Repository
    tag: Tag | None = None
    digest: Digest | None = None
    actor: Actor | None = None
    occurred_at: Instant | None = None
    #: The command that looked for the tag and found none; None when somebody told of the deletion.
    command_id: str | None = None


class PolicyProposed(Frozen):
    """Someone wants a policy set in force, in place of the revision that they saw."""

    replaces: Revision
    set: PolicySet
    actor: Actor


class PolicyPublished(Frozen):
    """A proposal was accepted; this revision is in force from here on in this partition."""

    revision: Annotated[int, Field(ge=1, le=2**53 - 1)]
    digest: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
    set: PolicySet
    proposal_id: str
    actor: Actor


class ClockTicked(Frozen):
    """The log's clock: the only time that a decision knows of."""

    now: Instant


class TransferCompleted(Arrived):
    """The target tag now has the commanded digest, or the index of the wanted platforms, with everything under it."""

    bytes_copied: Count
    blobs_copied: Count
    blobs_mounted: Count
    blobs_skipped: Count


class TransferSkipped(Arrived):
    """Nothing was to be done: the target tag had what was commanded already, or is a later command's to write."""

    #: Why, for people; None when the target had it already.
    reason: str | None = None
    #: The later command for the same target tag: then this one was not carried out, and nothing arrived.
    superseded_by: str | None = None


class TransferFailed(Outcome):
    """The target tag keeps what it had; ``cause`` says why the copy could not be made."""

    cause: str
    detail: str
    retryable: bool
    attempts: Count


class TransferStarted(Report):
    """A transfer is under way. It decides nothing and ends nothing."""

    #: How much the image has in all, as far as that is known.
    manifests: Count | None = None
    blobs: Count | None = None
    bytes: Count | None = None


class TransferProgressed(Report):
    """How far a transfer has come. It decides nothing and ends nothing."""

    bytes_copied: Count
    blobs_copied: Count
    blobs_mounted: Count
    blobs_skipped: Count
    #: How much there is in all, as far as that is known; bytes without those of blobs that were mounted or skipped.
    blobs: Count | None = None
    bytes: Count | None = None


class TagRemoved(Outcome):
    """The target tag is gone; ``previous_digest`` is what it had."""


class RemovalSkipped(Outcome):
    """The target tag was left: it was gone, has a digest that is not ours to remove, or is a later command's."""

    #: Why, for people.
    reason: str
    #: The later command for the same target tag: then this one was not carried out.
    superseded_by: str | None = None


class RemovalFailed(Outcome):
    """The target tag is still there; ``cause`` says why it could not be removed."""

    cause: str
    detail: str
    retryable: bool
    attempts: Count


class PollCompleted(Frozen):
    """A repository was asked what it has; all its tags went before as observations.

    A glob ends with one more that names no repository: everything that it matches was asked.
    """

    command_id: str
    source: SourcePattern
    repository: Repository | None
    tags: Count
    #: What the repository has, as one number: the sum modulo 2^256 over all tags of the SHA-256 of the canonical bytes
    #: of ``[tag, digest]``, as hex digits. Tags that belong to a digest (cosign's, those of the referrers tag schema)
    #: are left out. None for a glob's last one, and when nobody added it up.
    contents: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")] | None = None


class PollFailed(Frozen):
    """A source could not be asked, or not to the end."""

    command_id: str
    source: SourcePattern
    cause: str
    detail: str
    retryable: bool
    attempts: Count


class RetriedTransfer(Frozen):
    """The command that failed, and what of it a repetition keeps."""

    command_id: str
    #: Whose decision it was.
    policy: str
    hops: Count
    options: CopyOptions
    pushed_by: Actor | None = None


class PromotionRequested(Frozen):
    """Someone wants an image at a target now, whatever the policies say; or wants again what failed."""

    repository: Repository
    tag: Tag
    digest: Digest
    target: Reference
    actor: Actor
    comment: Annotated[str, StringConstraints(max_length=4096)] = ""
    #: The failed transfer that is to be made again; None for a wish of its own.
    retries: RetriedTransfer | None = None


class SyncRequested(Frozen):
    """Someone wants the source of a policy asked now, whatever its interval."""

    policy: PolicyName
    source: SourcePattern
    actor: Actor


EventData = (
    ImagePushed
    | ImageHinted
    | ImageObserved
    | TagsListed
    | ImageDeleted
    | PolicyProposed
    | PolicyPublished
    | ClockTicked
    | TransferCompleted
    | TransferSkipped
    | TransferFailed
    | TransferStarted
    | TransferProgressed
    | TagRemoved
    | RemovalSkipped
    | RemovalFailed
    | ImageInspected
    | InspectionFailed
    | PollCompleted
    | PollFailed
    | ScanCompleted
    | ScanNoticed
    | SbomSubmitted
    | SignatureVerified
    | VulnerabilityOverridden
    | OverrideRevoked
    | ApprovalGranted
    | ApprovalRevoked
    | PromotionRequested
    | SyncRequested
    | RollbackRequested
    | RollbackApproved
    | DigestBarred
    | SubscriptionsProposed
    | SubscriptionsPublished
    | SubscriptionEnded
    | WebhookDelivered
    | WebhookFailed
)
