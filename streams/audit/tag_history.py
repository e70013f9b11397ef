"""What tags had, one digest after the other, as the log knows it, and what brought it there.

The events are taken by the core itself, so that what counts as a change here is what counted as one for it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.envelope import Envelope
from schemas.events import ClockTicked, ImageDeleted, ImageObserved, ImagePushed, TagRemoved, TagsListed
from schemas.outcomes import Arrived
from schemas.references import Frozen, Reference, Repository
from streams.history import Recorded, recorded
from streams.log import ReadableLog
from streams.routing import home_partition
from streams.topics import EVENTS, partition_for, repository_key
from towline.policy.arrival import is_arrival
from towline.policy.evolve import evolve
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft
from towline.policy.step import MemoryState

#: As many names are looked for in each record; to look for more takes longer than to read it.
_NAMES_MAX: Final = 30


@dataclass(slots=True)
class Stay:
    """A time in which a tag had one digest, or was not there."""

    #: None: it was not there.
    digest: str | None
    since: str
    #: Where the event stands by which the log knows.
    position: str
    #: The transfers that brought this digest, or found it there.
    outcomes: list[Arrived] = field(default_factory=list)

    @property
    def mover(self) -> Arrived | None:
        """The transfer that brought the digest; None when none did.

        A registry may tell of our own copy before its outcome is in the log, so the first event does not say it.
        """
        moved = (outcome for outcome in self.outcomes if outcome.previous_digest != self.digest)
        return next(moved, self.outcomes[0] if self.outcomes else None)


async def read_histories(log: ReadableLog, references: Collection[Reference]) -> Mapping[Reference, list[Stay]]:
    """Return, for each tag, what it had, the newest last; nothing of a tag of which the log knows nothing.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    partitions = await log.partitions(EVENTS)
    places: dict[int, dict[Repository, list[Reference]]] = defaultdict(lambda: defaultdict(list))
    for reference in references:
        place = places[partition_for(repository_key(reference.repository), partitions)]
        place[reference.repository].append(reference)
    found: dict[Reference, list[Stay]] = {reference: [] for reference in references}
    for partition, repositories in places.items():
        state = MemoryState()
        names = [str(repository).encode() for repository in repositories]
        texts = [] if len(names) > _NAMES_MAX else [*names, b"clock.ticked"]
        async for item in recorded(log, EVENTS, partition, texts):
            if home_partition(item.envelope, partitions) in {None, partition}:
                _take(state, item, _touched(item.envelope, repositories), found)
    return found


def _touched(event: Envelope[Frozen], wanted: Mapping[Repository, list[Reference]]) -> list[Reference] | None:
    """Return which of the wanted tags an event may change; None when it is none of those that change tags."""
    match event.data:
        case ClockTicked():
            return [reference for references in wanted.values() for reference in references]
        case ImagePushed() | ImageObserved() as data:
            reference = Reference(data.repository, data.tag)
        case ImageDeleted(tag=str() as tag) as data:
            reference = Reference(data.repository, tag)
        case TagRemoved() | Arrived() as data:
            reference = data.target
        case TagsListed() as data:
            return wanted.get(data.repository)
        case _:
            return None
    return [reference] if reference in wanted.get(reference.repository, ()) else None


def _take(
    state: MemoryState, item: Recorded, touched: list[Reference] | None, found: Mapping[Reference, list[Stay]]
) -> None:
    if touched is None:
        return
    draft = Draft(state)
    evolve(draft, item.envelope)
    state.apply(draft.changes)
    data = item.envelope.data
    outcome = data if isinstance(data, Arrived) and is_arrival(item.envelope) else None
    for reference in touched:
        tag, stays = TagState.read(state, reference), found[reference]
        if tag.is_known and (not stays or stays[-1].digest != tag.digest):
            stays.append(Stay(tag.digest, item.envelope.time, item.position))
        if outcome is not None and stays and stays[-1].digest == outcome.arrived_digest:
            stays[-1].outcomes.append(outcome)
