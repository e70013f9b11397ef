"""The tree of RFC 6962, by the roots that the reference implementation of Certificate Transparency has."""

import hashlib

import pytest

from streams.audit.verifier.hashing import begins_with, root_from
from towline.audit.merkle import (
    EMPTY,
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

LEAVES = [
    leaf_hash(bytes.fromhex(text))
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]

#: Over the first one, two, ... of them.
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize(("count", "root"), list(enumerate(ROOTS, start=1)))
def test_the_standard_leaves_have_their_known_roots(count: int, root: str) -> None:
    assert root_of(LEAVES[:count]).hex() == root


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_an_inner_node_is_never_taken_for_a_leaf() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize("split", range(9))
def test_a_frontier_grows_to_the_same_tree_wherever_it_was_kept(split: int) -> None:
    kept = EMPTY.extended(LEAVES[:split])
    again = Frontier(kept.size, kept.nodes).extended(LEAVES[split:])
    assert (again.size, again.root.hex()) == (8, ROOTS[-1])


def test_the_known_inclusion_proofs() -> None:
    """The proofs of RFC 6962's own example of seven leaves, section 2.1.3, put together from its picture."""
    seven = LEAVES[:7]
    a, b, c, d, e, f, j = seven
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, ell = node_hash(g, h), node_hash(i, j)
    assert inclusion_proof(seven, 0) == (b, h, ell)
    assert inclusion_proof(seven, 3) == (c, g, ell)
    assert inclusion_proof(seven, 4) == (f, j, k)
    assert inclusion_proof(seven, 6) == (i, k)
    assert consistency_proof(seven, 3) == (c, d, g, ell)
    assert consistency_proof(seven, 4) == (ell,)
    assert consistency_proof(seven, 6) == (i, j, k)


def test_a_proof_is_only_of_what_is_there() -> None:
    for index in (-1, 8):
        with pytest.raises(IndexError, match="there is no leaf"):
            inclusion_proof(LEAVES, index)
    for size in (0, 9):
        with pytest.raises(IndexError, match="has no beginning"):
            consistency_proof(LEAVES, size)
    assert root_from(LEAVES[0], 8, 8, []) is None
    assert not begins_with((0, EMPTY_ROOT), (8, root_of(LEAVES)), [])


def test_no_tree_begins_with_a_larger_one_or_with_another_of_its_size() -> None:
    root = root_of(LEAVES)
    assert begins_with((8, root), (8, root), [])
    assert not begins_with((8, root), (4, root), [])
    assert not begins_with((8, root), (8, leaf_hash(b"another")), [])
    assert not begins_with((8, root), (8, root), [root])


def test_a_path_is_that_of_two_sizes_and_two_roots() -> None:
    roots = [root_of(LEAVES[:size]) for size in range(9)]
    assert begins_with((3, roots[3]), (4, roots[4]), list(consistency_proof(LEAVES[:4], 3)))
    assert begins_with((7, roots[7]), (8, roots[8]), list(consistency_proof(LEAVES, 7)))
    # Whoever signs a wrong size is believed no more than who sends a wrong path.
    assert not begins_with((3, roots[3]), (8, roots[4]), list(consistency_proof(LEAVES[:4], 3)))
    assert not begins_with((3, roots[7]), (4, roots[8]), list(consistency_proof(LEAVES, 7)))
    for other in (roots[6], roots[8]):
        assert not begins_with((7, other), (8, roots[8]), list(consistency_proof(LEAVES, 7)))
    assert not begins_with((7, roots[7]), (8, roots[6]), list(consistency_proof(LEAVES, 7)))
