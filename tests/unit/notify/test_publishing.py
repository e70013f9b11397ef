"""Revisions of subscriptions in the core: one order, also with those that an end makes."""

from typing import Any

import pytest

from schemas.canonical import content_id
from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import SubscriptionsPublished
from tests.support.builders import pushed
from tests.support.subscriptions import (
    subscription,
    subscription_ended,
    subscriptions_proposed,
    subscriptions_published,
)
from towline.notify.publishing import revision_in_force
from towline.policy.step import MemoryState

HUB, CHAT = subscription("hub", "image.pushed"), subscription("chat", "image.pushed", receiver="chat")


class Publisher:
    """The partition of proposals, which gets its own publications."""

    def __init__(self) -> None:
        self.state = MemoryState()

    def take(self, *events: Envelope[Frozen]) -> list[SubscriptionsPublished]:
        """Take events, each followed by what it publishes, and return the publications."""
        found: list[Any] = []
        for event in events:
            announced = self.state.step(event).announcements
            found += [one.data for one in announced]
            for one in announced:
                self.state.step(one)
        return found


def named(published: SubscriptionsPublished) -> dict[str, str | None]:
    return {one.name: one.inactive for one in published.set.subscriptions}


def test_the_first_that_replaces_what_was_given_out_last_is_published() -> None:
    publisher = Publisher()
    proposal = subscriptions_proposed(HUB, actor="ann")
    (first,) = publisher.take(proposal)
    assert (first.revision, first.cause_id, first.actor) == (1, proposal.id, "ann")
    assert (first.set.subscriptions, first.digest) == ((HUB,), first.set.digest)
    assert publisher.take(proposal, subscriptions_proposed(CHAT, actor="bob")) == [], "repeated, and too late"
    assert publisher.take(subscriptions_proposed(CHAT, replaces=7)) == [], "nothing has that revision"
    assert [one.revision for one in publisher.take(subscriptions_proposed(CHAT, replaces=1))] == [2]


def test_whoever_takes_a_proposal_again_announces_the_same_bytes() -> None:
    (once,), (twice,) = (MemoryState().step(subscriptions_proposed(HUB)).announcements for _ in range(2))
    assert encode(once) == encode(twice)
    assert once.id == content_id("subscriptions.published", subscriptions_proposed(HUB).id, "1")


def test_policies_and_subscriptions_have_revisions_of_their_own() -> None:
    state = MemoryState()
    state.step(subscriptions_published(HUB, revision=4))
    assert [decision.data.revision for decision in state.step(pushed("local/dev/app:1", "one")).decisions] == [0]
    assert revision_in_force(state) == 4


def test_an_older_or_repeated_publication_changes_nothing() -> None:
    state = MemoryState()
    for event in (subscriptions_published(HUB, revision=2), subscriptions_published(CHAT, revision=1)):
        state.step(event)
    assert not state.step(subscriptions_published(CHAT, revision=2)).changes
    (given,) = state.step(pushed("local/dev/app:1", "one")).commands
    assert given.subject == "hub"


def test_an_end_makes_a_revision_in_which_that_subscription_alone_is_inactive() -> None:
    publisher = Publisher()
    publisher.take(subscriptions_proposed(HUB, CHAT))
    ended = subscription_ended("hub", revision=1, reason="the receiver answered 410")
    (second,) = publisher.take(ended)
    assert (second.revision, second.cause_id, second.actor) == (2, ended.id, ended.source)
    assert named(second) == {"hub": "the receiver answered 410", "chat": None}
    assert publisher.take(ended, subscription_ended("hub", revision=1, key="by another webhook")) == []
    (third,) = publisher.take(subscription_ended("chat", revision=1, receiver="chat", reason="gone"))
    assert (third.revision, named(third)) == (3, {"hub": "the receiver answered 410", "chat": "gone"})


def test_whoever_saw_a_revision_before_an_end_is_refused_and_applying_anew_begins_anew() -> None:
    publisher = Publisher()
    publisher.take(subscriptions_proposed(HUB), subscription_ended("hub", revision=1))
    assert publisher.take(subscriptions_proposed(HUB, CHAT, replaces=1)) == []
    (third,) = publisher.take(subscriptions_proposed(HUB, replaces=2))
    assert (third.revision, named(third)) == (3, {"hub": None})


@pytest.mark.parametrize("revision", [1, 2])
def test_what_was_applied_again_since_is_left_as_it_is(revision: int) -> None:
    publisher = Publisher()
    publisher.take(
        subscriptions_proposed(HUB, CHAT),
        subscription_ended("chat", revision=1, receiver="chat"),
        subscriptions_proposed(HUB, CHAT, replaces=2),
    )
    assert publisher.take(subscription_ended("hub", revision=revision)) == []
    assert [one.revision for one in publisher.take(subscription_ended("hub", revision=3))] == [4]


def test_the_end_of_what_is_not_there_or_has_another_receiver_changes_nothing() -> None:
    publisher = Publisher()
    assert publisher.take(subscription_ended("hub", revision=1)) == [], "nothing was published yet"
    publisher.take(subscriptions_proposed(HUB))
    ends = (subscription_ended("gone", revision=1), subscription_ended("hub", revision=1, receiver="chat"))
    assert publisher.take(*ends) == []


def test_an_end_before_a_publication_has_arrived_builds_on_what_was_given_out() -> None:
    state = MemoryState()
    state.step(subscriptions_proposed(HUB, CHAT))
    (announced,) = state.step(subscription_ended("hub", revision=1)).announcements
    assert isinstance(announced.data, SubscriptionsPublished)
    assert (announced.data.revision, named(announced.data)["chat"]) == (2, None)
