"""What an event makes it necessary to judge."""

from dataclasses import dataclass

from schemas.references import Reference


@dataclass(frozen=True, slots=True)
class Task:
    """A tag that is to be judged."""

    reference: Reference
    #: The policies that judge it; None: all that match.
    policies: frozenset[str] | None = None
    #: The image is new under this tag, or to these policies: what they need to know of it may have to be found out.
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Agenda:
    """The tags to judge, or the one that arrived and needs no judgement, with the reason."""

    tasks: tuple[Task, ...] = ()
    ignored: Reference | None = None
    reason: str = ""


NOTHING = Agenda()
