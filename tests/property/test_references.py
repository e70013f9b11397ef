"""Names are parsed by the specification's grammars, and nothing else becomes part of an address (S10)."""

import re
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.references import Digest, Reference, Repository, Tag

# As the OCI distribution specification, version 1.1, prints them ("Pulling manifests"); digests as registered in the
# OCI image specification ("Registered algorithms").
SPEC_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
SPEC_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
SPEC_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")

# The same language as SPEC_NAME, built from its parts: drawing from the nested expression costs ten times as much.
WORDS = st.text("abyz0189", min_size=1, max_size=12)
SEPARATORS = st.sampled_from([".", "_", "__"]) | st.integers(1, 9).map("-".__mul__)
PARTS = st.tuples(WORDS, st.lists(st.tuples(SEPARATORS, WORDS).map("".join), max_size=3).map("".join)).map("".join)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)

# Letters near the grammar find its edges sooner than any text would.
NEAR = st.text("ab0A._-/:%\\ \n\x00é", max_size=40)


def accepted(text: str) -> bool:
    try:
        return str(Repository.parse(f"local/{text}")) == f"local/{text}"
    except ValueError:
        return False


@given(NEAR | st.text(max_size=40) | NAMES)
@example("a" * 255)
@example("a" * 256)
@example("a__b")
@example("a___b")
@example("a\n")
def test_a_repository_is_what_the_specification_calls_a_name(text: str) -> None:
    assert accepted(text) == (SPEC_NAME.fullmatch(text) is not None and len(text) <= 255)


@cache
def adapter(kind: object) -> TypeAdapter[object]:
    return TypeAdapter(kind)


def valid(kind: object, text: str) -> bool:
    try:
        adapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


@given(NEAR | st.text(max_size=140) | st.from_regex(SPEC_TAG, fullmatch=True))
@example("a" * 128)
@example("a" * 129)
@example("a\n")
def test_a_tag_is_what_the_specification_calls_one(text: str) -> None:
    assert valid(Tag, text) == (SPEC_TAG.fullmatch(text) is not None)


HEX = st.text("0123456789abcdefABCDEFg", min_size=60, max_size=70)


@given(HEX.map(lambda digits: f"sha256:{digits}") | st.from_regex(SPEC_DIGEST, fullmatch=True) | st.text(max_size=80))
@example(f"sha256:{'a' * 64}\n")
@example(f"sha256:{'A' * 64}")
@example(f"md5:{'a' * 32}")
@example(f"sha512:{'a' * 64}")
def test_a_digest_is_one_of_a_registered_algorithm(text: str) -> None:
    assert valid(Digest, text) == (SPEC_DIGEST.fullmatch(text) is not None)


@given(NAMES, st.from_regex(SPEC_TAG, fullmatch=True))
def test_a_reference_is_read_as_it_is_written(name: str, tag: str) -> None:
    if len(name) <= 255:
        assert str(Reference.parse(f"local/{name}:{tag}")) == f"local/{name}:{tag}"


HOSTILE = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "../etc/passwd",
    "a/../b",
    "a/./b",
    "..",
    "%2e%2e/a",
    "a%2fb",
    "a\\b",
    "a\x00",
    "a\r\nHost: evil",
    "a\n",
    "a b",
    "A",
    "aB",
    "_catalog",
    "a/_catalog",
    "a?n=1",
    "a#b",
    "a@evil.example.com",
    "a:b",
    "http://evil.example.com/a",
    "\uff41",
    "\u0430",
    "a\u202eb",
    "a\u200bb",
    "é",
    "a" * 256,
    "a/" * 128 + "a",
    "-a",
    "a-",
    ".a",
    "a..b",
    "a___b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_repository(name: str) -> None:
    with pytest.raises(ValueError, match="is not a repository"):
        Repository.parse(f"local/{name}")


@pytest.mark.parametrize("name", ["Local", "lo_cal", "local.example", "-a", "a-", "a" * 64, "é", "127.0.0.1:5000", ""])
def test_a_host_or_worse_is_no_registry_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not a repository"):
        Repository.parse(f"{name}/a")


HOSTILE_TAGS = [
    "",
    ".a",
    "-a",
    "a/b",
    "../a",
    "a%2e",
    "a\x00",
    "a\r\n",
    "a\n",
    "a b",
    "é",
    "a" * 129,
    "a@b",
    "a:b",
    "a?b",
]


@pytest.mark.parametrize("tag", HOSTILE_TAGS)
def test_a_hostile_tag_is_none(tag: str) -> None:
    assert not valid(Tag, tag)
    with pytest.raises(ValueError, match="is not a re"):
        Reference.parse(f"local/a:{tag}")
