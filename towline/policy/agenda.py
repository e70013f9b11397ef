"""What an event makes it necessary to judge."""

from collections.abc import Iterable
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
    #: A person asked for an image at a target: no policy judges.
    is_requested: bool = False
    #: The event was taken before, or tells what was known before it: it asks for nothing.
    is_repeated: bool = False


NOTHING = Agenda()
REPEATED = Agenda(is_repeated=True)


def merge_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return one task for each tag: a timer and a sweep may come to the same one."""
    merged: dict[Reference, Task] = {}
    for task in tasks:
        known = merged.get(task.reference, task)
        both = None if known.policies is None or task.policies is None else known.policies | task.policies
        merged[task.reference] = Task(task.reference, both, known.is_new or task.is_new)
    return tuple(merged.values())
