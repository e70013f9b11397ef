"""Canonical bytes are those of RFC 8785, as an independent implementation writes them."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_bytes, content_id

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
# Keys beyond the basic plane sort differently by UTF-16 unit and by code point.
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["\ufb33", "\U0001f600", "\u20ac", "\r", "1"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_without_floats_is_written_as_the_rfc_says(value: Any) -> None:
    data = canonical_bytes(value)
    assert data == rfc8785.dumps(value)
    assert json.loads(data) == value


@given(st.dictionaries(TEXTS, INTEGERS, max_size=8))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_bytes(dict(reversed(value.items()))) == canonical_bytes(value)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_ids_of_different_parts_differ(one: list[str], other: list[str]) -> None:
    assert (content_id(*one) == content_id(*other)) == (one == other)


@pytest.mark.parametrize("value", [{"a": {1, 2}}, b"bytes", {"a": object()}, {1: "a"}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_bytes(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**70])
def test_integers_that_json_readers_round_are_refused(value: int) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_bytes([value])
