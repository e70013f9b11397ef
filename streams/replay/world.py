"""A window played again under a proposed policy set, to the end of every chain.

What the world did (pushes, observations, deletions, scans, approvals, requests, ticks) happens as recorded. What
followed from decisions happens where the proposed set decides so: at its recorded place if it is recorded, else at
once. Events of all partitions are taken in one order, by time, partition and offset, but never before an earlier one of
their partition.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import (
    ImageObserved,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    SyncRequested,
    TagsListed,
    TransferProgressed,
    TransferStarted,
)
from schemas.policies import PolicySet
from schemas.references import Frozen, Reference
from schemas.webhooks import (
    SubscriptionEnded,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)
from streams.consequences import consequence_key, consequences
from streams.replay.recorded import Place, RecordedPast
from streams.routing import home_partition
from streams.topics import partition_for, repository_key
from towline.policy.arrival import arrival_of
from towline.policy.state.tags import TagState
from towline.policy.state.values import PACE_KEY
from towline.policy.step import MemoryState, Step
from towline.replay.adoption import SOURCE, adopt
from towline.replay.differences import History

#: What no decision of a policy looks at.
_DECIDES_NOTHING: Final = (
    PolicyProposed,
    SyncRequested,
    TransferStarted,
    TransferProgressed,
    SubscriptionsProposed,
    SubscriptionsPublished,
    SubscriptionEnded,
    WebhookDelivered,
    WebhookFailed,
)
#: Nobody waits for the end of an event here. So what is due is judged at once, and one repository does not wait for
#: another of its partition.
_PACE: Final = {"tags": 2**53 - 1}


def empty_state() -> MemoryState:
    """Return the state in which a partition begins."""
    return MemoryState({PACE_KEY: _PACE})


class World:
    """The states of the partitions, as they become under the proposed set."""

    def __init__(
        self, states: Mapping[int, MemoryState], partitions: int, proposed: PolicySet, past: RecordedPast
    ) -> None:
        self._states = states
        self._partitions = partitions
        self._proposed = proposed
        self._past = past
        self._ahead = Counter(past.ahead)
        self._open = Counter(past.open_commands)
        #: Consequences that are decided, and recorded further on.
        self._awaited: Counter[int] = Counter()
        #: Recorded consequences that came before they were decided here, if they are at all.
        self._early: dict[int, deque[Envelope[Frozen]]] = {}
        #: All consequences that are decided in the window.
        self._decided: set[int] = set()
        #: Tags that something was brought to at once.
        self._made: set[Reference] = set()
        self.history = History()
        self.events = 0

    def remember(self, partition: int, event: Envelope[Frozen]) -> None:
        """Take an event from before the window as it was."""
        if not isinstance(event.data, _DECIDES_NOTHING):
            self._states[partition].step(event)

    def begin(self, time: str) -> None:
        """Put the proposed set in force in every partition."""
        for partition in sorted(self._states):
            step = adopt(self._states[partition], self._proposed, time)
            if step is not None:
                self._follow(step)

    def meet(self, place: Place, event: Envelope[Frozen]) -> None:
        """Take the next event of the window."""
        self.events += 1
        known = self._past.consequences.get(place)
        if isinstance(event.data, _DECIDES_NOTHING) or (known is not None and not self._is_awaited(known, event)):
            return
        if known is None and self._is_echo(place.partition, event):
            return
        self._follow(self._states[place.partition].step(self._here(event)))

    def _is_awaited(self, key: int, event: Envelope[Frozen]) -> bool:
        """Tell whether a recorded consequence follows here too; it is not ahead any more."""
        self._ahead[key] -= 1
        if not self._awaited[key]:
            self._early.setdefault(key, deque()).append(event)
            return False
        self._awaited[key] -= 1
        return True

    def _is_echo(self, partition: int, event: Envelope[Frozen]) -> bool:
        """Tell whether a registry told of what a transfer brought, which nobody brings here."""
        arrival = arrival_of(event)
        if arrival is None or not isinstance(event.data, ImagePushed | ImageObserved):
            return False
        brought = self._past.brought.get((str(arrival.reference), arrival.digest))
        if brought is None or event.time < brought.decided_at or brought.key in self._decided:
            return False
        return TagState.read(self._states[partition], arrival.reference).digest != arrival.digest

    def _here(self, event: Envelope[Frozen]) -> Envelope[Frozen]:
        """Return what an event says in this world."""
        data = event.data
        if isinstance(data, PolicyPublished):
            update = {"set": self._proposed, "digest": self._proposed.digest}
            return replace(event, data=data.model_copy(update=update))
        if isinstance(data, TagsListed):
            # Whoever listed the repository could not see what is only here.
            here = {
                reference.tag
                for reference in self._made
                if reference.repository == data.repository
                and (data.after or "") < reference.tag
                and (data.until is None or reference.tag <= data.until)
            }
            return replace(event, data=data.model_copy(update={"tags": tuple(sorted({*data.tags, *here}))}))
        return event

    def _follow(self, first: Step) -> None:
        """Take what follows from a step, and from that, as far as it is not recorded further on."""
        todo = deque([first])
        while todo:
            step = todo.popleft()
            for decision in step.decisions:
                self.history.add(decision, is_idle=self._is_idle(decision.data))
            for event in consequences(step, SOURCE):
                partition = home_partition(event, self._partitions)
                now = self._now(event) if partition in self._states else None
                if partition is not None and now is not None:
                    todo.append(self._states[partition].step(now))

    def _is_idle(self, decision: Decision) -> bool:
        """Tell whether a decision brings a digest to where it is already."""
        if decision.verdict not in {"promote", "mirror"} or decision.target is None:
            return False
        state = self._states.get(partition_for(repository_key(decision.target.repository), self._partitions))
        return state is not None and TagState.read(state, decision.target).digest == decision.digest

    def _now(self, event: Envelope[Frozen]) -> Envelope[Frozen] | None:
        """Return what happens at once when a consequence is decided.

        None when it is recorded further on, or was not there yet when the window ended.
        """
        key = consequence_key(event)
        if key is None:
            raise TypeError(f"{event.subject} follows from no decision")
        self._decided.add(key)
        if self._ahead[key] > self._awaited[key]:
            self._awaited[key] += 1
            return None
        if early := self._early.get(key):
            # It went as it is recorded, only later.
            return replace(early.popleft(), time=event.time)
        if self._open[key]:
            self._open[key] -= 1
            return None
        arrival = arrival_of(event)
        if arrival is not None:
            self._made.add(arrival.reference)
        return event
