"""The values of the state, how they are read, and how one event changes them.

A value is JSON and absolute, never a difference: writing it twice is writing it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from towline import limits

#: The shape of all values, by which a table of another version is told apart: raise it with every change of a shape or
#: a key. Nothing reads older shapes; the log is folded again.
STATE_FORMAT: Final = 6

#: The revision in force: ``{"revision": 3, "digest": "…"}``. Small, because every push reads it.
REVISION_KEY: Final = "revision"
#: The policy set in force, as in :class:`schemas.policies.PolicySet`.
POLICIES_KEY: Final = "policies"
#: The last revision number given out: ``{"revision": 3}``. Only in the partition that takes proposals.
ACCEPTED_KEY: Final = "accepted"
#: The log's clock: ``{"now": "…"}``.
CLOCK_KEY: Final = "clock"

#: How many tags one event may have judged: ``{"tags": 1000}``. Only where no worker waits for the end of an event, as
#: in a what-if; elsewhere ``limits.judged_tag_count`` holds.
PACE_KEY: Final = "pace"

Value = Mapping[str, Any]


#: In place of a value, for a key that was not put; no state holds this very mapping.
_UNTOUCHED: Final[Value] = {}


class StateView(Protocol):
    """A state, to read only."""

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """The value that a key has from now on; None: it is gone."""

    key: str
    value: Value | None


class Draft:
    """A state as one event changes it: what was put is read back, the state below stays as it is."""

    def __init__(self, state: StateView) -> None:
        self._state = state
        self._values: dict[str, Value | None] = {}
        self._revision: RevisionState | None = None

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        value = self._values.get(key, _UNTOUCHED)
        return self._state.get(key) if value is _UNTOUCHED else value

    def put(self, key: str, value: Value | None) -> None:
        """Set a value; None removes it."""
        self._values[key] = value
        if key == REVISION_KEY:
            self._revision = None

    @property
    def revision(self) -> "RevisionState":
        """The revision in force, read once: every part of the fold asks for it."""
        if self._revision is None:
            self._revision = RevisionState.of(self.get(REVISION_KEY))
        return self._revision

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that was put, each key once, in the order of its first change."""
        return tuple(Change(key, value) for key, value in self._values.items())


@dataclass(frozen=True, slots=True)
class RevisionState:
    """Which policy set is in force."""

    revision: int = 0
    digest: str = ""

    @classmethod
    def read(cls, state: StateView) -> "RevisionState":
        """Return the revision in force; 0 before the first publication."""
        return state.revision if isinstance(state, Draft) else cls.of(state.get(REVISION_KEY))

    @classmethod
    def of(cls, value: Value | None) -> "RevisionState":
        """Return what the value under the key of the revision tells."""
        return cls() if value is None else cls(value["revision"], value["digest"])


def accepted_revision(state: StateView) -> int:
    """Return the last revision number that was given out in this partition."""
    value = state.get(ACCEPTED_KEY)
    return 0 if value is None else int(value["revision"])


def judged_tag_count(state: StateView) -> int:
    """Return how many tags one event may have judged at most; what is left is for later events."""
    value = state.get(PACE_KEY)
    return limits.judged_tag_count if value is None else int(value["tags"])


def clock(state: StateView) -> str:
    """Return the log's time as an instant; the empty text, which sorts before all, until the first tick."""
    value = state.get(CLOCK_KEY)
    return "" if value is None else str(value["now"])
