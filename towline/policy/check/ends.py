"""Finding texts that may be alike without comparing all pairs: only those whose ends do not tell them apart."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from schemas.patterns import SourcePattern

ItemT = TypeVar("ItemT")

#: Sorts after every text that begins as the text before it.
_LAST: Final = "\U0010ffff"


class Ends(Generic[ItemT]):
    """Items by what their texts begin with. Each has the same number of keys, each key being such a beginning."""

    def __init__(self, items: Sequence[tuple[tuple[str, ...], ItemT]]) -> None:
        self._items = [item for _, item in items]
        width = len(items[0][0]) if items else 0
        self._columns = [_Column([keys[column] for keys, _ in items]) for column in range(width)]

    def alike(self, keys: tuple[str, ...]) -> Iterator[tuple[int, ItemT]]:
        """Yield, with their numbers, at least the items of which each key begins as the given one, or it as the key."""
        if not self._columns:
            return
        best = min(zip(self._columns, keys, strict=True), key=lambda pair: pair[0].count(pair[1]))
        for number in best[0].alike(best[1]):
            yield number, self._items[number]


class _Column:
    def __init__(self, keys: list[str]) -> None:
        self._order = sorted(range(len(keys)), key=keys.__getitem__)
        self._sorted = [keys[number] for number in self._order]
        self._lengths = sorted({len(key) for key in keys})

    def count(self, key: str) -> int:
        return sum(stop - start for start, stop in self._ranges(key))

    def alike(self, key: str) -> Iterator[int]:
        for start, stop in self._ranges(key):
            yield from self._order[start:stop]

    def _ranges(self, key: str) -> Iterator[tuple[int, int]]:
        yield bisect_left(self._sorted, key), bisect_left(self._sorted, key + _LAST)
        for length in self._lengths[: bisect_left(self._lengths, len(key))]:
            start = bisect_left(self._sorted, key[:length])
            stop = start
            while stop < len(self._sorted) and self._sorted[stop] == key[:length]:
                stop += 1
            yield start, stop


def ends_of(pattern: SourcePattern) -> tuple[str, str]:
    """Return what all repositories of a pattern begin with, and what they end with, spelled backwards."""
    text = str(pattern)
    return text.partition("*")[0], text.rpartition("*")[2][::-1]
