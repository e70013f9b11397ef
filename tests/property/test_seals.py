"""Any single edit of a sealed log is found, and said to be where it is."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.audit.verifier.checkpoints import read_keys
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.hashing import Tree, leaf_of, root_from
from streams.audit.verifier.verify import read_kept, verify_seals
from streams.log import LogRecord
from tests.support.tampering import FixedLog, decision_record, kept_lines, sealed_log
from tests.unit.audit.sealed import public_pem
from towline.audit.leaves import record_leaf
from towline.audit.merkle import inclusion_proof, root_of

KEYS = read_keys([("example.pub", public_pem())])

BYTES = st.binary(max_size=8)
RECORDS = st.builds(
    LogRecord,
    st.just(DECISIONS),
    st.just(0),
    st.just(0),
    st.none() | BYTES,
    st.none() | BYTES,
    st.lists(st.tuples(st.text(max_size=3), BYTES), max_size=2).map(tuple),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
)


def findings(log: FixedLog, kept: bytes | None = None) -> list[Finding]:
    read = None if kept is None else read_kept("kept", kept, KEYS)
    return asyncio.run(verify_seals(log, KEYS, read)).findings


def flip(records: list[LogRecord], place: int, data: st.DataObject) -> None:
    """Flip any bit of a record's value."""
    value = bytearray(records[place].value or b"")
    bit = data.draw(st.integers(min_value=0, max_value=len(value) * 8 - 1), label="bit")
    value[bit // 8] ^= 1 << bit % 8
    records[place] = records[place]._replace(value=bytes(value))


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    steps = draw(st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=5))
    return [sum(steps[: number + 1]) for number in range(len(steps))]


@given(cuts(), st.integers(min_value=0, max_value=4), st.data())
def test_any_single_edit_of_the_decisions_is_found_where_it_is(
    sizes: list[int], unsealed: int, data: st.DataObject
) -> None:
    log = sealed_log({0: sizes}, unsealed=unsealed)
    records, size = log.records[DECISIONS, 0], sizes[-1]
    place = data.draw(st.integers(min_value=0, max_value=size - 1), label="place")
    match data.draw(st.sampled_from(["flip", "drop", "insert", "swap", "cut"]), label="edit"):
        case "flip":
            flip(records, place, data)
        case "drop":
            del records[place]
        case "insert":
            records.insert(place, decision_record(0, 0, b"new"))
        case "swap":
            other = data.draw(st.integers(min_value=0, max_value=size - 1).filter(lambda other: other != place))
            records[place], records[other] = records[other], records[place]
            place = min(place, other)
        case _:
            del records[place:]
    records[:] = [record._replace(offset=offset) for offset, record in enumerate(records)]
    found = findings(log)
    assert found
    assert min(finding.index for finding in found if finding.index is not None) == place
    assert {finding.topic for finding in found} == {DECISIONS}


@given(cuts(), st.data())
def test_any_single_edit_of_the_checkpoints_is_found(sizes: list[int], data: st.DataObject) -> None:
    log = sealed_log({0: sizes})
    kept = kept_lines(log)
    records = log.records[CHECKPOINTS, 0]
    place = data.draw(st.integers(min_value=0, max_value=len(records) - 1), label="place")
    match data.draw(st.sampled_from(["flip", "drop", "swap", "again"] if len(sizes) > 1 else ["flip", "drop"])):
        case "flip":
            flip(records, place, data)
        case "drop":
            del records[place]
        case "swap":
            records[0], records[-1] = records[-1], records[0]
        case _:
            records.append(records[0])
    records[:] = [record._replace(offset=offset) for offset, record in enumerate(records)]
    assert findings(log, kept)


@given(cuts(), st.integers(min_value=0, max_value=4), st.integers(min_value=1, max_value=3))
def test_an_untouched_log_has_no_finding_whatever_its_cuts_and_offsets(
    sizes: list[int], unsealed: int, step: int
) -> None:
    log = sealed_log({0: sizes}, unsealed=unsealed, step=step)
    assert findings(log, kept_lines(log)) == []


@given(RECORDS)
def test_the_verifier_and_the_sealer_hash_a_record_alike(record: LogRecord) -> None:
    assert leaf_of(record) == record_leaf(record.key, record.value, record.headers, record.timestamp_ms)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70), st.data())
def test_the_verifier_and_the_sealer_agree_on_roots_and_paths(leaves: list[bytes], data: Any) -> None:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root() == root_of(leaves)
    index = data.draw(st.integers(min_value=0, max_value=len(leaves) - 1))
    path = list(inclusion_proof(leaves, index))
    assert root_from(leaves[index], index, len(leaves), path) == root_of(leaves)
    assert root_from(leaves[index], index, len(leaves), [*path, leaves[0]]) != root_of(leaves)
