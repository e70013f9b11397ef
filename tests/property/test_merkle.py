"""Proofs of any tree: the verifier takes those of the tree itself, and none that was changed in any part."""

import hashlib

from hypothesis import assume, given
from hypothesis import strategies as st

from streams.audit.verifier.hashing import begins_with, root_from
from towline.audit.merkle import (
    EMPTY,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

SIZES = st.integers(min_value=1, max_value=260)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def is_included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    return root_from(leaf, index, size, path) == root


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = max(power for power in (1 << bit for bit in range(20)) if power < len(leaves))
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def flipped(value: bytes, bit: int) -> bytes:
    place = bit % (len(value) * 8)
    changed = bytearray(value)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


@given(SIZES)
def test_a_root_is_what_the_definition_says(size: int) -> None:
    assert EMPTY.extended(leaves_of(size)).root == naive_root(leaves_of(size))


@given(SIZES, st.integers(min_value=0))
def test_every_leaf_is_shown_to_be_where_it_is(size: int, number: int) -> None:
    leaves, index = leaves_of(size), number % size
    assert is_included(leaves[index], index, size, list(inclusion_proof(leaves, index)), root_of(leaves))


@given(SIZES, st.integers(min_value=0), st.integers(min_value=0), st.data())
def test_no_changed_inclusion_is_taken(size: int, number: int, bit: int, data: st.DataObject) -> None:
    leaves, index = leaves_of(size), number % size
    proof, root = list(inclusion_proof(leaves, index)), root_of(leaves)
    assert not is_included(flipped(leaves[index], bit), index, size, proof, root)
    assert not is_included(leaves[index], index, size, proof, flipped(root, bit))
    assert not is_included(leaves[index], index, size, [*proof, root], root)
    other = data.draw(st.integers(min_value=0, max_value=size - 1))
    if other != index:
        assert not is_included(leaves[index], other, size, proof, root)
    if proof:
        place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        assert not is_included(leaves[index], index, size, proof[:place] + proof[place + 1 :], root)
        proof[place] = flipped(proof[place], bit)
        assert not is_included(leaves[index], index, size, proof, root)


@given(SIZES, st.integers(min_value=0))
def test_every_tree_is_shown_to_begin_with_its_beginnings(size: int, number: int) -> None:
    leaves, first = leaves_of(size), number % size + 1
    trees = (first, root_of(leaves[:first])), (size, root_of(leaves))
    assert begins_with(*trees, list(consistency_proof(leaves, first)))


@given(SIZES, st.integers(min_value=0), st.integers(min_value=0), st.data())
def test_no_changed_consistency_is_taken(size: int, number: int, bit: int, data: st.DataObject) -> None:
    leaves, first = leaves_of(size), number % size + 1
    old, new, proof = root_of(leaves[:first]), root_of(leaves), list(consistency_proof(leaves, first))
    assert not begins_with((first, flipped(old, bit)), (size, new), proof)
    assert not begins_with((first, old), (size, flipped(new, bit)), proof)
    assert not begins_with((first, old), (size, new), [*proof, new])
    assume(proof)
    place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
    assert not begins_with((first, old), (size, new), proof[:place] + proof[place + 1 :])
    proof[place] = flipped(proof[place], bit)
    assert not begins_with((first, old), (size, new), proof)


@given(SIZES, st.integers(min_value=0), st.integers(min_value=0))
def test_no_tree_is_shown_to_begin_with_another(size: int, number: int, changed: int) -> None:
    leaves, first = leaves_of(size), number % size + 1
    others = list(leaves)
    others[changed % first] = leaf_hash(b"another record")
    old, new = (first, root_of(leaves[:first])), (size, root_of(others))
    assert not begins_with(old, new, list(consistency_proof(others, first)))
