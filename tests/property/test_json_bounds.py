"""The strict reader takes what every reader takes alike, and fails only by saying so (E05, S11)."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from towline import limits
from towline.dialects.jsonbytes import read_json
from towline.errors import UnusableInputError

MAX = 1024 * 1024

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
#: Pieces that are JSON in some order and nearly so in others.
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"\\",
                b"\\u",
                b"d800",
                b"0000",
                b":",
                b",",
                b'"a":',
                b"1",
                b"-",
                b"e9",
                b" ",
            ),
            *(b"NaN", b"true", b"null", b"\xff", b"\xef\xbb\xbf", b"\x00", b"Infinity", b"1e999", b"9" * 30, b'"a"'),
        ]
    ),
    max_size=40,
).map(b"".join)


def refusal(body: bytes, max_depth: int = limits.json_depth) -> str | None:
    """Why ``body`` is refused; None when it is read."""
    try:
        read_json(body, MAX, max_depth)
    except UnusableInputError as error:
        return str(error)
    return None


@given(VALUES, st.booleans())
def test_plain_json_is_read_as_it_is(value: Any, escaped: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=escaped).encode(), MAX) == value


@given(st.binary(max_size=200) | PIECES)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    reason = refusal(body)
    if reason is not None:
        assert 0 < len(reason) < 400
        assert reason.isprintable()
        return
    value = read_json(body, MAX)
    assert value == json.loads(body)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@given(st.integers(1, 12), st.integers(1, 12), st.text('[]{}"\\ ', max_size=20))
def test_depth_is_counted_outside_of_strings_only(depth: int, bound: int, text: str) -> None:
    value: Any = text
    for level in range(depth):
        value = [value, text] if level % 2 else {text: value}
    body = json.dumps(value).encode()
    assert refusal(body, bound) == (f"the JSON is nested deeper than {bound} levels" if depth > bound else None)


@given(st.floats())
def test_only_finite_numbers_are_read(number: float) -> None:
    assert (refusal(json.dumps([number]).encode()) is None) == math.isfinite(number)
