"""The hashes of ``docs/audit.md``: a record's leaf, and the root of a tree that grows (RFC 6962, section 2.1)."""

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
            node = sha256(b"\x01" + left + node).digest()
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
                root = node if root is None else sha256(b"\x01" + node + root).digest()
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
        return None if below is None else sha256(b"\x01" + below + sibling).digest()
    below = root_from(leaf, index - split, size - split, inner)
    return None if below is None else sha256(b"\x01" + sibling + below).digest()
