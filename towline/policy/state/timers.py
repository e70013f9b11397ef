"""Tags whose verdict the passing of time may change, by when.

Kept by hour, then by minute, so that neither setting a timer nor a tick reads what is far away.
"""

from typing import Final

from schemas.references import Reference
from towline.policy.state.values import Draft, StateView

TIMERS_KEY: Final = "timers"
_HOUR: Final = len("2026-11-24T08")
_MINUTE: Final = len("2026-11-24T08:00")


def set_timer(draft: Draft, reference: Reference, due_at: str) -> None:
    """Remember that a tag is to be looked at when the log's clock reaches ``due_at``."""
    hour, minute = f"timers {due_at[:_HOUR]}", f"timers {due_at[:_MINUTE]}"
    _insert(draft, TIMERS_KEY, hour)
    _insert(draft, hour, minute)
    _insert(draft, minute, f"{due_at} {reference}")


def pop_due(draft: Draft, now: str, count: int) -> list[Reference]:
    """Remove and return up to ``count`` tags that are due at ``now``, the longest waiting first."""
    due: list[Reference] = []
    for hour in _until(draft, TIMERS_KEY, f"timers {now[:_HOUR]}"):
        for minute in _until(draft, hour, f"timers {now[:_MINUTE]}"):
            entries = _until(draft, minute, f"{now} ~")[: count - len(due)]
            due += [Reference.parse(entry.partition(" ")[2]) for entry in entries]
            _remove(draft, minute, entries)
            if draft.get(minute) is not None:
                return due
            _remove(draft, hour, [minute])
        if draft.get(hour) is not None:
            return due
        _remove(draft, TIMERS_KEY, [hour])
    return due


def _entries(state: StateView, key: str) -> list[str]:
    value = state.get(key)
    return [] if value is None else list(value["entries"])


def _until(state: StateView, key: str, last: str) -> list[str]:
    return [entry for entry in _entries(state, key) if entry <= last]


def _insert(draft: Draft, key: str, entry: str) -> None:
    entries = _entries(draft, key)
    if entry not in entries:
        draft.put(key, {"entries": sorted([*entries, entry])})


def _remove(draft: Draft, key: str, removed: list[str]) -> None:
    left = [entry for entry in _entries(draft, key) if entry not in removed]
    draft.put(key, {"entries": left} if left else None)
