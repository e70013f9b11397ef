"""What is known of a repository as a whole: what it has, as one number, and when it was asked."""

from dataclasses import dataclass

from schemas.references import Reference, Repository
from towline.policy.contents import EMPTY, moved
from towline.policy.state.values import Draft, StateView


def contents(state: StateView, repository: Repository) -> str:
    """Return what the log knows that a repository has; see :mod:`towline.policy.contents`."""
    value = state.get(_contents_key(repository))
    return EMPTY if value is None else str(value["sum"])


def note_move(draft: Draft, reference: Reference, before: str | None, after: str | None) -> None:
    """Note that a tag went from one digest to another; None: it was, or is, not there."""
    known = contents(draft, reference.repository)
    now = moved(known, reference.tag, before, after)
    if now != known:
        draft.put(_contents_key(reference.repository), {"sum": now})


@dataclass(frozen=True, slots=True)
class PolledState:
    """When a repository was asked what it has."""

    #: When a poll of it was first completed; None before.
    first_at: str | None = None
    #: The complete poll that it was asked for and has not answered yet: the command's id, and when it was given.
    asked: tuple[str, str] | None = None
    #: The ids of the last events about polls of it, newest last.
    recent: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: StateView, repository: Repository) -> "PolledState":
        """Return what is known of the repository's polls."""
        value = state.get(_polled_key(repository))
        if value is None:
            return cls()
        asked = value["asked"]
        return cls(value["first_at"], None if asked is None else (asked[0], asked[1]), tuple(value["recent"]))

    def write(self, draft: Draft, repository: Repository) -> None:
        """Make this what is known."""
        asked = None if self.asked is None else list(self.asked)
        value = {"first_at": self.first_at, "asked": asked, "recent": list(self.recent)}
        draft.put(_polled_key(repository), value)


def _contents_key(repository: Repository) -> str:
    return f"contents {repository}"


def _polled_key(repository: Repository) -> str:
    return f"polled {repository}"
