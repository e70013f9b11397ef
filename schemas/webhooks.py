"""Webhooks out: who is told of what, and what became of telling it.

Subscriptions are documents in the log, published as whole sets like policies. A subscription names its receiver; where
that is, and the secrets with which it is told, is in the settings, so that no address with a secret in it and no
credential is in the log.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.canonical import canonical_bytes, sha256_hex
from schemas.patterns import SourcePattern
from schemas.policies import PolicyName
from schemas.references import Actor, Count, Frozen

#: Bounds of one set: its publication fits into one record of the log, and one event, on which hundreds of decisions may
#: be made, leads to no more webhooks than a worker holds in memory.
SUBSCRIPTIONS_MAX = 200
TEMPLATE_MAX = 4096
#: The largest body that is sent, in characters.
BODY_MAX = 256 * 1024

SubscriptionName = PolicyName
"""Unique in its set: lower-case letters, digits and hyphens, up to 63."""

ReceiverName = PolicyName
"""The name that the settings give an address to which webhooks are sent."""

Notified = Literal[
    "image.pushed",
    "image.deleted",
    "scan.completed",
    "scan.noticed",
    "decision.promote",
    "decision.mirror",
    "decision.hold",
    "decision.deny",
    "decision.ignore",
    "decision.remove",
    "transfer.completed",
    "transfer.skipped",
    "transfer.failed",
    "tag.removed",
    "removal.skipped",
    "removal.failed",
    "poll.failed",
]
"""What a receiver can be told of: an event by its type, or a decision by its verdict."""

WebhookFormat = Literal["cloudevents", "dtr", "text"]
"""CloudEvents 1.0 (structured), the envelope of Docker Trusted Registry, or one line of text for a chat."""

Revision = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Subscription(Frozen):
    """Who is told of what."""

    #: Unique in the file.
    name: SubscriptionName
    #: A receiver of the settings.
    receiver: ReceiverName
    #: REGISTRY/REPOSITORY, or a glob of repositories such as local/dev/*; of a transfer, source or target. None: all.
    repository: SourcePattern | None = None
    #: What it is told of.
    events: Annotated[tuple[Notified, ...], Field(min_length=1, max_length=32)]
    #: How it is told.
    format: WebhookFormat = "cloudevents"
    #: For format text: literal text with fields in braces, such as "{verdict}: {source}".
    template: Annotated[str, StringConstraints(min_length=1, max_length=TEMPLATE_MAX)] | None = None
    #: Why nothing is sent any more; None while it is told. Applying it without this begins anew.
    inactive: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None


class SubscriptionSet(Frozen):
    """All subscriptions in force together; published as one revision."""

    subscriptions: Annotated[tuple[Subscription, ...], Field(max_length=SUBSCRIPTIONS_MAX)] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the set's canonical bytes, as hex digits."""
        return sha256_hex(canonical_bytes(self.model_dump(mode="json")))


class SubscriptionsProposed(Frozen):
    """Someone wants a set of subscriptions in force, in place of the revision that they saw."""

    replaces: Revision
    set: SubscriptionSet
    actor: Actor


class SubscriptionsPublished(Frozen):
    """A set of subscriptions is in force from here on in this partition."""

    revision: Annotated[int, Field(ge=1, le=2**53 - 1)]
    digest: Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]
    set: SubscriptionSet
    #: The proposal that was accepted, or the end of a subscription that is not told any more.
    cause_id: str
    actor: Actor


class SubscriptionEnded(Frozen):
    """A receiver does not want to be told any more, or could not be for too long."""

    subscription: SubscriptionName
    receiver: ReceiverName
    #: The command in which it was seen.
    command_id: str
    #: The revision under which that was given: a subscription that was applied again since is left as it is.
    revision: Revision
    #: Why, for people.
    reason: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class DeliverWebhook(Frozen):
    """Tell a receiver of one event or decision. Its id is the webhook's: one for each subscription and cause."""

    #: The event or decision that is told.
    cause_id: str
    cause: Notified
    subscription: SubscriptionName
    receiver: ReceiverName
    #: The revision of the subscriptions in force.
    revision: Revision
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    #: What is sent, to the byte.
    body: Annotated[str, StringConstraints(min_length=1, max_length=BODY_MAX)]


class _Told(Frozen):
    command_id: str
    cause_id: str
    subscription: SubscriptionName
    receiver: ReceiverName
    attempts: Count


class WebhookDelivered(_Told):
    """The receiver answered that it has it."""

    status_code: Annotated[int, Field(ge=200, le=299)]


class WebhookFailed(_Told):
    """The receiver was not told, and no further attempt is made; ``cause`` says why."""

    #: The last answer; None when there was none.
    status_code: Annotated[int, Field(ge=100, le=599)] | None = None
    cause: str
    detail: str
    retryable: bool
