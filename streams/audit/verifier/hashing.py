"""The hashes of ``docs/audit.md``: a record's leaf, the root of a tree that grows, and what a path shows of it.

See RFC 6962, section 2.1.
"""

import struct
from hashlib import sha256
from typing import Final

from streams.log import LogRecord

HASH_BYTES: Final = 32

_NOTHING: Final = struct.pack(">q", -1)
_LENGTH: Final = struct.Struct(">q")


def leaf_of(record: LogRecord) -> bytes:
    """Return the leaf hash of a record: of its timestamp, key, value and headers, as they are in the topic."""
    hashed = sha256(b"\x00" + _LENGTH.pack(record.timestamp_ms))
    for part in (record.key, record.value):
        hashed.update(_NOTHING if part is None else _LENGTH.pack(len(part)) + part)
    hashed.update(_LENGTH.pack(len(record.headers)))
    for name, content in record.headers:
        encoded = name.encode()
        hashed.update(_LENGTH.pack(len(encoded)) + encoded + _LENGTH.pack(len(content)) + content)
    return hashed.digest()


class Tree:
    """A Merkle tree that keeps, of each height, at most one root of a full subtree that has no sibling yet."""

    def __init__(self) -> None:
        self.size = 0
        self._by_height: list[bytes | None] = []

    def add(self, leaf: bytes) -> None:
        """Append the hash of a leaf."""
        node, height = leaf, 0
        while height < len(self._by_height) and (left := self._by_height[height]) is not None:
            node = _above(left, node)
            self._by_height[height] = None
            height += 1
        if height == len(self._by_height):
            self._by_height.append(None)
        self._by_height[height] = node
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        root: bytes | None = None
        for node in self._by_height:
            if node is not None:
                root = node if root is None else _above(node, root)
        return sha256().digest() if root is None else root


def root_from(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root that a leaf at ``index`` of a tree of ``size`` and its path lead to; None: no such path can be.

    Written from the definition of the path, from its last node on: the one that splits the whole tree.
    """
    if not 0 <= index < size:
        return None
    if size == 1:
        return None if path else leaf
    if not path:
        return None
    split = 1 << ((size - 1).bit_length() - 1)
    *inner, sibling = path
    if index < split:
        below = root_from(leaf, index, split, inner)
        return None if below is None else _above(below, sibling)
    below = root_from(leaf, index - split, size - split, inner)
    return None if below is None else _above(sibling, below)


def begins_with(first: tuple[int, bytes], second: tuple[int, bytes], path: list[bytes]) -> bool:
    """Tell whether a path shows that the second tree begins with the first; each is given as its size and root.

    The path leads to both roots at once: see RFC 9162, section 2.1.4.2.
    """
    (size, root), (second_size, second_root) = first, second
    if size == second_size:
        return root == second_root and not path
    if not 0 < size < second_size:
        return False
    # The largest full subtree that ends where the first tree does. When that is all of it, its root is known already.
    full = size & -size
    if full == size:
        path = [root, *path]
    if not path:
        return False
    left, last = (size - 1) // full, (second_size - 1) // full
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if left % 2 or left == last:
            old, new = _above(node, old), _above(node, new)
            while left and left % 2 == 0:
                left, last = left // 2, last // 2
        else:
            new = _above(new, node)
        left, last = left // 2, last // 2
    return last == 0 and (old, new) == (root, second_root)


def _above(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
