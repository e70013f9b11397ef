"""Webhooks over random histories: who is told of what, each once by id, whatever is delivered again or dies."""

import re
from collections.abc import Iterator
from typing import Any, cast, get_args

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.canonical import canonical_bytes, content_id
from schemas.catalogue import encode
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, Notified, Subscription
from tests.property.histories import REPOSITORIES, histories, history_of
from tests.support.builders import command, failed, outcome
from tests.support.facts import poll_failed
from tests.support.hints import noticed
from tests.support.subscriptions import subscription, subscriptions_published
from towline.policy.step import MemoryState, Step

Play = list[tuple[tuple[Any, ...], int]]

names = st.sampled_from(get_args(Notified))
repositories = st.sampled_from([None, *REPOSITORIES, "local/*/app", "local/**", "remote/*", "local/dev/t*"])
formats = st.sampled_from(
    [{"format": "cloudevents"}, {"format": "dtr"}, {"format": "text", "template": "{id} {reason}"}]
)
one = st.builds(
    lambda name, events, repository, more, inactive: subscription(
        name, *events, repository=repository, inactive=inactive, **more
    ),
    st.sampled_from(["a", "b", "c", "d"]),
    st.lists(names, min_size=1, max_size=12),
    repositories,
    formats,
    st.sampled_from([None, None, None, "it answered 410"]),
)
sets = st.lists(one, max_size=4, unique_by=lambda item: item.name)


def more_events(number: int) -> list[Envelope[Frozen]]:
    """Return events that the fold does not remember, each another with each number."""
    copy = command("local/dev/app:1", "local/qa/app:1", "one", key=f"copy {number}")
    return [
        outcome(failed(copy.id, copy.data)),
        noticed("local/dev/app:1", "one", key=str(number)),
        poll_failed("local/dev/app", key=str(number)),
    ]


@st.composite
def told_histories(draw: st.DrawFn) -> list[Envelope[Frozen]]:
    """Return a history under subscriptions, which change amid it."""
    found: list[Envelope[Frozen]] = [subscriptions_published(*draw(sets))]
    for number, event in enumerate(history_of(draw(histories))):
        found.append(event)
        if draw(st.integers(0, 3)) == 0:
            found.append(draw(st.sampled_from(more_events(number))))
        if draw(st.integers(0, 5)) == 0:
            found.append(subscriptions_published(*draw(sets), revision=number + 2))
    return found


def webhooks(step: Step) -> list[Envelope[DeliverWebhook]]:
    return [cast("Envelope[DeliverWebhook]", item) for item in step.commands if isinstance(item.data, DeliverWebhook)]


@given(told_histories())
@settings(max_examples=100, deadline=None)
def test_each_subscription_and_cause_has_one_webhook_and_one_id(history: list[Envelope[Frozen]]) -> None:
    state, seen = MemoryState(), set()
    for event in history:
        for item in webhooks(state.step(event)):
            pair = (item.data.subscription, item.data.cause_id)
            assert pair not in seen
            seen.add(pair)
            assert item.id == content_id("webhook.deliver", *pair)


@given(told_histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_redelivered_events_lead_to_no_other_webhooks(history: list[Envelope[Frozen]], data: st.DataObject) -> None:
    noisy: list[Envelope[Frozen]] = []
    for event in history:
        noisy.append(event)
        noisy += data.draw(st.lists(st.sampled_from(noisy[-5:]), max_size=2))
    once, twice = MemoryState(), MemoryState()
    first = [encode(item) for event in history for item in webhooks(once.step(event))]
    second = [encode(item) for event in noisy for item in webhooks(twice.step(event))]
    assert first == second
    assert once.values == twice.values


@given(told_histories())
@settings(max_examples=100, deadline=None)
def test_whoever_takes_an_event_again_after_a_crash_gives_the_same_bytes(history: list[Envelope[Frozen]]) -> None:
    state = MemoryState()
    for event in history:
        # What a process that dies before its state is written has sent already.
        before = {key: orjson.loads(canonical_bytes(value)) for key, value in state.values.items()}
        lost = [encode(item) for item in webhooks(MemoryState(before).step(event))]
        assert [encode(item) for item in webhooks(state.step(event))] == lost


@given(told_histories())
@settings(max_examples=100, deadline=None)
def test_decisions_are_told_to_exactly_who_a_naive_reader_of_the_set_says(history: list[Envelope[Frozen]]) -> None:
    state: MemoryState = MemoryState()
    in_force: tuple[Subscription, ...] = ()
    for event in history:
        step = state.step(event)
        if event.subject.startswith("subscriptions@"):
            in_force = event.data.set.subscriptions  # type: ignore[attr-defined]
        ids = {decision.id for decision in step.decisions}
        told = {(item.data.subscription, item.data.cause_id) for item in webhooks(step) if item.data.cause_id in ids}
        expected = {
            (item.name, decision.id) for decision in step.decisions for item in wanting(in_force, decision.data)
        }
        assert told == expected


def wanting(subscriptions: tuple[Subscription, ...], decision: Decision) -> Iterator[Subscription]:
    ends = [decision.source, *([decision.target] if decision.target else [])]
    for item in subscriptions:
        is_asked = f"decision.{decision.verdict}" in item.events and item.inactive is None and item.format != "dtr"
        if is_asked and any(covers(item, str(end.repository)) for end in ends):
            yield item


def covers(item: Subscription, repository: str) -> bool:
    if item.repository is None:
        return True
    parts = {"**": ".+", "*": "[^/]*"}
    pattern = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", str(item.repository)))
    return re.fullmatch(pattern, repository) is not None
