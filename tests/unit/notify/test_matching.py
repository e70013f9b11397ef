"""Who is told of what: by event, by repository, and each of one cause once."""

from typing import Any, get_args

import pytest

from schemas.canonical import content_id
from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved
from schemas.references import Frozen, Reference
from schemas.webhooks import Notified
from tests.support.builders import (
    arrived,
    at,
    command,
    deleted,
    digest,
    envelope,
    failed,
    outcome,
    policy,
    published,
    pushed,
    removal,
    rule,
    skipped,
)
from tests.support.facts import observed, poll_failed, scanned
from tests.support.hints import hinted, looked, missing, noticed
from tests.support.subscriptions import subscription, subscriptions_published, webhook_delivered, webhook_failed
from tests.unit.notify.playing import Told

APP, QA = "local/dev/app", "local/qa/app"
EVERYTHING: tuple[str, ...] = get_args(Notified)


def removed(model: type[Any], **more: Any) -> Envelope[Frozen]:
    gone = removal(f"{APP}:1", f"{QA}:1", "one")
    data = model(**gone.data.outcome_members(gone.id), **more)
    return envelope(data, subject=f"{QA}:1", key=f"{model.__name__} {gone.id}")


COPY = command(f"{APP}:1", f"{QA}:1", "one")
OUTCOMES: dict[str, Envelope[Frozen]] = {
    "transfer.completed": arrived(f"{QA}:1", "one", hops=1),
    "transfer.skipped": outcome(skipped(COPY.id, COPY.data)),
    "transfer.failed": outcome(failed(COPY.id, COPY.data)),
    "tag.removed": removed(TagRemoved, previous_digest=digest("one")),
    "removal.skipped": removed(RemovalSkipped, reason="gone already"),
    "removal.failed": removed(RemovalFailed, cause="denied", detail="no", retryable=False, attempts=1),
}
#: One event for each thing that is told by itself.
TOLD: dict[str, Envelope[Frozen]] = {
    "image.pushed": pushed(f"{APP}:1", "one"),
    "scan.completed": scanned(APP, "one"),
    "scan.noticed": noticed(f"{APP}:1", "one"),
    "poll.failed": poll_failed(APP),
    **OUTCOMES,
}


@pytest.mark.parametrize("name", TOLD)
def test_an_event_is_told_once_to_who_subscribed_to_it_and_to_nobody_else(name: str) -> None:
    others = [other for other in EVERYTHING if other != name and not other.startswith("decision.")]
    told = Told(subscription("wants", name), subscription("others", *others))
    assert told.who(TOLD[name]) == [("wants", name)]
    assert told.who(TOLD[name]) == [], "a re-delivery"


def test_a_deletion_is_told_once_and_only_of_what_was_there() -> None:
    told = Told(subscription("wants", "image.deleted"))
    assert told.who(deleted(f"{APP}:1", key="too early")) == []
    gone = deleted(f"{APP}:1")
    assert told.who(pushed(f"{APP}:1", "one"), gone, gone) == [("wants", "image.deleted")]
    assert told.who(deleted(f"{APP}:1", key="told again by another")) == []


def test_what_a_look_or_a_comparison_finds_is_told_as_what_it_is() -> None:
    told = Told(subscription("wants", "image.pushed", "image.deleted"))
    told.take(published(policy("p", APP, QA)))
    assert told.who(hinted(f"{APP}:1"), looked(f"{APP}:1", "one", time=at(1))) == [("wants", "image.pushed")]
    assert told.who(missing(f"{APP}:1", key="gone", time=at(2))) == [("wants", "image.deleted")]
    lost = observed(f"{APP}:1", "two", cause="reconciliation", time=at(3))
    assert told.who(lost, lost) == [("wants", "image.pushed")]
    assert told.who(observed(f"{APP}:2", "two", cause="interval", key="a poll")) == [], "nobody should have told"


def test_what_is_known_is_not_told_again_by_the_registry_of_our_own_copy() -> None:
    told = Told(subscription("wants", "image.pushed", "transfer.completed"))
    copied = arrived(f"{QA}:1", "one", hops=1)
    assert told.who(copied, pushed(f"{QA}:1", "one", actor="towline")) == [("wants", "transfer.completed")]


def test_decisions_are_told_by_verdict_the_negative_ones_and_those_in_shadow_too() -> None:
    policies = (
        policy("stable", APP, QA, rule("ends-with", "-stable")),
        policy("away", APP, "remote/app", mode="shadow"),
    )
    told = Told(*(subscription(verdict, f"decision.{verdict}") for verdict in ("promote", "mirror", "deny", "ignore")))
    told.take(published(*policies))
    assert told.who(pushed(f"{APP}:1", "one")) == [("mirror", "decision.mirror"), ("deny", "decision.deny")]
    assert ("promote", "decision.promote") in told.who(pushed(f"{APP}:1-stable", "one"))
    assert told.who(pushed("local/other/app:1", "one")) == [("ignore", "decision.ignore")]
    modes = [body["data"]["mode"] for body in told.bodies(pushed(f"{APP}:2", "two"))]  # type: ignore[index]
    assert modes == ["shadow", "enforce"]


@pytest.mark.parametrize(
    ("repository", "is_told"),
    [
        (None, True),
        (APP, True),
        (QA, True),
        ("local/dev/*", True),
        ("local/**", True),
        ("local/*/app", True),
        ("local/dev/tool", False),
        ("local/*", False),
        ("remote/dev/app", False),
    ],
)
@pytest.mark.parametrize("name", ["transfer.failed", "tag.removed", "decision.promote"])
def test_a_transfer_and_a_decision_are_about_their_source_and_their_target(
    name: str, repository: str | None, is_told: bool
) -> None:
    told = Told(subscription("wants", name, repository=repository))
    told.take(published(policy("p", APP, QA)))
    event = OUTCOMES.get(name) or pushed(f"{APP}:9", "nine")
    assert bool(told.take(event)) == is_told


@pytest.mark.parametrize(
    ("repository", "is_told"), [("local/dev/app", True), ("local/qa/*", False), ("local/**", True)]
)
def test_a_glob_that_could_not_be_asked_is_about_all_that_it_may_match(repository: str, is_told: bool) -> None:
    told = Told(subscription("wants", "poll.failed", repository=repository))
    assert bool(told.take(poll_failed("local/dev/*"))) == is_told


def test_a_scan_that_a_promotion_carries_along_is_told_where_it_was_made_only() -> None:
    told = Told(subscription("wants", "scan.completed"))
    carried = scanned(QA, "one", carried_from=Reference.parse(f"{APP}:1"))
    assert told.who(scanned(APP, "one"), carried) == [("wants", "scan.completed")]


def test_webhooks_are_never_told_by_webhooks() -> None:
    told = Told(subscription("wants", *EVERYTHING))
    (given,) = told.take(scanned(APP, "one"))
    assert told.take(webhook_delivered(given), webhook_failed(given)) == []


def test_the_id_is_of_the_subscription_and_the_cause_alone() -> None:
    push = pushed(f"{APP}:1", "one")
    one = Told(subscription("wants", "image.pushed"))
    other = Told(subscription("wants", "image.pushed", receiver="elsewhere", format="text", template="x"))
    (given,), (alike,) = one.take(push), other.take(push)
    assert given.id == alike.id == content_id("webhook.deliver", "wants", push.id)
    assert (given.data.cause_id, given.data.revision, given.time) == (push.id, 1, push.time)


def test_subscriptions_are_told_in_the_order_of_their_names_and_inactive_ones_are_not() -> None:
    told = Told(
        subscription("c", "image.pushed"),
        subscription("a", "image.pushed"),
        subscription("b", "image.pushed", inactive="it answered 410"),
    )
    assert told.who(pushed(f"{APP}:1", "one")) == [("a", "image.pushed"), ("c", "image.pushed")]


def test_of_equal_names_and_repeated_events_that_no_check_saw_one_is_told() -> None:
    told = Told(subscription("a", "image.pushed", "image.pushed"), subscription("a", "image.pushed", receiver="other"))
    assert [command.data.receiver for command in told.take(pushed(f"{APP}:1", "one"))] == ["hub"], "the first"


def test_a_redelivery_is_not_told_to_who_subscribed_since() -> None:
    told = Told()
    told.take(*TOLD.values())
    told.take(subscriptions_published(subscription("late", *EVERYTHING), revision=2))
    assert told.take(*TOLD.values()) == []


def test_without_subscriptions_nothing_is_kept_and_the_bytes_are_as_ever() -> None:
    told = Told()
    told.state.values.clear()
    for event in TOLD.values():
        assert told.take(event) == []
    assert not [key for key in told.state.values if key.startswith("told ")]


def test_equal_steps_give_equal_bytes() -> None:
    def played() -> list[bytes]:
        told = Told(
            subscription("wants", *EVERYTHING), subscription("too", *EVERYTHING, format="text", template="{id}")
        )
        return [encode(command) for command in told.take(*TOLD.values())]

    assert played() == played()
    assert len(played()) >= 2 * len(TOLD)
