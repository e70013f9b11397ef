"""A04: every way of tampering with a sealed log is found, and named with its kind and place."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from schemas.canonical import canonical_bytes
from schemas.catalogue import encode
from streams.audit.verifier import alignment
from streams.audit.verifier.checkpoints import NoCheckpointError, read_checkpoint, read_keys
from streams.audit.verifier.findings import ADVICE, CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.verify import KeptCheckpoints, SealVerification, read_kept, verify_seals
from streams.log import LogRecord
from tests.support.tampering import (
    FixedLog,
    checkpoint_record,
    decision_record,
    kept_lines,
    seal,
    sealed_log,
)
from tests.unit.audit.sealed import public_pem, sealing_key
from towline.audit.leaves import record_leaf
from towline.audit.tail import Leaf, Mark, Tail

KEYS = read_keys([("example.pub", public_pem())])
CUTS = [10, 20, 25, 40]
UNSEALED = 5


def log() -> FixedLog:
    return sealed_log({0: CUTS, 1: [3]}, unsealed=UNSEALED)


async def found(tampered: FixedLog, kept: bytes | None = None) -> list[Finding]:
    return (await verified(tampered, kept)).findings


async def verified(tampered: FixedLog, kept: bytes | None = None) -> SealVerification:
    read = KeptCheckpoints() if kept is None else read_kept("kept.jsonl", kept, KEYS)
    return await verify_seals(tampered, KEYS, read)


def places(findings: list[Finding]) -> list[tuple[str, int | None, int | None, int]]:
    return [(one.kind, one.offset, one.index, one.count) for one in findings]


def decisions(tampered: FixedLog) -> list[LogRecord]:
    return tampered.records[DECISIONS, 0]


def checkpoints(tampered: FixedLog) -> list[LogRecord]:
    return tampered.records[CHECKPOINTS, 0]


def renumbered(records: list[LogRecord]) -> None:
    """Give records the offsets of a topic that was written anew."""
    records[:] = [record._replace(offset=offset) for offset, record in enumerate(records)]


async def test_an_untouched_log_is_intact_and_says_what_is_not_sealed_yet() -> None:
    result = await verified(log(), kept_lines(log()))
    assert result.is_intact
    assert [(one.records, one.sealed, one.unsealed, one.checkpoints) for one in result.partitions] == [
        (45, 40, 5, 4),
        (8, 3, 5, 1),
    ]
    assert (result.repeated, result.beside, result.torn_lines) == (0, 0, 0)


async def test_a_log_that_was_never_sealed_says_so_and_has_no_finding() -> None:
    result = await verified(sealed_log({0: []}, unsealed=4))
    assert result.is_intact
    assert (result.partitions[0].sealed, result.partitions[0].unsealed) == (0, 4)


async def test_records_are_counted_and_offsets_are_not() -> None:
    """A05: aborted transactions and Kafka's own records leave gaps, and a copy of a topic has other offsets."""
    gaps = sealed_log({0: CUTS}, unsealed=2, step=3)
    assert (await verified(gaps)).is_intact
    renumbered(decisions(gaps))
    assert (await verified(gaps, kept_lines(gaps))).is_intact


@dataclass
class Case:
    name: str
    tamper: Callable[[FixedLog], Any]
    #: Kind, offset, index and count of each finding.
    expected: list[tuple[str, int | None, int | None, int]]


def change(place: int, **parts: Any) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        decisions(tampered)[place] = decisions(tampered)[place]._replace(**parts)

    return tamper


def swap(first: int, second: int) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        records = decisions(tampered)
        records[first], records[second] = records[second], records[first]
        renumbered(records)

    return tamper


def drop(first: int, stop: int, *, anew: bool = True) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        del decisions(tampered)[first:stop]
        if anew:
            renumbered(decisions(tampered))

    return tamper


def insert(place: int, *values: bytes) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        decisions(tampered)[place:place] = [decision_record(0, 0, value) for value in values]
        renumbered(decisions(tampered))

    return tamper


def move(source: int, target: int) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        decisions(tampered).insert(target, decisions(tampered).pop(source))
        renumbered(decisions(tampered))

    return tamper


def several(*steps: Callable[[FixedLog], Any]) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        for step in steps:
            step(tampered)

    return tamper


def copy(source: int, target: int) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        decisions(tampered).insert(target, decisions(tampered)[source])
        renumbered(decisions(tampered))

    return tamper


def changed(*places: int) -> Callable[[FixedLog], None]:
    return several(*(change(place, value=b"x%d" % place) for place in places))


CHANGED, MISSING, INSERTED = "record-changed", "record-missing", "record-inserted"
MOVED, TAIL = "records-reordered", "tail-missing"

RECORDS = [
    Case("a bit of a value", change(7, value=b'{"decision":6}'), [(CHANGED, 7, 7, 1)]),
    Case("a value taken away", change(7, value=None), [(CHANGED, 7, 7, 1)]),
    Case("a key", change(12, key=b"here/prod"), [(CHANGED, 12, 12, 1)]),
    Case("a timestamp", change(0, timestamp_ms=5), [(CHANGED, 0, 0, 1)]),
    Case("a header", change(9, headers=()), [(CHANGED, 9, 9, 1)]),
    Case("the last sealed record", changed(39), [(CHANGED, 39, 39, 1)]),
    Case("three in a row", changed(3, 4, 5), [(CHANGED, 3, 3, 3)]),
    Case("two apart", changed(3, 30), [(CHANGED, 3, 3, 1), (CHANGED, 30, 30, 1)]),
    Case("dropped", drop(13, 14), [(MISSING, 13, 13, 1)]),
    Case("dropped, offsets kept", drop(13, 14, anew=False), [(MISSING, 14, 13, 1)]),
    Case("the first dropped", drop(0, 1), [(MISSING, 0, 0, 1)]),
    Case("the head removed by retention", drop(0, 12, anew=False), [(MISSING, 12, 0, 12)]),
    Case("a run dropped over two checkpoints", drop(8, 22), [(MISSING, 8, 8, 14)]),
    Case("inserted", insert(6, b"new"), [(INSERTED, 6, 6, 1)]),
    Case("inserted first", insert(0, b"new"), [(INSERTED, 0, 0, 1)]),
    Case("several inserted", insert(20, b"new", b"newer"), [(INSERTED, 20, 20, 2)]),
    Case("many inserted", insert(6, *(b"new %d" % it for it in range(12))), [(INSERTED, 6, 6, 12)]),
    Case("a copy of a record", copy(3, 8), [(INSERTED, 8, 8, 1)]),
    Case("neighbours swapped", swap(4, 5), [(MOVED, 5, 4, 1)]),
    Case("swapped far apart", swap(4, 33), [(MOVED, 33, 4, 1), (MOVED, 4, 33, 1)]),
    Case("moved back", move(30, 2), [(MOVED, 2, 30, 1)]),
    Case("moved on", move(2, 30), [(MOVED, 30, 2, 1)]),
    Case("moved over another one", several(changed(30), move(2, 30)), [(CHANGED, 29, 30, 1), (MOVED, 30, 2, 1)]),
    Case("the tail cut off", drop(33, 45), [(TAIL, None, 33, 7)]),
    Case("all gone", drop(0, 45), [(TAIL, None, 0, 40)]),
    Case("changed before a cut", several(drop(33, 45), changed(32)), [(CHANGED, 32, 32, 1), (TAIL, None, 33, 7)]),
    Case("two kinds", several(drop(30, 31), insert(5, b"new")), [(INSERTED, 5, 5, 1), (MISSING, 31, 30, 1)]),
]


@pytest.mark.parametrize("case", RECORDS, ids=lambda case: case.name)
async def test_a_decision_that_was_tampered_with_is_named_with_its_place(case: Case) -> None:
    tampered = log()
    case.tamper(tampered)
    findings = await found(tampered)
    assert sorted(places(findings), key=str) == sorted(case.expected, key=str)
    assert {(one.topic, one.partition) for one in findings} == {(DECISIONS, 0)}


def rewritten(tampered: FixedLog, place: int, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a checkpoint in its JSON, and write it as a sealer spells it."""
    value = orjson.loads(checkpoints(tampered)[place].value or b"")
    change(value)
    checkpoints(tampered)[place] = checkpoints(tampered)[place]._replace(value=canonical_bytes(value))


def rewrite(place: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[FixedLog], None]:
    return lambda tampered: rewritten(tampered, place, change)


def on_checkpoints(do: Callable[[list[LogRecord]], Any]) -> Callable[[FixedLog], None]:
    def tamper(tampered: FixedLog) -> None:
        do(checkpoints(tampered))
        renumbered(checkpoints(tampered))

    return tamper


def of_partition_one(tampered: FixedLog) -> None:
    checkpoints(tampered).append(tampered.records[CHECKPOINTS, 1][0])
    renumbered(checkpoints(tampered))


def put(place: int, **parts: Any) -> Callable[[FixedLog], None]:
    return on_checkpoints(lambda it: it.__setitem__(place, it[place]._replace(**parts)))


def spell(before: bytes, after: bytes) -> Callable[[FixedLog], None]:
    return on_checkpoints(lambda it: it.__setitem__(1, it[1]._replace(value=it[1].value.replace(before, after))))


def add(value: bytes) -> Callable[[FixedLog], None]:
    return on_checkpoints(lambda it: it.append(checkpoint_record(0, 0, value)))


def data(**members: Any) -> Callable[[FixedLog], None]:
    return rewrite(1, lambda it: it["data"].update(members))


FORGED, GAP = "checkpoint-forged", "checkpoint-missing"
IN_PLACE = [(FORGED, 1, None, 1), (GAP, 2, 1, 1)]

CHAIN = [
    Case("another root", data(root="0" * 64), IN_PLACE),
    Case("another signature", data(signature_base64=base64.b64encode(bytes(64)).decode()), [(FORGED, 1, 1, 1)]),
    Case("a short signature", data(signature_base64="AAAA"), [(FORGED, 1, 1, 1)]),
    Case("another source", rewrite(1, lambda it: it.update(source="somebody")), IN_PLACE),
    Case("a member more", data(more=1), IN_PLACE),
    Case("a number as a float", spell(b'"number":1', b'"number":1.0'), IN_PLACE),
    Case("a member twice", spell(b'"number":1', b'"number":1,"number":1'), IN_PLACE),
    Case("its key", put(3, key=b"1"), [(FORGED, 3, None, 1)]),
    Case("a header", put(3, headers=(("a", b""),)), [(FORGED, 3, None, 1)]),
    Case("no value", put(3, value=None), [(FORGED, 3, None, 1)]),
    Case("no JSON", add(b"\xff"), [(FORGED, 4, None, 1)]),
    Case("JSON of another kind", add(b"[1]"), [(FORGED, 4, None, 1)]),
    Case("JSON without an end", add(b"[" * 100_000), [(FORGED, 4, None, 1)]),
    Case("dropped", on_checkpoints(lambda it: it.pop(1)), [(GAP, 1, 1, 1)]),
    Case("the first dropped", on_checkpoints(lambda it: it.pop(0)), [(GAP, 0, 0, 1)]),
    Case("two dropped", on_checkpoints(lambda it: it.__delitem__(slice(1, 3))), [(GAP, 1, 1, 2)]),
    Case("an old one again", on_checkpoints(lambda it: it.append(it[1])), [("checkpoint-replayed", 4, 1, 1)]),
    Case("swapped", on_checkpoints(lambda it: it.insert(2, it.pop(1))), [("checkpoint-reordered", 1, 2, 1)]),
    Case("of another partition", of_partition_one, [("checkpoint-misplaced", 4, 0, 1)]),
]


@pytest.mark.parametrize("case", CHAIN, ids=lambda case: case.name)
async def test_a_checkpoint_that_was_tampered_with_is_named_with_its_place(case: Case) -> None:
    tampered = log()
    case.tamper(tampered)
    findings = await found(tampered)
    assert sorted(places(findings), key=str) == sorted(case.expected, key=str)
    assert {(one.topic, one.partition) for one in findings} == {(CHECKPOINTS, 0)}


def test_any_bit_of_a_checkpoint_that_is_flipped_is_found() -> None:
    value = checkpoints(log())[1].value or b""
    assert read_checkpoint(value).is_signed(KEYS)
    for bit in range(len(value) * 8):
        flipped = bytearray(value)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            taken = read_checkpoint(bytes(flipped)).is_signed(KEYS)
        except NoCheckpointError:
            continue
        assert not taken, bit


async def test_a_checkpoint_that_stands_twice_in_a_row_is_what_a_crash_leaves() -> None:
    tampered = log()
    on_checkpoints(lambda it: it.insert(1, it[0]))(tampered)
    result = await verified(tampered)
    assert result.is_intact
    assert result.repeated == 1


async def test_a_true_checkpoint_beside_the_chain_is_a_second_sealers() -> None:
    tampered, late = log(), log()
    seal(late, 0, [10, 15])
    checkpoints(tampered).insert(2, checkpoints(late)[1])
    renumbered(checkpoints(tampered))
    result = await verified(tampered)
    assert result.is_intact
    assert result.beside == 1


async def test_a_checkpoint_beside_the_chain_that_is_not_true_is_a_second_history() -> None:
    tampered, other = log(), log()
    change(12, value=b"rewritten")(other)
    seal(other, 0, [10, 15])
    checkpoints(tampered).append(checkpoints(other)[1])
    renumbered(checkpoints(tampered))
    assert places(await found(tampered)) == [("checkpoints-contradict", 4, 1, 1)]


async def test_a_chain_whose_numbers_skip_one_misses_one() -> None:
    """Whoever has the key can number as they like; each number is still asked for."""
    tampered = log()
    leaves = [
        Leaf(record_leaf(item.key, item.value, item.headers, item.timestamp_ms), item.offset, item.timestamp_ms)
        for item in decisions(tampered)
    ]
    first = Tail().with_records(leaves).checkpoint(0, sealing_key(), 10)
    tail = Tail().with_records(leaves).after(Mark.of(first))
    assert tail.mark is not None
    skipping = replace(tail, mark=replace(tail.mark, number=1)).checkpoint(0, sealing_key())
    tampered.records[CHECKPOINTS, 0] = [checkpoint_record(0, n, encode(one)) for n, one in enumerate((first, skipping))]
    assert places(await found(tampered)) == [("checkpoint-missing", 1, 1, 1)]


async def test_a_record_changed_under_a_missing_checkpoint_is_found_by_the_next_root() -> None:
    tampered = log()
    on_checkpoints(lambda it: it.pop(1))(tampered)
    change(13, value=b"rewritten")(tampered)
    assert places(await found(tampered)) == [("checkpoint-missing", 1, 1, 1), ("record-changed", None, 10, 10)]
    assert places(await found(tampered, kept_lines(log()))) == [
        ("checkpoint-missing", None, 1, 1),
        ("record-changed", 13, 13, 1),
    ]


async def test_a_key_that_was_not_given_is_named_and_with_both_keys_a_rotation_is_intact() -> None:
    rotated = sealed_log({0: CUTS}, keys=("old", "old", "example"))
    result = await verify_seals(rotated, KEYS)
    assert places(result.findings) == [("key-unknown", 0, 0, 1), ("key-unknown", 1, 1, 1)]
    both = read_keys([("example.pub", public_pem()), ("old.pub", public_pem("old"))])
    assert (await verify_seals(rotated, both)).is_intact


async def test_what_a_key_of_somebody_else_seals_counts_for_nothing() -> None:
    """Whoever can write the topics rewrites all of them and seals again with a key of their own."""
    forged = log()
    change(7, value=b"rewritten")(forged)
    seal(forged, 0, CUTS, keys=("mallory",))
    result = await verified(forged)
    assert {one.kind for one in result.findings} == {"key-unknown"}
    assert result.partitions[0].sealed == 0


async def test_long_differences_are_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "WINDOW", 5)
    monkeypatch.setattr("streams.audit.verifier.comparison.WINDOW", 5)
    for tamper, expected in (
        (drop(8, 30), ("record-missing", 8, 8, 22)),
        (drop(8, 45), ("tail-missing", None, 8, 32)),
        (several(*(change(at, value=b"x%d" % at) for at in range(4, 31))), ("record-changed", 4, 4, 27)),
    ):
        tampered = log()
        tamper(tampered)
        assert places(await found(tampered)) == [expected]


async def test_many_findings_are_counted_and_not_all_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.audit.verifier.verify.DETAILED_COUNT", 3)
    tampered = log()
    several(*(change(at, value=b"x") for at in range(0, 20, 2)))(tampered)
    result = await verified(tampered)
    assert (len(result.findings), result.unlisted) == (3, 7)


def test_every_kind_of_finding_says_what_to_do() -> None:
    kinds = {kind for case in (*RECORDS, *CHAIN) for kind, *_ in case.expected}
    assert kinds <= set(ADVICE)
    assert all(text.endswith(".") for text in ADVICE.values())


async def test_progress_ends_with_everything_read() -> None:
    told: list[tuple[int, int]] = []
    await verify_seals(log(), KEYS, progress=lambda done, total: told.append((done, total)))
    assert (told[0], told[-1]) == ((0, 58), (58, 58))
