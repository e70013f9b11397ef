"""Finding where the records of a topic differ from the leaves that were sealed, in one pass over both.

Where they differ, the nearest leaf that both have further on tells what happened in between: records that are gone,
records that were put in, or records with other bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streams.audit.verifier.sealed import SealedLeaves

#: How far ahead is looked for a leaf that both have; at first not as far, since most differences are small.
WINDOW: Final = 10_000
_NEAR: Final = 8


class Seen(NamedTuple):
    """A record of the topic."""

    leaf: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the topic is not what was sealed."""

    what: Literal["changed", "missing", "inserted"]
    #: Which leaf it is; of inserted records, the one that they stand before.
    index: int
    #: Where the record stands; of missing ones, the record that stands there instead. None at the end of the topic.
    offset: int | None
    #: What was sealed there; None for inserted records.
    sealed: bytes | None
    #: What stands there; None for missing ones.
    found: bytes | None


class Alignment:
    """Compares records, as they come, with sealed leaves."""

    def __init__(self, sealed: SealedLeaves) -> None:
        self._sealed = sealed
        self._ahead: list[Seen] = []
        #: The next leaf to be compared.
        self.index = 0
        #: Records after the last leaf.
        self.beyond = 0

    def take(self, batch: list[Seen]) -> Iterator[bytes | Difference]:
        """Compare further records; yield, in order, each leaf that is there as it was sealed, and each difference.

        Where a leaf is not known, that of the record is yielded.
        """
        if not self._ahead and self._sealed.are(self.index, leaves := [seen.leaf for seen in batch]):
            self.index += len(batch)
            yield from leaves
            return
        self._ahead.extend(batch)
        yield from self._compare(is_end=False)

    def end(self) -> Iterator[bytes | Difference]:
        """Compare what came and was not compared yet: nothing comes any more."""
        yield from self._compare(is_end=True)

    def tail(self) -> Iterator[Difference]:
        """Yield the leaves after the last record, as missing."""
        for index in range(self.index, len(self._sealed)):
            yield Difference("missing", index, None, self._sealed.leaf(index), None)

    def _compare(self, *, is_end: bool) -> Iterator[bytes | Difference]:
        start, ahead = 0, self._ahead
        while start < len(ahead) and self.index < len(self._sealed):
            sealed = self._sealed.leaf(self.index)
            if sealed is None or sealed == ahead[start].leaf:
                yield ahead[start].leaf
                start, self.index = start + 1, self.index + 1
            elif is_end or len(ahead) - start >= WINDOW:
                gone, new = self._until_they_meet(ahead[start : start + WINDOW])
                yield from self._differences(gone, ahead[start : start + new], _offset(ahead, start + new))
                start += new
            else:
                break
        if self.index == len(self._sealed):
            self.beyond += len(ahead) - start
            start = len(ahead)
        del ahead[:start]

    def _until_they_meet(self, seen: list[Seen]) -> tuple[int, int]:
        """Return how many leaves and how many records lie before the nearest pair that is equal."""
        best = self._nearest(seen[:_NEAR], _NEAR) or self._nearest(seen, WINDOW)
        if best is not None:
            return best
        if (further := self._sealed.find(seen[0].leaf, self.index)) is not None:
            return further - self.index, 0
        fewer = min(len(self._sealed) - self.index, len(seen))
        return fewer, fewer

    def _nearest(self, seen: list[Seen], window: int) -> tuple[int, int] | None:
        places: dict[bytes, int] = {}
        for place in range(min(len(self._sealed) - self.index, window)):
            leaf = self._sealed.leaf(self.index + place)
            if leaf is not None:
                places.setdefault(leaf, place)
        met = [(places[leaf], new) for new, (leaf, _) in enumerate(seen) if leaf in places]
        return min(met, key=sum, default=None)

    def _differences(self, gone: int, new: list[Seen], next_offset: int | None) -> Iterator[Difference]:
        changed = min(gone, len(new))
        for seen in new[:changed]:
            yield Difference("changed", self.index, seen.offset, self._sealed.leaf(self.index), seen.leaf)
            self.index += 1
        for _ in range(gone - changed):
            yield Difference("missing", self.index, next_offset, self._sealed.leaf(self.index), None)
            self.index += 1
        for seen in new[changed:]:
            yield Difference("inserted", self.index, seen.offset, None, seen.leaf)


def _offset(seen: list[Seen], place: int) -> int | None:
    return seen[place].offset if place < len(seen) else None
