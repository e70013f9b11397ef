"""How one rule came out, before it is written down."""

from dataclasses import dataclass

from schemas.decisions import Holding
from towline.policy.rules.view import Missing


@dataclass(frozen=True, slots=True)
class Found:
    """A rule's result, with what it looked at."""

    result: Holding
    actual: str | None = None
    detail: str | None = None
    #: The ids of the events that told what it looked at.
    events: tuple[str, ...] = ()
    #: When the passing of time makes it hold; None when time alone does not.
    due_at: str | None = None


def decided(holds: bool, actual: str | None, *events: str, detail: str | None = None) -> Found:
    """Return what a rule with everything it needs came to."""
    return Found("holds" if holds else "fails", actual, detail, events)


def waiting(missing: Missing, *events: str) -> Found:
    """Return that a rule waits for a fact."""
    return Found("waits", None, missing.what, events)
