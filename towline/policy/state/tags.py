"""What is known of a tag, and which tags and repositories the partition has seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.references import Reference, Repository
from towline.policy.state.lists import append_name
from towline.policy.state.values import Draft, StateView

REPOSITORIES_LIST: Final = "repositories"


@dataclass(frozen=True, slots=True)
class Pending:
    """A verdict on a tag's digest that a later event may change."""

    verdict: str
    #: When the passing of time may change it; None when only a fact can.
    due_at: str | None = None


@dataclass(frozen=True, slots=True)
class TagState:
    """What is known of one tag."""

    #: None when the tag was deleted.
    digest: str | None = None
    #: The revision under which this digest arrived.
    revision: int = 0
    #: Transfers in a row that led to this digest; 0 for a push.
    hops: int = 0
    #: The ids of the last events about this tag, newest last.
    recent: tuple[str, ...] = ()
    #: When it was last updated, as the log recorded it.
    updated_at: str = ""
    #: Who pushed the image that it points to.
    pushed_by: str | None = None
    #: By policy, the verdicts on this digest that can still change: ``hold`` and ``deny``.
    pending: Mapping[str, Pending] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether an event told before what this tag has; a hint tells nothing of that."""
        return bool(self.updated_at)

    @classmethod
    def read(cls, state: StateView, reference: Reference) -> "TagState":
        """Return what is known of the tag; nothing is known before its first event."""
        value = state.get(tag_key(reference))
        if value is None:
            return cls()
        pending = {name: Pending(verdict, due) for name, (verdict, due) in value["pending"].items()}
        return cls(
            value["digest"],
            value["revision"],
            value["hops"],
            tuple(value["recent"]),
            value["updated_at"],
            value["pushed_by"],
            pending,
        )

    def write(self, draft: Draft, reference: Reference) -> None:
        """Make this the tag's state."""
        value = {
            "digest": self.digest,
            "revision": self.revision,
            "hops": self.hops,
            "recent": list(self.recent),
            "updated_at": self.updated_at,
            "pushed_by": self.pushed_by,
            "pending": {name: [item.verdict, item.due_at] for name, item in self.pending.items()},
        }
        draft.put(tag_key(reference), value)


def tag_key(reference: Reference) -> str:
    """Return the key of a tag's state."""
    return f"tag {reference}"


def tag_of(key: str) -> Reference | None:
    """Return the tag whose state is under a key; None for the keys of other values."""
    kind, _, reference = key.partition(" ")
    return Reference.parse(reference) if kind == "tag" else None


def tags_list(repository: Repository) -> str:
    """Return the name of the list of a repository's tags."""
    return f"tags {repository}"


def note_tag(draft: Draft, reference: Reference) -> None:
    """Add a tag that was never seen before to the lists."""
    tags = tags_list(reference.repository)
    if draft.get(tags) is None:
        append_name(draft, REPOSITORIES_LIST, str(reference.repository))
    append_name(draft, tags, reference.tag)
