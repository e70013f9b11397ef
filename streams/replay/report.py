"""The report of a what-if: what people and programs are told, in one form for table, JSON and page."""

from dataclasses import dataclass

from streams.replay.what_if import WhatIf
from towline.replay.differences import KINDS, PolicyChanges
from towline.replay.shadows import ShadowReport

#: What people call each kind of change.
TITLES = {
    "newly_promoted": "newly promoted",
    "no_longer_promoted": "no longer promoted",
    "changed_tags": "changed target tags",
    "new_holds": "new holds",
    "released_holds": "released holds",
    "new_conflicts": "new conflicts",
    "new_denials": "new denials",
    "newly_removed": "newly removed",
    "no_longer_removed": "no longer removed",
}


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What was looked at."""

    from_time: str | None
    to_time: str | None
    events: int
    log_begins: str | None
    #: As far as the window reaches.
    log_ends: str | None
    revisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a proposed set changes in a window, or a policy in shadow would have changed."""

    window: WindowReport
    changed_policies: list[str]
    #: Repositories that they can reach; None: all were evaluated.
    repositories: int | None
    counts: dict[str, int]
    policies: list[PolicyChanges]
    notes: list[str]
    shadow: ShadowReport | None = None

    @property
    def total(self) -> int:
        """How many changes there are in all."""
        return sum(self.counts.values())


def report_of(result: WhatIf, shadow: ShadowReport | None = None) -> Report:
    """Return the report of a what-if."""
    window = result.window
    counts = {kind: sum(len(getattr(changes, kind)) for changes in result.changes) for kind in KINDS}
    return Report(
        WindowReport(
            window.from_time,
            window.to_time,
            window.events,
            window.first_time,
            window.last_time,
            tuple(sorted(window.sets)),
        ),
        result.changed_policies,
        result.repositories,
        counts,
        result.changes,
        _notes(result),
        shadow,
    )


def _notes(result: WhatIf) -> list[str]:
    window, notes = result.window, []
    if window.first_time is None:
        notes.append(
            f"the log has nothing before {window.to_time}" if window.to_time is not None else "the log is empty"
        )
    elif not window.events:
        notes.append(f"the window has no events: the log ends at {window.last_time}")
    elif window.from_time is not None and window.from_time < window.first_time:
        notes.append(f"the window begins before the log, which begins at {window.first_time}")
    if window.events and not result.changed_policies:
        notes.append("the proposed policies are those that were in force")
    return notes
