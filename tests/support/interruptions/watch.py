"""The tags of a repository, watched: what they were pointed to, and what was wrong at that moment."""

from collections.abc import Callable, Mapping

Judge = Callable[[str, str, str | None], None]
"""Is told of each write: the tag, its digest, and the digest before."""


class WatchedTags(dict[str, str]):
    """A dictionary that tells of each write. What others write they write by :meth:`put_by_others`."""

    def __init__(self, tags: Mapping[str, str], judge: Judge) -> None:
        super().__init__(tags)
        self._judge = judge

    def __setitem__(self, tag: str, digest: str) -> None:
        before = self.get(tag)
        super().__setitem__(tag, digest)
        self._judge(tag, digest, before)

    def put_by_others(self, tag: str, digest: str) -> None:
        """Point a tag to a digest as somebody else would."""
        super().__setitem__(tag, digest)


def is_in_order(written: list[str], wanted: list[str]) -> bool:
    """Tell whether digests were written in the order in which they were wanted; repeated and left out ones may be."""
    position = 0
    for digest in written:
        if digest not in wanted[position:]:
            return False
        position += wanted[position:].index(digest)
    return True
