"""The state that one partition of the log folds into: keys, values, and how they are read.

A value is JSON and absolute, never a difference: writing it twice is writing it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schemas.references import Reference

#: The revision in force: ``{"revision": 3, "digest": "…"}``. Small, because every push reads it.
REVISION_KEY: Final = "revision"
#: The policy set in force, as in :class:`schemas.policies.PolicySet`.
POLICIES_KEY: Final = "policies"
#: The last revision number given out: ``{"revision": 3}``. Only in the partition that takes proposals.
ACCEPTED_KEY: Final = "accepted"
#: The log's clock: ``{"now": "…"}``.
CLOCK_KEY: Final = "clock"

Value = Mapping[str, Any]


class StateView(Protocol):
    """The state before an event, to read only."""

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """The value that a key has from now on."""

    key: str
    value: Value


@dataclass(frozen=True, slots=True)
class RevisionState:
    """Which policy set is in force."""

    revision: int = 0
    digest: str = ""

    @classmethod
    def read(cls, state: StateView) -> "RevisionState":
        """Return the revision in force; 0 before the first publication."""
        value = state.get(REVISION_KEY)
        return cls() if value is None else cls(value["revision"], value["digest"])


@dataclass(frozen=True, slots=True)
class TagState:
    """What is known of one tag."""

    #: None when the tag was deleted.
    digest: str | None = None
    #: The revision under which this digest was judged.
    revision: int = 0
    #: Transfers in a row that led to this digest; 0 for a push.
    hops: int = 0
    #: The ids of the last events about this tag, newest last.
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, reference: Reference) -> "TagState":
        """Return what is known of the tag; nothing is known before its first event."""
        value = state.get(tag_key(reference))
        if value is None:
            return cls()
        return cls(value["digest"], value["revision"], value["hops"], tuple(value["recent"]))

    def change(self, reference: Reference) -> Change:
        """Return the change that makes this the tag's state."""
        return Change(
            tag_key(reference),
            {"digest": self.digest, "revision": self.revision, "hops": self.hops, "recent": list(self.recent)},
        )


def tag_key(reference: Reference) -> str:
    """Return the key of a tag's state."""
    return f"tag {reference}"


def accepted_revision(state: StateView) -> int:
    """Return the last revision number that was given out in this partition."""
    value = state.get(ACCEPTED_KEY)
    return 0 if value is None else int(value["revision"])


def clock(state: StateView) -> str:
    """Return the log's time as an instant; the empty text, which sorts before all, until the first tick."""
    value = state.get(CLOCK_KEY)
    return "" if value is None else str(value["now"])
