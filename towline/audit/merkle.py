"""The Merkle tree of RFC 6962, section 2.1: its hashes, the frontier that grows it, and its proofs.

A tree over leaves in their order; what it commits to is one root. Leaves and inner nodes are hashed with different
first bytes, so that neither can be taken for the other.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"

EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf with this content."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return hashlib.sha256(_NODE + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All of a tree that is needed to make it larger: the roots of its full subtrees, the largest first.

    There is one for each bit that is set in ``size``.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier with the hashes of further leaves after those that it has."""
        size, nodes = self.size, list(self.nodes)
        for leaf in leaves:
            node, full = leaf, size
            while full & 1:
                node = node_hash(nodes.pop(), node)
                full >>= 1
            nodes.append(node)
            size += 1
        return Frontier(size, tuple(nodes))

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        if not self.nodes:
            return EMPTY_ROOT
        *left, root = self.nodes
        for node in reversed(left):
            root = node_hash(node, root)
        return root


EMPTY: Final = Frontier()
"""The frontier of the tree without leaves."""


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree over the hashes of its leaves."""
    return EMPTY.extended(leaves).root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the proof that a leaf is at ``index`` in the tree over ``leaves`` (RFC 6962, section 2.1.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    if index < split:
        return (*inclusion_proof(leaves[:split], index), root_of(leaves[split:]))
    return (*inclusion_proof(leaves[split:], index - split), root_of(leaves[:split]))


def consistency_proof(leaves: Sequence[bytes], size: int) -> tuple[bytes, ...]:
    """Return the proof that the tree over ``leaves`` begins with its first ``size`` (RFC 6962, section 2.1.2).

    Raises:
        IndexError: the tree is not that large, or ``size`` is no size of one.
    """
    if not 0 < size <= len(leaves):
        raise IndexError(f"a tree of {len(leaves)} has no beginning of {size} leaves")
    return _consistency(leaves, size, is_known=True)


def _consistency(leaves: Sequence[bytes], size: int, *, is_known: bool) -> tuple[bytes, ...]:
    if size == len(leaves):
        return () if is_known else (root_of(leaves),)
    split = _split(len(leaves))
    if size <= split:
        return (*_consistency(leaves[:split], size, is_known=is_known), root_of(leaves[split:]))
    return (*_consistency(leaves[split:], size - split, is_known=False), root_of(leaves[:split]))


def _split(size: int) -> int:
    """Return the largest power of two below ``size``, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1
