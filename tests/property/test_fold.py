"""The fold, over random histories: against a naive model, under re-deliveries, and by prefixes."""

import os
import subprocess
import sys
from typing import Any

import orjson
from hypothesis import example as known_example
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.canonical import canonical_bytes
from schemas.catalogue import encode
from schemas.commands import ResolveTag
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.property.histories import REPOSITORIES, SETS, TAGS, histories, history_of, plays, undoings, vanishings
from tests.property.naive import Naive
from tests.support.builders import arrived, published, pushed, ticked
from tests.support.facts import scanned
from tests.support.rollbacks import back, barred, rollback_approved, rollback_requested
from towline.policy.step import MemoryState, Step

Play = list[tuple[tuple[Any, ...], int]]


def bytes_of(step: Step) -> list[bytes]:
    return [encode(record) for record in (*step.decisions, *step.commands, *step.announcements, *step.carried)]


def decisions(history: list[Envelope[Frozen]]) -> list[bytes]:
    state = MemoryState()
    return [line for event in history for line in bytes_of(state.step(event))]


@given(plays)
# A look finds nothing where nothing was known; what a poll saw before it comes later.
@known_example([(("miss", "local/dev/app:2", 0), 0), (("observe", "local/dev/app:2", "one", 3600), 0)])
@settings(max_examples=150, deadline=None)
def test_the_core_decides_as_a_naive_model_does(play: Play) -> None:
    decide_as_the_naive_model(play)


@given(vanishings)
@settings(max_examples=100, deadline=None)
def test_targets_follow_what_vanishes_as_in_a_naive_model(play: Play) -> None:
    decide_as_the_naive_model(play)


@given(undoings)
@settings(max_examples=150, deadline=None)
def test_what_is_rolled_back_and_barred_is_decided_as_in_a_naive_model(play: Play) -> None:
    decide_as_the_naive_model(play)


def decide_as_the_naive_model(play: Play) -> None:
    state, naive = MemoryState(), Naive()
    for event in history_of(play):
        step = state.step(event)
        made = [item.data for item in step.decisions]
        found = {
            (str(item.source), item.policy, item.verdict, None if item.target is None else str(item.target))
            for item in made
        }
        assert len(made) == len(found), "nothing is decided twice with one event"
        must, may = naive.take(event)
        assert found - may == must, event.data
        naive.note(found - must)
        looks = [str(item.data.repository) for item in step.commands if isinstance(item.data, ResolveTag)]
        assert looks == naive.looked_at(event)


@given(histories, st.data())
@settings(max_examples=100, deadline=None)
def test_redelivered_events_change_neither_decisions_nor_state(play: Play, data: st.DataObject) -> None:
    history = history_of(play)
    noisy: list[Envelope[Frozen]] = []
    for event in history:
        noisy.append(event)
        # Within the window: at most a few events back.
        noisy += data.draw(st.lists(st.sampled_from(noisy[-5:]), max_size=2))
    once, twice = MemoryState(), MemoryState()
    first = [line for event in history for line in bytes_of(once.step(event))]
    second = [line for event in noisy for line in bytes_of(twice.step(event))]
    assert first == second
    assert once.values == twice.values


@given(histories, st.integers(0, 18))
@settings(max_examples=100, deadline=None)
def test_the_decisions_of_a_prefix_are_a_prefix_of_the_decisions(play: Play, cut: int) -> None:
    history = history_of(play)
    prefix = decisions(history[:cut])
    assert decisions(history)[: len(prefix)] == prefix


@given(histories)
@settings(max_examples=100, deadline=None)
def test_a_state_that_was_written_and_read_decides_as_one_in_memory(play: Play) -> None:
    kept, read = MemoryState(), MemoryState()
    for event in history_of(play):
        assert bytes_of(kept.step(event)) == bytes_of(read.step(event))
        read = MemoryState({key: orjson.loads(canonical_bytes(value)) for key, value in read.values.items()})


@given(histories)
@settings(max_examples=100, deadline=None)
def test_what_waits_is_found_by_its_digest_and_its_time_and_nothing_else_is(play: Play) -> None:
    state = MemoryState()
    for event in history_of(play):
        state.step(event)
    entries = [(*key.split(" ", 1), value) for key, value in state.values.items() if " " in key]
    tags = [(*name.rsplit(":", 1), value) for kind, name, value in entries if kind == "tag" and value["pending"]]
    images = [(name, tag) for kind, name, value in entries if kind == "image" for tag in value["waiting"]]
    assert sorted(images) == sorted((f"{repository}@{value['digest']}", tag) for repository, tag, value in tags)
    timers = {
        f"{name.partition(' page ')[0]} {reference}"
        for kind, name, value in entries
        if kind == "timers" and " page " in name
        for reference in value["names"]
    }
    for repository, tag, value in tags:
        dues = [due for _, due in value["pending"].values() if due is not None]
        assert timers >= {f"{due} {repository}:{tag}" for due in dues}


def example() -> list[Envelope[Frozen]]:
    undone = rollback_requested(back("local/qa/app:1-stable", "one", "two"), by="ann", approvals=3)
    return [
        published(*SETS[2]),
        *(pushed(f"{repository}:{tag}", tag) for repository in REPOSITORIES for tag in TAGS),
        arrived("local/qa/app:1-stable", "one", hops=1),
        *(scanned(repository, tag) for repository in REPOSITORIES for tag in TAGS),
        ticked(7200),
        barred("remote/app", "1-stable"),
        undone,
        *(rollback_approved(undone, by=by) for by in ("dave", "ann", "carol", "bob")),
    ]


def test_another_hash_seed_and_time_zone_make_the_same_bytes() -> None:
    program = (
        "from tests.property.test_fold import decisions, example; import sys; "
        "sys.stdout.buffer.write(b'\\n'.join(decisions(example())))"
    )
    expected = b"\n".join(decisions(example()))
    assert expected.count(b"\n") >= 10
    for seed, zone in (("0", "UTC"), ("1", "Asia/Kathmandu"), ("4711", "America/St_Johns")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        found = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, timeout=60, env=environment
        )
        assert found.stdout == expected
