"""``replay what-if``: what would have come out of a window of the log under another policy set.

Only repositories that the changed policies can reach are folded; an evaluation from scratch folds all of them, and has
the same result.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Literal

from schemas.envelope import Envelope
from schemas.policies import PolicySet
from schemas.references import Frozen
from streams.folding import Quarantined, read_event
from streams.log import ReadableLog
from streams.replay.recorded import Place, RecordedPast, read_past
from streams.replay.scope import Scope, changed_policies, everything, reach
from streams.replay.window import Progress, Window, read_window, records_of
from streams.replay.world import World, empty_state
from streams.topics import EVENTS
from towline.errors import UnusableInputError
from towline.replay.differences import History, PolicyChanges, compare

Stage = Literal["reading the log", "reading what is recorded", "playing it again"]
StageProgress = Callable[[Stage, int, int], None]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a proposed set changes in a window."""

    window: Window
    changed_policies: list[str]
    #: Repositories that were folded; None: all.
    repositories: int | None
    changes: list[PolicyChanges]
    recorded: History
    proposed: History


def _quiet(stage: Stage, done: int, total: int) -> None:
    """Tell nobody."""


async def what_if(
    log: ReadableLog,
    proposed: PolicySet,
    *,
    from_time: str | None = None,
    to_time: str | None = None,
    quarantined: Quarantined = frozenset(),
    always: Collection[str] = (),
    from_scratch: bool = False,
    progress: StageProgress = _quiet,
) -> WhatIf:
    """Return what the proposed set changes from ``from_time`` to before ``to_time``.

    ``always`` are policies that are looked at although they are as they were.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    window = await read_window(log, from_time, to_time, lambda done, total: progress("reading the log", done, total))
    scope = everything(window) if from_scratch else reach(window, proposed, always)
    past = await read_past(
        log, window, scope, quarantined, lambda done, total: progress("reading what is recorded", done, total)
    )
    player = _Player(log, window, scope, quarantined)
    history = await player.play(proposed, past, lambda done, total: progress("playing it again", done, total))
    changes = compare(past.history, history)
    count = None if scope.keys is None else len(scope.keys)
    return WhatIf(window, changed_policies(window, proposed), count, changes, past.history, history)


class _Player:
    def __init__(self, log: ReadableLog, window: Window, scope: Scope, quarantined: Quarantined) -> None:
        self._log = log
        self._window = window
        self._scope = scope
        self._quarantined = quarantined

    async def play(self, proposed: PolicySet, past: RecordedPast, progress: Progress) -> History:
        window, partitions = self._window, self._scope.partitions
        world = World({one: empty_state() for one in partitions}, len(window.spans), proposed, past)
        total = sum(window.spans[one].end - window.spans[one].low for one in partitions)
        done = 0
        for partition in partitions:
            span = window.spans[partition]
            async for _, event in self._events(partition, span.low, span.start):
                world.remember(partition, event)
            progress(done := done + span.start - span.low, total)
        world.begin(window.begins)
        async for place, event in self._merged():
            world.meet(place, event)
            progress(done := done + 1, total)
        progress(total, total)
        return world.history

    async def _events(self, partition: int, start: int, stop: int) -> AsyncIterator[tuple[Place, Envelope[Frozen]]]:
        async for record in records_of(self._log, EVENTS, partition, (start, stop), self._scope.has):
            if (partition, record.offset) in self._quarantined:
                continue
            try:
                yield Place(partition, record.offset), read_event(record, len(self._window.spans))
            except UnusableInputError:
                continue

    async def _merged(self) -> AsyncIterator[tuple[Place, Envelope[Frozen]]]:
        """Yield the events of the window of all partitions, the earliest of those that are next in their partition."""
        spans = self._window.spans
        streams = {one: self._events(one, spans[one].start, spans[one].end) for one in self._scope.partitions}
        heads: list[tuple[str, Place, Envelope[Frozen]]] = []
        for stream in streams.values():
            if (head := await anext(stream, None)) is not None:
                heads.append((head[1].time, *head))
        heapify(heads)
        while heads:
            _, place, event = heads[0]
            yield place, event
            following = await anext(streams[place.partition], None)
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, (following[1].time, *following))
