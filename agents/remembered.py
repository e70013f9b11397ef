"""What the observer last recorded of each repository: only what differs from it is news.

In memory alone: whoever has none records everything once. Nothing depends on it being right either, because every poll
ends with a sum over all that it saw, and the evaluator asks for all of it when that is not what the log tells.
"""

from collections import OrderedDict
from collections.abc import Mapping

from schemas.references import Repository
from towline import limits

Tags = Mapping[str, str]
"""The digest of each tag."""


class Remembered:
    """The tags of the repositories that were asked last, up to ``limits.remembered_tag_count`` over all of them."""

    def __init__(self) -> None:
        self._of: OrderedDict[Repository, dict[str, str]] = OrderedDict()
        self._count = 0

    def get(self, repository: Repository) -> Tags | None:
        """Return what was last recorded of a repository; None when that is not known."""
        if repository in self._of:
            self._of.move_to_end(repository)
        return self._of.get(repository)

    def forget(self, repository: Repository) -> None:
        """Know nothing of a repository, as while something is being recorded of it."""
        self._count -= _weight(self._of.pop(repository, None))

    def forget_all(self) -> None:
        """Know nothing: others may record from now on."""
        self._of.clear()
        self._count = 0

    def remember(self, repository: Repository, tags: Tags) -> None:
        """Note what is recorded of a repository now; what was asked longest ago makes room.

        One with more tags than there is room for at all is not remembered.
        """
        self.forget(repository)
        if _weight(tags) > limits.remembered_tag_count:
            return
        self._of[repository] = dict(tags)
        self._count += _weight(tags)
        self._make_room()

    def note(self, repository: Repository, tag: str, digest: str | None) -> None:
        """Note what is recorded of a single tag of a repository that is known; None: it is not there."""
        tags = self._of.get(repository)
        if tags is None:
            return
        self._count -= _weight(tags)
        if digest is None:
            tags.pop(tag, None)
        else:
            tags[tag] = digest
        self._count += _weight(tags)
        self._make_room()

    def _make_room(self) -> None:
        while self._count > limits.remembered_tag_count:
            self.forget(next(iter(self._of)))


def _weight(tags: Tags | None) -> int:
    # A repository without tags takes room too.
    return 0 if tags is None else len(tags) + 1
