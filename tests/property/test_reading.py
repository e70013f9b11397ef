"""A record is read in one go where that is possible, and comes out as it does when it is read in steps."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_bytes
from schemas.catalogue import UnreadableRecordError, decode, encode
from schemas.envelope import Envelope
from schemas.examples import EXAMPLES
from schemas.references import Frozen

NAMES = sorted(EXAMPLES)
#: What a value may become; most of it fits nowhere.
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 2**53, 2**70, "", "a", "a\n", '","type":"clock.ticked","version":1}', [], {}, {"a": 1}]
)


def in_steps(value: bytes) -> Envelope[Frozen] | str:
    """Read a record that ends with a space, which none that is written canonically does."""
    return read(value + b" ")


def read(value: bytes) -> Envelope[Frozen] | str:
    """Return the record, or why it is none."""
    try:
        return decode(value)
    except UnreadableRecordError as error:
        return str(error)


@pytest.mark.parametrize("name", NAMES)
def test_every_type_comes_out_the_same(name: str) -> None:
    value = encode(EXAMPLES[name])
    assert decode(value) == in_steps(value) == EXAMPLES[name]


@given(st.sampled_from(NAMES), st.data())
def test_a_changed_record_comes_out_the_same_or_is_refused_for_the_same_reason(name: str, data: st.DataObject) -> None:
    record = json.loads(encode(EXAMPLES[name]))
    holder = data.draw(st.sampled_from([record, record["data"]]))
    member = data.draw(st.sampled_from(sorted({*holder, "version", "unknown"})))
    holder[member] = data.draw(VALUES)
    value = json.dumps(record, separators=(",", ":"), sort_keys=data.draw(st.booleans())).encode()
    assert read(value) == in_steps(value)


@given(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())
def test_of_members_that_are_there_twice_the_last_counts_both_times(name: str, other: str, is_data: bool) -> None:
    one, two = json.loads(encode(EXAMPLES[name])), json.loads(encode(EXAMPLES[other]))
    doubled = canonical_bytes(one["data"])[:-1] + b"," + canonical_bytes(two["data"])[1:]
    value = encode(EXAMPLES[other])
    value = (
        value.replace(canonical_bytes(two["data"]), doubled)
        if is_data
        else encode(EXAMPLES[name])[:-1] + b"," + value[1:]
    )
    assert read(value) == in_steps(value)
