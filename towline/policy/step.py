"""One step of the fold, for the evaluator and for replay alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import PolicyPublished
from schemas.references import Frozen
from towline.policy.decide import decide
from towline.policy.evolve import evolve
from towline.policy.publish import announce
from towline.policy.state import Change, Value


@dataclass(frozen=True, slots=True)
class Step:
    """Everything that one event leads to."""

    decisions: tuple[Envelope[Decision], ...]
    announcements: tuple[Envelope[PolicyPublished], ...]
    changes: tuple[Change, ...]


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
            self.values[change.key] = change.value

    def step(self, event: Envelope[Frozen]) -> Step:
        """Take one event: return what it leads to, and become the state after it."""
        step = Step(decide(self, event), announce(self, event), evolve(self, event))
        self.apply(step.changes)
        return step
