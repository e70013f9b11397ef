"""JSON from outside: what two readers could understand differently is refused (E05, E07, S11)."""

import json
from typing import Any

import pytest

from towline import limits
from towline.dialects.jsonbytes import read_json
from towline.errors import UnusableInputError

MAX = 1024 * 1024


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "",
        0,
        -(2**63),
        2**64 - 1,
        1.5,
        True,
        None,
        {"a": [{"b": '\\"[{é\U0001f6a2'}]},
        "]]]}}}" * 100,
        "\\" * 99,
    ],
)
def test_json_means_what_it_says(value: Any) -> None:
    assert read_json(json.dumps(value).encode(), MAX) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode(), MAX) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{}\x00", "not JSON"),
        (b'"\x00"', "not JSON"),
        (b'"\n"', "not JSON"),
        (b"01", "not JSON"),
        (b'{"a": "x"', "not JSON"),
        (b'"\\', "not JSON"),
        (b"[1}", "not JSON"),
        (b'"\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'[[{"a": ["\\ud800"]}]]', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"a": 1, "a": 1}', "'a' occurs twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "'a' occurs twice"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "beyond what JSON readers can hold"),
        (b"-1e999", "beyond what JSON readers can hold"),
        (str(2**64).encode(), "64 bits"),
        (str(-(2**63) - 1).encode(), "64 bits"),
        (b"9" * 100_000, "64 bits"),
    ],
)
def test_what_is_ambiguous_or_not_json_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableInputError, match=reason) as refused:
        read_json(body, MAX)
    assert len(str(refused.value)) < 400


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert read_json(b'"\\ud83d\\udea2"', MAX) == "\U0001f6a2"


@pytest.mark.parametrize(("size", "taken"), [(99, True), (100, True), (101, False)])
def test_size_is_bounded_to_the_byte(size: int, taken: bool) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    if taken:
        assert len(read_json(body, 100)) == size - 2
    else:
        with pytest.raises(UnusableInputError, match="101 bytes; at most 100"):
            read_json(body, 100)


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [(b"[", b"]", limits.json_depth), (b'{"a":', b"}", limits.json_depth), (b'[{"a":', b"}]", limits.json_depth // 2)],
)
def test_depth_is_bounded_to_the_level(opening: bytes, closing: bytes, levels: int) -> None:
    assert read_json(opening * levels + b"1" + closing * levels, MAX)
    with pytest.raises(UnusableInputError, match="nested deeper than 64 levels"):
        read_json(opening * (levels + 1) + b"1" + closing * (levels + 1), MAX)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 500_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'["]]]]",' * 100 + b"1" + b"]" * 100,
        b'["\\"]",' * 100 + b"1" + b"]" * 100,
    ],
    ids=["closed", "open", "objects", "brackets in strings", "escaped quotes"],
)
def test_deep_nesting_is_refused_before_anything_is_built(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(*_: object, **__: object) -> None:
        raise AssertionError("the parser was called")

    monkeypatch.setattr("towline.dialects.jsonbytes.json.loads", built)
    with pytest.raises(UnusableInputError, match="nested deeper"):
        read_json(body, MAX)


@pytest.mark.parametrize(
    "body",
    [b'"' * 900_000, b'"\\"' * 300_000, b'"\\' * 450_000, b"]" * 900_000, b"[]" * 450_000, b'[{"":"' * 150_000],
    ids=["quotes", "escaped quotes", "open escapes", "closing", "pairs", "mixed"],
)
def test_a_megabyte_made_to_confuse_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableInputError):
        read_json(body, MAX)


def test_a_wide_object_is_read() -> None:
    body = json.dumps({str(number): number for number in range(50_000)}).encode()
    assert len(read_json(body, MAX)) == 50_000
