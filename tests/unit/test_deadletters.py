"""What could not be used is kept with its reason and its bytes (I10)."""

import base64
import hashlib

import pytest

from schemas.catalogue import decode
from schemas.deadletters import DeadLetter
from schemas.envelope import Envelope
from streams.deadletters import dead_letter
from streams.log import Append, LogRecord, refuse_oversized
from towline import limits

RECORD = LogRecord(
    "towline.inbound", 3, 17, b"key\xff", b"not JSON", (("dialect", b"quay"), ("x", b"\xff")), 1795507200123
)


def read(append: Append) -> tuple[Envelope, DeadLetter]:
    envelope = decode(append.value)
    assert isinstance(envelope.data, DeadLetter)
    return envelope, envelope.data


def test_a_letter_has_the_place_the_reason_and_the_bytes() -> None:
    append = dead_letter(RECORD, "not JSON")
    envelope, letter = read(append)
    assert (append.topic, append.key, append.partition) == ("towline.deadletters", RECORD.key, None)
    assert (letter.topic, letter.partition, letter.offset, letter.reason) == ("towline.inbound", 3, 17, "not JSON")
    assert base64.b64decode(letter.value_base64 or "") == RECORD.value
    assert base64.b64decode(letter.key_base64 or "") == RECORD.key
    assert letter.value_sha256 == hashlib.sha256(b"not JSON").hexdigest()
    assert envelope.subject == "towline.inbound/3/17"
    assert envelope.time == "2026-11-24T08:00:00.123000Z"


def test_the_headers_are_kept_without_being_taken_for_the_letters_own() -> None:
    assert dead_letter(RECORD, "x").headers == (("input.dialect", b"quay"), ("input.x", b"\xff"))


def test_a_letter_written_again_after_a_crash_has_the_same_bytes() -> None:
    assert dead_letter(RECORD, "x") == dead_letter(RECORD, "x")


def test_letters_of_different_places_have_different_ids() -> None:
    places = [RECORD, RECORD._replace(offset=18), RECORD._replace(partition=4), RECORD._replace(topic="towline.events")]
    assert len({read(dead_letter(record, "x"))[0].id for record in places}) == len(places)


@pytest.mark.parametrize(("value", "base64_"), [(None, None), (b"", "")])
def test_a_tombstone_is_not_an_empty_value(value: bytes | None, base64_: str | None) -> None:
    _, letter = read(dead_letter(RECORD._replace(value=value), "x"))
    assert (letter.value_base64, letter.value_size) == (base64_, 0)


@pytest.mark.parametrize("more", [0, 1])
def test_bytes_beyond_the_limit_are_told_by_their_digest(more: int) -> None:
    value = b"x" * (limits.deadletter_value_bytes + more)
    append = dead_letter(RECORD._replace(value=value), "x")
    _, letter = read(append)
    assert (letter.value_base64 is None) == (more == 1)
    assert (letter.value_size, letter.value_sha256) == (len(value), hashlib.sha256(value).hexdigest())


def test_a_record_without_a_key_keeps_its_partition() -> None:
    append = dead_letter(RECORD._replace(key=None), "x")
    assert (append.key, append.partition, read(append)[1].key_base64) == (None, 3, None)


def test_even_the_largest_input_gives_a_letter_that_the_log_takes() -> None:
    value = b"x" * limits.deadletter_value_bytes
    key = b"k" * limits.deadletter_key_bytes
    headers = (("h", b"x" * (limits.deadletter_headers_bytes - 1)),)
    refuse_oversized([dead_letter(RECORD._replace(value=value, key=key, headers=headers), "x" * 1000)])


def test_a_key_and_headers_beyond_the_limit_are_left_out_and_the_reason_says_so() -> None:
    key = b"k" * (limits.deadletter_key_bytes + 1)
    headers = (("h", b"x" * limits.deadletter_headers_bytes),)
    append = dead_letter(RECORD._replace(key=key, headers=headers), "x")
    _, letter = read(append)
    assert (append.key, append.partition, append.headers) == (None, 3, ())
    assert f"key of {len(key)} bytes, SHA-256 {hashlib.sha256(key).hexdigest()}, was left out" in letter.reason
    assert f"headers of {limits.deadletter_headers_bytes + 1} bytes were left out" in letter.reason
