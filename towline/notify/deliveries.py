"""The commands to tell receivers: one for each subscription and cause, by id.

A pure function of the event or decision and of the subscriptions in force: whoever takes the event again after a crash
gives the same commands, to the byte, and a re-delivery gives none.
"""

from schemas.canonical import content_id
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, Subscription
from towline.notify.bodies import Bodies, Body
from towline.notify.causes import Cause, causes_of
from towline.notify.index import subscriptions_in_force
from towline.policy.agenda import Agenda
from towline.policy.judge import DECISION_SOURCE
from towline.policy.state.values import Draft


def deliveries(
    draft: Draft, event: Envelope[Frozen], agenda: Agenda, decisions: tuple[Envelope[Decision], ...]
) -> tuple[Envelope[DeliverWebhook], ...]:
    """Return the commands to tell of an event and its decisions whoever subscribed to them."""
    revision, index = subscriptions_in_force(draft)
    if revision == 0:
        return ()
    found = []
    for cause in causes_of(draft, event, agenda, decisions):
        bodies = Bodies(cause)
        for subscription in index.wanting(cause):
            body = bodies.of(subscription)
            if body is not None:
                found.append(_delivery(cause, subscription, revision, body, event.time))
    return tuple(found)


def _delivery(
    cause: Cause, subscription: Subscription, revision: int, body: Body, time: str
) -> Envelope[DeliverWebhook]:
    return Envelope(
        id=content_id("webhook.deliver", subscription.name, cause.record.id),
        source=DECISION_SOURCE,
        subject=subscription.name,
        time=time,
        data=DeliverWebhook(
            cause_id=cause.record.id,
            cause=cause.name,
            subscription=subscription.name,
            receiver=subscription.receiver,
            revision=revision,
            content_type=body.content_type,
            body=body.text,
        ),
    )
