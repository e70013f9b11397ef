"""Tags whose verdict the passing of time may change, by when.

Kept by hour, minute, second and moment, and the tags of one moment in pages: neither setting a timer nor a tick reads
what is far away, or writes again what others set for the same time, such as all that waits for a window to open.
"""

from typing import Final

from schemas.references import Reference
from towline.policy.state.lists import append_name, take_names
from towline.policy.state.values import Draft, StateView

TIMERS_KEY: Final = "timers"
#: How much of a moment each level tells.
_LENGTHS: Final = tuple(
    map(len, ("2026-11-24T08", "2026-11-24T08:00", "2026-11-24T08:00:00", "2026-11-24T08:00:00.000000Z"))
)


def set_timer(draft: Draft, reference: Reference, due_at: str) -> None:
    """Remember that a tag is to be looked at when the log's clock reaches ``due_at``."""
    key = TIMERS_KEY
    for length in _LENGTHS:
        entries = _entries(draft, key)
        if due_at[:length] not in entries:
            draft.put(key, {"entries": sorted([*entries, due_at[:length]])})
        key = f"timers {due_at[:length]}"
    append_name(draft, key, str(reference))


def pop_due(draft: Draft, now: str, count: int) -> list[Reference]:
    """Remove and return up to ``count`` tags that are due at ``now``, the longest waiting first."""
    return [Reference.parse(name) for name in _pop(draft, TIMERS_KEY, _LENGTHS, now, count)]


def _pop(draft: Draft, key: str, lengths: tuple[int, ...], now: str, count: int) -> list[str]:
    if not lengths:
        return take_names(draft, key, count)
    found: list[str] = []
    for moment in _entries(draft, key):
        below = f"timers {moment}"
        if moment <= now[: lengths[0]]:
            found += _pop(draft, below, lengths[1:], now, count - len(found))
        if draft.get(below) is not None:
            break  # It has more than was asked for, or what is not due yet.
        left = _entries(draft, key)[1:]
        draft.put(key, {"entries": left} if left else None)
    return found


def _entries(state: StateView, key: str) -> list[str]:
    value = state.get(key)
    return [] if value is None else list(value["entries"])
