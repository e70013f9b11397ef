"""What webhooks told of the sources, and what only a comparison with the registries found, from the log alone.

The log is folded anew as far as that question needs it: which pushes and deletions were new to it is the evaluator's
own judgement. Policies, facts and verdicts have no part in it and are left out, so that this takes a fraction of a
replay; in memory is what is known of the tags of one partition at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    PollCompleted,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferSkipped,
)
from schemas.references import Frozen, Repository
from streams.folding import read_event
from streams.log import EventLog
from streams.publication import policies_in_force
from streams.topics import EVENTS
from towline.errors import UnusableInputError
from towline.policy.agenda import News
from towline.policy.evolve import evolve
from towline.policy.index import PolicyIndex
from towline.policy.state.tags import tag_of
from towline.policy.state.values import Draft
from towline.policy.step import MemoryState

#: What can change which digest a tag is known to have.
_TYPES: Final = (
    ClockTicked,
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    PollCompleted,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferSkipped,
)


@dataclass(slots=True)
class Reconciliation:
    """How complete the webhooks of one source repository are. Instants are those of the log."""

    repository: str
    #: When its contents were last compared with the log; None: never.
    last_compared: str | None = None
    #: Pushes that were new to the log: told by a webhook or a producer, or found missing by a reconciliation.
    pushes_told: int = 0
    pushes_missed: int = 0
    #: Deletions of tags, alike.
    deletions_told: int = 0
    deletions_missed: int = 0
    #: Missed pushes of all, from 0 to 1; None before the first.
    share_missed: float | None = None

    def count_push(self, news: News) -> None:
        """Count a push that was new to the log."""
        if news == "told":
            self.pushes_told += 1
        else:
            self.pushes_missed += 1
        self.share_missed = self.pushes_missed / (self.pushes_told + self.pushes_missed)


async def reconciliations(
    log: EventLog,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - nobody looks
) -> list[Reconciliation]:
    """Return how complete the webhooks of the repositories are that are a source of a policy in force, by name.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    index = PolicyIndex((await policies_in_force(log)).policies)
    found: dict[Repository, Reconciliation] = {}
    partitions = await log.partitions(EVENTS)
    ends = [await log.high_watermark(EVENTS, partition) for partition in range(partitions)]
    for partition, end in enumerate(ends):
        fold = _Fold(found)
        start = await log.low_watermark(EVENTS, partition)
        async for batch in log.read_batches(EVENTS, partition, start, end):
            for record in batch:
                try:
                    event = read_event(record, partitions)
                except UnusableInputError:
                    continue  # A dead letter tells of it; the evaluator learned nothing from it either.
                if isinstance(event.data, _TYPES):
                    fold.take(event)
        progress(sum(ends[: partition + 1]), sum(ends))
    return [one for repository, one in sorted(found.items()) if index.matching(repository)]


class _Fold:
    """What one partition tells of its repositories."""

    def __init__(self, found: dict[Repository, Reconciliation]) -> None:
        self._found = found
        self._state = MemoryState()
        #: Those whose last listing was a reconciliation's. Where more is gone than one event may note, ticks go on.
        self._reconciled: set[Repository] = set()

    def take(self, event: Envelope[Frozen]) -> None:
        """Take the next event."""
        draft = Draft(self._state)
        news = evolve(draft, event).news
        self._state.apply(draft.changes)
        match event.data:
            case ImagePushed() | ImageObserved() as data if news is not None:
                self._of(data.repository).count_push(news)
            case PollCompleted(repository=Repository() as repository, contents=str()):
                one = self._of(repository)
                one.last_compared = max(event.time, one.last_compared or "")
            case ImageDeleted() as data if news is not None:
                self._of(data.repository).deletions_told += 1
            case TagsListed() as data:
                (self._reconciled.add if data.cause == "reconciliation" else self._reconciled.discard)(data.repository)
                self._note_gone(draft)
            case ClockTicked():
                self._note_gone(draft)
            case _:
                pass

    def _note_gone(self, draft: Draft) -> None:
        for repository in _gone(draft):
            if repository in self._reconciled:
                self._of(repository).deletions_missed += 1

    def _of(self, repository: Repository) -> Reconciliation:
        return self._found.setdefault(repository, Reconciliation(str(repository)))


def _gone(draft: Draft) -> Iterator[Repository]:
    """Yield the repository of each tag that an event told to be gone."""
    for change in draft.changes:
        reference = tag_of(change.key)
        if reference is not None and change.value is not None and change.value["digest"] is None:
            yield reference.repository
