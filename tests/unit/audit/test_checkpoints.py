"""Checkpoints: what is signed, by whom, and that equal records have equal checkpoints."""

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.canonical import sha256_hex
from schemas.catalogue import decode, encode
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from schemas.examples import EXAMPLES
from tests.unit.audit.sealed import private_pem, public_pem, sealing_key
from towline.audit.checkpoints import SealingKey, is_genuine, load_public_keys, text_of
from towline.audit.leaves import record_leaf
from towline.audit.merkle import leaf_hash, root_of
from towline.audit.tail import Leaf, Mark, SealBrokenError, Tail
from towline.errors import SettingsError

KEYS = load_public_keys([("example.pub", public_pem())])
NOON_MS = 1_795_521_600_000
LEAVES = [leaf_hash(str(number).encode()) for number in range(10)]


def tail_of(leaves: list[bytes], tail: Tail | None = None) -> Tail:
    tail = tail or Tail()
    return tail.with_records(Leaf(leaf, tail.size + number, NOON_MS) for number, leaf in enumerate(leaves))


def example() -> Envelope[Checkpoint]:
    found = EXAMPLES["checkpoint.sealed"]
    assert isinstance(found.data, Checkpoint)
    return Envelope(found.id, found.source, found.subject, found.time, found.data)


def test_the_published_example_is_genuine() -> None:
    assert is_genuine(example(), KEYS)
    records = (leaf_hash(b"a record"), 40), (leaf_hash(b"another record"), 41)
    made = Tail().with_records(Leaf(leaf, offset, 1_795_507_200_000) for leaf, offset in records)
    assert encode(made.checkpoint(3, sealing_key())) == encode(example())


def test_what_is_signed_is_a_text_that_people_can_read() -> None:
    data = example().data
    assert text_of(data.model_dump(), example().time).decode().splitlines() == [
        "towline.decisions/3",
        "2",
        base64.b64encode(bytes.fromhex(data.root)).decode(),
        "number 0",
        "previous -",
        "last-offset 41",
        f"leaves 2 {sha256_hex(bytes.fromhex(''.join(data.leaves)))}",
        "time 2026-11-24T08:00:00.000000Z",
        f"key {data.key_id}",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"partition": 4},
        {"number": 1},
        {"previous": "0" * 64},
        {"size": 3},
        {"root": "0" * 64},
        {"last_offset": 42},
        {"leaves": ("0" * 64,)},
        {"key_id": "0" * 64},
        {"signature_base64": "A" * 86 + "=="},
    ],
)
def test_a_checkpoint_with_any_member_changed_is_not_genuine(change: dict[str, Any]) -> None:
    data = Checkpoint(**{**example().data.model_dump(), **change})
    text = text_of(data.model_dump(), example().time)
    assert not is_genuine(replace(example(), data=data), KEYS)
    assert not is_genuine(replace(example(), data=data, id=sha256_hex(text)), KEYS)


def test_a_checkpoint_of_another_time_or_under_another_id_is_not_genuine() -> None:
    assert not is_genuine(replace(example(), time="2026-11-25T08:00:00.000000Z"), KEYS)
    assert not is_genuine(replace(example(), id="0" * 64), KEYS)


def test_only_the_keys_that_are_given_count() -> None:
    other = load_public_keys([("other.pub", public_pem("other"))])
    assert not is_genuine(example(), other)
    assert is_genuine(example(), KEYS | other)


def test_checkpoints_follow_each_other_and_have_each_leaf_once() -> None:
    key = sealing_key()
    first = tail_of(LEAVES[:4]).checkpoint(0, key)
    tail = tail_of(LEAVES[:4]).after(Mark.of(first))
    second = tail_of(LEAVES[4:], tail).checkpoint(0, key)
    assert (first.data.number, first.data.previous, first.data.size) == (0, None, 4)
    assert (second.data.number, second.data.previous, second.data.size) == (1, first.id, 10)
    assert [bytes.fromhex(leaf) for leaf in first.data.leaves + second.data.leaves] == LEAVES
    assert second.data.root == root_of(LEAVES).hex()


def test_a_tail_that_a_table_kept_makes_the_same_bytes() -> None:
    first = tail_of(LEAVES[:3]).checkpoint(0, sealing_key())
    whole = tail_of(LEAVES).after(Mark.of(first))
    kept = Tail.from_value(orjson.loads(orjson.dumps(whole.value())))
    assert (kept.last_offset, kept.size) == (2, 3)
    again = kept.with_records(whole.leaves)
    assert encode(again.checkpoint(0, sealing_key())) == encode(whole.checkpoint(0, sealing_key()))


def test_a_checkpoint_may_cover_the_beginning_of_the_tail_only() -> None:
    cut = tail_of(LEAVES).checkpoint(0, sealing_key(), 4)
    assert encode(cut) == encode(tail_of(LEAVES[:4]).checkpoint(0, sealing_key()))


def test_only_the_checkpoint_after_the_last_one_follows_it() -> None:
    first = Mark.of(tail_of(LEAVES[:4]).checkpoint(0, sealing_key()))
    assert tail_of(LEAVES).follows(first, None)
    assert not tail_of(LEAVES).follows(first, "0" * 64)
    assert not tail_of(LEAVES).follows(replace(first, number=1), None), "there is nothing that it could follow"
    tail = tail_of(LEAVES).after(first)
    second = Mark.of(tail.checkpoint(0, sealing_key(), 2))
    assert tail.follows(second, first.id)
    assert not tail.follows(second, second.id)
    assert not tail.follows(first, None)


def test_a_checkpoint_that_covers_a_part_of_the_tail_leaves_the_rest() -> None:
    first = Mark.of(tail_of(LEAVES[:4]).checkpoint(0, sealing_key()))
    tail = tail_of(LEAVES).after(first)
    assert (tail.sealed.size, tail.last_offset, tail.size) == (4, 3, 10)
    assert [leaf.hash for leaf in tail.leaves] == LEAVES[4:]


def test_a_checkpoint_over_other_records_is_not_followed() -> None:
    first = Mark.of(tail_of(LEAVES[:4]).checkpoint(0, sealing_key()))
    with pytest.raises(SealBrokenError, match="checkpoint 0 committed to 4 other records"):
        tail_of([*LEAVES[:3], leaf_hash(b"other")]).after(first)
    with pytest.raises(SealBrokenError):
        tail_of(LEAVES[:4]).after(first).after(first)


@pytest.mark.parametrize(
    ("timestamp_ms", "time"), [(-1, "1970-01-01T00:00:00.000000Z"), (2**62, "9999-12-31T23:59:59.999000Z")]
)
def test_a_record_that_claims_any_time_can_be_sealed(timestamp_ms: int, time: str) -> None:
    checkpoint = Tail().with_records([Leaf(LEAVES[0], 0, timestamp_ms)]).checkpoint(0, sealing_key())
    assert decode(encode(checkpoint)).time == time


def test_every_part_of_a_record_is_in_its_leaf() -> None:
    parts: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...], int]] = [
        (b"k", b"v", (), 1),
        (b"k", b"w", (), 1),
        (b"l", b"v", (), 1),
        (b"k", b"v", (), 2),
        (b"kv", b"", (), 1),
        (b"", b"kv", (), 1),
        (None, b"kv", (), 1),
        (b"kv", None, (), 1),
        (b"k", b"v", (("h", b""),), 1),
        (b"k", b"v", (("", b"h"),), 1),
        (b"k", b"v", (("h", b""), ("h", b"")), 1),
    ]
    assert len({record_leaf(*part) for part in parts}) == len(parts)


def test_a_leaf_is_what_the_documents_say() -> None:
    parts = (5).to_bytes(8, "big"), (1).to_bytes(8, "big"), b"k", b"\xff" * 8, bytes(8)
    assert record_leaf(b"k", None, (), 5) == leaf_hash(b"".join(parts))


def test_a_key_of_another_kind_is_refused_without_telling_it() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SettingsError, match=r"audit\.key is not an Ed25519 key"):
        SealingKey(pem)
    with pytest.raises(SettingsError, match=r"audit\.key is no private key"):
        SealingKey(public_pem())
    with pytest.raises(SettingsError, match=r"old\.pem: not an Ed25519 key"):
        load_public_keys([("old.pem", public)])
    with pytest.raises(SettingsError, match=r"old\.pem: no public key"):
        load_public_keys([("old.pem", private_pem())])
