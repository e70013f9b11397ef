"""Whatever can be decoded, and whatever passes the check, the core takes: it decides and never raises."""

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import decode, encode
from schemas.envelope import Envelope
from schemas.policies import Policy, PolicySet
from schemas.references import Frozen
from tests.property.histories import history_of, timed
from tests.property.shaped import random_event
from tests.support.builders import policy, published, pushed
from tests.unit.policy.test_rules_table import ROWS
from towline.policy.check import problems_of
from towline.policy.step import MemoryState


def take(state: MemoryState, event: Envelope[Frozen]) -> None:
    step = state.step(event)
    for record in (*step.decisions, *step.commands, *step.announcements, *step.carried):
        assert decode(encode(record)) == record, "what is written can be read"


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_every_event_that_can_be_decoded_is_taken_in_every_state(seed: int, count: int) -> None:
    random, state = Random(seed), MemoryState()  # noqa: S311 - nothing is secret here
    for _ in range(count):
        event = random_event(random)
        assert decode(encode(event)) == event
        take(state, event)


rules = st.sampled_from([row[0] for row in ROWS])
policies = st.builds(
    lambda name, ends, tag, chosen, more: policy(name, *ends, *chosen, tag=tag, **more),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(
        [
            ("local/dev/app", "local/qa/app"),
            ("local/dev/*", "local/qa/{1}"),
            ("local/dev/**", "remote/{repository}"),
            ("local/qa/app", "remote/qa"),
        ]
    ),
    st.sampled_from(["%n", "%n-%Y%m%d", "%A_%j.%W-%n", "released"]),
    st.lists(rules, max_size=4),
    st.fixed_dictionaries(
        {
            "platforms": st.sampled_from([(), ("linux/amd64",), ("linux/arm64", "linux/arm")]),
            "mode": st.sampled_from(["enforce", "shadow", "disabled"]),
            "facts": st.sampled_from(["promotion", "always", "never"]),
            "initial_evaluation": st.booleans(),
            "poll": st.sampled_from([None, "1m"]),
        }
    ),
)
sets = (
    st.lists(policies, max_size=3, unique_by=lambda one: one.name)
    .map(lambda chosen: PolicySet(policies=tuple(chosen)))
    .filter(lambda chosen: problems_of(chosen, {"local", "remote"}) == [])
)


@given(sets, sets, st.lists(timed, max_size=15))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_every_set_that_passes_the_check_judges_every_history(
    first: PolicySet, second: PolicySet, play: list[tuple[tuple[Any, ...], int]]
) -> None:
    state = MemoryState()
    history = history_of(play)
    middle = len(history) // 2
    for event in (published(*first.policies, revision=90), *history[:middle]):
        take(state, event)
    for event in (published(*second.policies, revision=91), *history[middle:]):
        take(state, event)
    _each_finding_can_be_read(state, second.policies)


def _each_finding_can_be_read(state: MemoryState, chosen: tuple[Policy, ...]) -> None:
    """No rule that passed the check is refused when it is applied."""
    for number, one in enumerate(chosen):
        if one.source.repository is not None and one.mode != "disabled":
            made = state.step(pushed(f"{one.source}:{number}", "last", key=f"last {number}")).decisions
            details = [finding.detail or "" for decision in made for finding in decision.data.rules]
            assert not any("cannot be applied" in detail for detail in details)
