"""Publications of subscriptions: one order of revisions, as of policy sets (:mod:`towline.policy.publish`).

Beside proposals, the end of a subscription makes a revision: the same set with that subscription ``inactive``. Both
come to one partition, so that whichever is first there is first everywhere.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import (
    SubscriptionEnded,
    SubscriptionSet,
    SubscriptionsProposed,
    SubscriptionsPublished,
)
from towline.policy.agenda import NOTHING, Agenda
from towline.policy.publish import PUBLISHER_SOURCE
from towline.policy.state.values import Draft, StateView

#: The revision in force: ``{"revision": 3, "digest": "…"}``. Small, because every event reads it.
REVISION_KEY: Final = "subscriptions"
#: The set in force, as in :class:`schemas.webhooks.SubscriptionSet`.
SET_KEY: Final = "subscription-set"
#: What was given out last, and the last revision that somebody applied: ``{"revision": 3, "applied": 2, "set": {…}}``.
#: Only in the partition that takes proposals.
GIVEN_KEY: Final = "subscriptions-given"


_NOBODY: Final = SubscriptionSet()


@dataclass(frozen=True, slots=True)
class Given:
    """The revision that was given out last in the partition of proposals."""

    revision: int = 0
    #: The last revision that a proposal made: all subscriptions began anew with it.
    applied: int = 0
    subscriptions: SubscriptionSet = _NOBODY

    @classmethod
    def read(cls, state: StateView) -> "Given":
        """Return what was given out last; revision 0, the empty set, before the first."""
        value = state.get(GIVEN_KEY)
        if value is None:
            return cls()
        return cls(value["revision"], value["applied"], SubscriptionSet.model_validate_json(orjson.dumps(value["set"])))


def take_cause(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Note the revision that a proposal, or the end of a subscription, makes; a re-delivery makes none."""
    following = _following(draft, event)
    if following is not None:
        members = following.subscriptions.model_dump(mode="json")
        draft.put(GIVEN_KEY, {"revision": following.revision, "applied": following.applied, "set": members})
    return NOTHING


def take_publication(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Bring a published set into force in this partition; an older or repeated revision changes nothing."""
    data = event.data
    if isinstance(data, SubscriptionsPublished) and data.revision > revision_in_force(draft):
        # The digest is taken from the set itself: whatever the record claims, equal digests must be equal sets.
        draft.put(REVISION_KEY, {"revision": data.revision, "digest": data.set.digest})
        draft.put(SET_KEY, data.set.model_dump(mode="json"))
    return NOTHING


def revision_in_force(state: StateView) -> int:
    """Return the revision in force in this partition; 0 before the first publication."""
    value = state.get(REVISION_KEY)
    return 0 if value is None else int(value["revision"])


def announce_subscriptions(state: StateView, event: Envelope[Frozen]) -> tuple[Envelope[SubscriptionsPublished], ...]:
    """Return the publication that an event causes, to be sent to every partition, given the state before it."""
    following = _following(state, event)
    if following is None:
        return ()
    published = SubscriptionsPublished(
        revision=following.revision,
        digest=following.subscriptions.digest,
        set=following.subscriptions,
        cause_id=event.id,
        actor=event.data.actor if isinstance(event.data, SubscriptionsProposed) else event.source[:256],
    )
    return (
        Envelope(
            id=content_id("subscriptions.published", event.id, str(following.revision)),
            source=PUBLISHER_SOURCE,
            subject=f"subscriptions@{following.revision}",
            time=event.time,
            data=published,
        ),
    )


def _following(state: StateView, event: Envelope[Frozen]) -> Given | None:
    """Return the revision that an event makes, or None."""
    data = event.data
    if isinstance(data, SubscriptionsProposed):
        given = Given.read(state)
        if data.replaces != given.revision:
            return None
        return Given(given.revision + 1, given.revision + 1, data.set)
    return _without(Given.read(state), data) if isinstance(data, SubscriptionEnded) else None


def _without(given: Given, data: SubscriptionEnded) -> Given | None:
    # What was applied since may have another receiver, or one that was put right.
    if data.revision < given.applied:
        return None
    found = tuple(
        one.model_copy(update={"inactive": data.reason})
        if one.name == data.subscription and one.receiver == data.receiver and one.inactive is None
        else one
        for one in given.subscriptions.subscriptions
    )
    if found == given.subscriptions.subscriptions:
        return None
    return Given(given.revision + 1, given.applied, SubscriptionSet(subscriptions=found))
