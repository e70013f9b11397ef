"""The examples of what is about webhooks out, see :mod:`schemas.examples`."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.canonical import content_id
from schemas.patterns import SourcePattern
from schemas.references import Frozen
from schemas.webhooks import (
    DeliverWebhook,
    Subscription,
    SubscriptionEnded,
    SubscriptionSet,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)

_PROPOSAL_ID: Final = content_id("example", "proposal of subscriptions")
_DECISION_ID: Final = content_id("example", "decision")
_COMMAND_ID: Final = content_id("example", "webhook")
_SUBSCRIPTIONS: Final = SubscriptionSet(
    subscriptions=(
        Subscription(
            name="release-chat",
            receiver="chat",
            repository=SourcePattern.parse("local/qa/*"),
            events=("transfer.completed", "decision.deny"),
            format="text",
            template="{verdict}: {source}",
        ),
    )
)

_WEBHOOK: Final[Mapping[str, Any]] = {
    "cause_id": _DECISION_ID,
    "subscription": "release-chat",
    "receiver": "chat",
}

#: Who is told, and what became of it: the data, who told it, and of what.
NOTIFIED: Final[tuple[tuple[Frozen, str, str], ...]] = (
    (
        SubscriptionsProposed(replaces=0, set=_SUBSCRIPTIONS, actor="operator"),
        "towline/cli",
        "subscriptions@1",
    ),
    (
        SubscriptionsPublished(
            revision=1, digest=_SUBSCRIPTIONS.digest, set=_SUBSCRIPTIONS, cause_id=_PROPOSAL_ID, actor="operator"
        ),
        "towline/publisher",
        "subscriptions@1",
    ),
    (
        SubscriptionEnded(
            subscription="release-chat",
            receiver="chat",
            command_id=_COMMAND_ID,
            revision=1,
            reason="the receiver answered 410 Gone",
        ),
        "towline/notifier",
        "release-chat",
    ),
    (
        DeliverWebhook(
            **_WEBHOOK,
            cause="decision.deny",
            revision=1,
            content_type="application/json",
            body='{"text":"deny: local/dev/website:1.0-stable"}',
        ),
        "towline/evaluator",
        "release-chat",
    ),
    (
        WebhookDelivered(**_WEBHOOK, command_id=_COMMAND_ID, attempts=1, status_code=200),
        "towline/notifier",
        "release-chat",
    ),
    (
        WebhookFailed(
            **_WEBHOOK,
            command_id=_COMMAND_ID,
            attempts=9,
            status_code=503,
            cause="exhausted",
            detail="the receiver answered 503 to all attempts",
            retryable=True,
        ),
        "towline/notifier",
        "release-chat",
    ),
)
