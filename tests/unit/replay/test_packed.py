"""The packed state is the state: whatever is put comes out, and the fold cannot tell the two apart."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from streams.replay.packed import PackedState
from tests.support.builders import at, digest
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY
from towline.policy.state.values import Change
from towline.policy.step import MemoryState, take

KEYS = st.one_of(
    st.text("abyz09 .:/@-_\x01\x7féß\u2603\U0001d11e", max_size=80),
    st.builds("{} local/dev/app@{}".format, st.sampled_from(["image", "facts"]), st.sampled_from("abc").map(digest)),
    st.just("image é@" + digest("a")),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text("az09é", max_size=5))
VALUES = st.dictionaries(st.sampled_from(["a", "b", "c", "names"]), st.one_of(LEAVES, st.lists(LEAVES, max_size=3)))


@given(st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=20))
def test_what_is_put_comes_out(puts: list[tuple[str, dict[str, object] | None]]) -> None:
    packed, plain = PackedState(), MemoryState()
    for key, value in puts:
        for state in (packed, plain):
            state.apply((Change(key, value),))
        assert packed.get(key) == plain.get(key)
    assert list(packed.items()) == sorted(plain.values.items())
    assert len(packed) == len(plain.values)


def test_a_fold_comes_out_the_same() -> None:
    packed, plain = PackedState(), MemoryState()
    for event in (*HISTORY, *AFTER_PUBLICATION):
        ours, theirs = take(packed, event), take(plain, event)
        assert ours == theirs
        packed.apply(ours.changes)
        plain.apply(theirs.changes)
    assert dict(packed.items()) == plain.values


def test_many_combinations_of_names_are_kept_with_their_values() -> None:
    state = PackedState()
    values = {f"key {number}": {f"name {number}": number} for number in range(1000)}
    state.apply(tuple(Change(key, value) for key, value in values.items()))
    assert dict(state.items()) == values


def test_a_value_takes_little_more_than_its_bytes() -> None:
    state, count = PackedState(), 2000
    keys = [f"image local/dev/app@{digest(str(number))}" for number in range(count)]
    value = {"first_seen_at": at(0), "media_type": None, "pushed_by": ["ci"], "waiting": [], "parents": []}
    state.apply((Change(f"image local/dev/app@{digest('before')}", value),))
    tracemalloc.start()
    try:
        for key in keys:
            state.apply((Change(key, value),))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / count < 500
