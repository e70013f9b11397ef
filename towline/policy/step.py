"""One step of the fold, for the evaluator and for replay alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.commands import CopyImage, InspectImage, PollRepository
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import PolicyPublished
from schemas.references import Frozen
from towline.policy.carry import carry
from towline.policy.decide import decide
from towline.policy.evolve import evolve
from towline.policy.plan import inspections, plan, polls
from towline.policy.publish import announce
from towline.policy.remember import remember
from towline.policy.state.values import Change, Draft, StateView, Value


@dataclass(frozen=True, slots=True)
class Step:
    """Everything that one event leads to."""

    decisions: tuple[Envelope[Decision], ...]
    commands: tuple[Envelope[CopyImage | InspectImage | PollRepository], ...]
    #: Events for every partition.
    announcements: tuple[Envelope[PolicyPublished], ...]
    #: Events for the partitions of the targets.
    carried: tuple[Envelope[Frozen], ...]
    changes: tuple[Change, ...]


def take(state: StateView, event: Envelope[Frozen]) -> Step:
    """Return what an event leads to, given the state before it. Pure: equal arguments, equal bytes."""
    draft = Draft(state)
    agenda = evolve(draft, event)
    decisions = decide(draft, event, agenda)
    remember(draft, [decision.data for decision in decisions])
    copies = tuple(command for decision in decisions for command in plan(decision))
    return Step(
        decisions,
        (*copies, *inspections(draft, event, agenda), *polls(state, draft, event)),
        announce(state, event),
        tuple(fact for decision in decisions for fact in carry(draft, event, decision)),
        draft.changes,
    )


class MemoryState:
    """A state held in memory: for replay, trials and tests."""

    def __init__(self, values: Mapping[str, Value] | None = None) -> None:
        self.values: dict[str, Value] = dict(values or {})

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        return self.values.get(key)

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Make the changes."""
        for change in changes:
            if change.value is None:
                self.values.pop(change.key, None)
            else:
                self.values[change.key] = change.value

    def step(self, event: Envelope[Frozen]) -> Step:
        """Take one event: return what it leads to, and become the state after it."""
        step = take(self, event)
        self.apply(step.changes)
        return step
