"""Builders of subscriptions, their publications, and what became of webhooks. Deterministic, as the other builders."""

from typing import Any

from schemas.canonical import content_id
from schemas.envelope import Envelope
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
from tests.support.builders import envelope


def subscription(name: str, *events: str, repository: str | None = None, **more: Any) -> Subscription:
    """Return a subscription to these events, of all repositories unless one is given."""
    pattern = None if repository is None else SourcePattern.parse(repository)
    members = {"name": name, "receiver": "hub", "repository": pattern, "events": events, **more}
    return Subscription.model_validate(members)


def subscriptions_proposed(
    *subscriptions: Subscription, replaces: int = 0, actor: str = "operator", time: str | None = None
) -> Envelope[Frozen]:
    """Return the proposal of a set of subscriptions."""
    chosen = SubscriptionSet(subscriptions=subscriptions)
    data = SubscriptionsProposed(replaces=replaces, set=chosen, actor=actor)
    key = f"subscriptions {replaces} {chosen.digest} {actor}"
    return envelope(data, subject=f"subscriptions@{replaces + 1}", key=key, time=time)


def subscriptions_published(*subscriptions: Subscription, revision: int = 1) -> Envelope[Frozen]:
    """Return the publication of a set of subscriptions."""
    chosen = SubscriptionSet(subscriptions=subscriptions)
    cause = content_id("test", "subscriptions", str(revision))
    data = SubscriptionsPublished(revision=revision, digest=chosen.digest, set=chosen, cause_id=cause, actor="operator")
    key = f"published subscriptions {revision} {chosen.digest}"
    return envelope(data, subject=f"subscriptions@{revision}", key=key)


def subscription_ended(
    name: str, *, revision: int, receiver: str = "hub", reason: str = "the receiver answered 410", key: str = ""
) -> Envelope[Frozen]:
    """Return that a receiver wants to be told no more."""
    command_id = content_id("test", "webhook", name, key)
    data = SubscriptionEnded(
        subscription=name, receiver=receiver, command_id=command_id, revision=revision, reason=reason
    )
    return envelope(data, subject=name, key=f"ended {name} {revision} {receiver} {key}")


def webhook_delivered(command: Envelope[DeliverWebhook], *, time: str | None = None) -> Envelope[Frozen]:
    """Return that a webhook was delivered."""
    data = WebhookDelivered(**_members(command), attempts=1, status_code=204)
    return envelope(data, subject=command.subject, key=f"{command.id} outcome", time=time)


def webhook_failed(command: Envelope[DeliverWebhook], *, time: str | None = None) -> Envelope[Frozen]:
    """Return that a webhook was not delivered, after all attempts."""
    detail = "the receiver answered 503"
    data = WebhookFailed(
        **_members(command), attempts=11, status_code=503, cause="exhausted", detail=detail, retryable=True
    )
    return envelope(data, subject=command.subject, key=f"{command.id} outcome", time=time)


def _members(command: Envelope[DeliverWebhook]) -> dict[str, Any]:
    return {
        "command_id": command.id,
        "cause_id": command.data.cause_id,
        "subscription": command.data.subscription,
        "receiver": command.data.receiver,
    }
