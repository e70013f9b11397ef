"""Subscriptions in the log: publishing sets, reading which one is in force, and how each subscription fares."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.instants import format_instant
from schemas.references import Frozen
from schemas.webhooks import (
    DeliverWebhook,
    Subscription,
    SubscriptionSet,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)
from streams.history import recorded
from streams.log import EventLog, ReadableLog
from streams.publication import PROPOSAL_SOURCE, Documents, Progress, Proposal, newest, propose
from streams.topics import COMMANDS, EVENTS, partition_for, subscription_key

SUBSCRIPTIONS: Final = Documents(
    SubscriptionsPublished,
    lambda published: published.cause_id,
    shown_by="towline webhook show",
    listed_by="towline webhook list",
    smaller="let a subscription with a glob as its repository stand for many",
)


@dataclass(frozen=True, slots=True)
class InForce:
    """The subscriptions in force."""

    revision: int
    subscriptions: SubscriptionSet
    #: When and by whom; None before the first publication.
    published: Envelope[SubscriptionsPublished] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A webhook that was not delivered."""

    time: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a subscription fares. Instants are those of the log."""

    subscription: Subscription
    last_success: str | None
    last_failure: Failure | None
    #: How many webhooks were delivered, were not, and wait for their turn or their next attempt.
    delivered: int
    failed: int
    waiting: int


async def subscriptions_in_force(log: ReadableLog) -> InForce:
    """Return the newest published set, as the partition of proposals has it."""
    published = await newest(log, SUBSCRIPTIONS)
    if published is None:
        return InForce(0, SubscriptionSet())
    return InForce(published.data.revision, published.data.set, published)


async def publish_subscriptions(
    log: EventLog,
    subscriptions: SubscriptionSet,
    *,
    replaces: int,
    actor: str,
    timeout_seconds: float,
    progress: Progress = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> int:
    """Propose a set of subscriptions in place of revision ``replaces``; see :func:`streams.publication.propose`."""
    now = format_instant(datetime.now(UTC))
    event = Envelope(
        id=content_id("subscriptions.proposed", str(replaces), subscriptions.digest, actor, now),
        source=PROPOSAL_SOURCE,
        subject=f"subscriptions@{replaces + 1}",
        time=now,
        data=SubscriptionsProposed(replaces=replaces, set=subscriptions, actor=actor),
    )
    return await propose(log, SUBSCRIPTIONS, Proposal(event, replaces), timeout_seconds, progress)


class _Record:
    """What the log tells of the webhooks of one subscription; what a crash repeated counts once."""

    def __init__(self) -> None:
        #: The ids of commands, and of those that have an end.
        self.given: set[str] = set()
        self.ended: set[str] = set()
        self.delivered = 0
        self.last_success: str | None = None
        self.last_failure: Failure | None = None

    def end(self, data: WebhookDelivered | WebhookFailed, time: str) -> None:
        """Take the end of a command."""
        if data.command_id in self.ended:
            return
        self.ended.add(data.command_id)
        if isinstance(data, WebhookDelivered):
            self.delivered += 1
            self.last_success = max(self.last_success or "", time)
        elif self.last_failure is None or time > self.last_failure.time:
            self.last_failure = Failure(time, data.cause, data.detail)


async def statuses(
    log: EventLog,
    subscriptions: SubscriptionSet,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> list[Status]:
    """Return how each subscription of a set fares, in its order.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    known = {one.name: _Record() for one in subscriptions.subscriptions}
    partitions = {topic: await log.partitions(topic) for topic in (COMMANDS, EVENTS)}
    todo = [
        (topic, partition)
        for topic, count in partitions.items()
        for partition in sorted({partition_for(subscription_key(name), count) for name in known})
    ]
    for done, (topic, partition) in enumerate(todo):
        progress(done, len(todo))
        async for item in recorded(log, topic, partition):
            _take(known, item.envelope)
    return [_status(one, known[one.name]) for one in subscriptions.subscriptions]


def _take(known: dict[str, _Record], record: Envelope[Frozen]) -> None:
    match record.data:
        case DeliverWebhook() as data if data.subscription in known:
            known[data.subscription].given.add(record.id)
        case WebhookDelivered() | WebhookFailed() as data if data.subscription in known:
            known[data.subscription].end(data, record.time)


def _status(subscription: Subscription, found: _Record) -> Status:
    return Status(
        subscription,
        found.last_success,
        found.last_failure,
        found.delivered,
        len(found.ended) - found.delivered,
        len(found.given - found.ended),
    )
