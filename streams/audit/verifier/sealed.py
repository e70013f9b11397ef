"""What genuine checkpoints say about the records of a partition: the leaf of each, and roots at some sizes."""

from collections.abc import Iterable

from streams.audit.verifier.chain import Placed
from streams.audit.verifier.hashing import HASH_BYTES


class SealedLeaves:
    """The leaf hashes that were sealed, 32 bytes each; those of a checkpoint that is missing are not known."""

    def __init__(self, checkpoints: Iterable[Placed]) -> None:
        self._hashes = bytearray()
        self._known = bytearray()
        for placed in checkpoints:
            self._add(placed.said.first, placed.said.leaves)

    def __len__(self) -> int:
        return len(self._known)

    def leaf(self, index: int) -> bytes | None:
        """Return the leaf of a record; None when nobody knows."""
        if not self._known[index]:
            return None
        return bytes(self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def are(self, index: int, leaves: list[bytes]) -> bool:
        """Tell whether the leaves from ``index`` on are known, and are these."""
        # In place of one that is not known there are zeros, which no record has for a hash.
        stop = index + len(leaves)
        return stop <= len(self) and self._hashes[index * HASH_BYTES : stop * HASH_BYTES] == b"".join(leaves)

    def find(self, leaf: bytes, first: int) -> int | None:
        """Return the index of a leaf from ``first`` on, or None."""
        # No hash begins within another one and ends in the next: nobody can make such a record.
        place = self._hashes.find(leaf, first * HASH_BYTES)
        return None if place < 0 else place // HASH_BYTES

    def unknown_in(self, first: int, stop: int) -> tuple[int, int] | None:
        """Return the range from the first unknown leaf between two sizes to after the last; None without any."""
        begin = self._known.find(0, first, stop)
        return None if begin < 0 else (begin, self._known.rfind(0, first, stop) + 1)

    def _add(self, first: int, leaves: bytes) -> None:
        stop = first + len(leaves) // HASH_BYTES
        lacking = stop - len(self)
        if lacking > 0:
            self._hashes.extend(bytes(lacking * HASH_BYTES))
            self._known.extend(bytes(lacking))
        for index in range(first, stop):
            if not self._known[index]:
                place = (index - first) * HASH_BYTES
                self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES] = leaves[place : place + HASH_BYTES]
                self._known[index] = 1
