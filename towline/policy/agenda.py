"""What an event makes it necessary to judge."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.decisions import Verdict
from schemas.references import Reference, Repository
from schemas.rollbacks import RollbackRequested

News = Literal["told", "missed"]
"""A webhook told what the log did not know, or a reconciliation found what no webhook had told."""


@dataclass(frozen=True, slots=True)
class Task:
    """A tag that is to be judged."""

    reference: Reference
    #: The policies that judge it; None: all that match.
    policies: frozenset[str] | None = None
    #: The image is new under this tag, or to these policies: what they need to know of it may have to be found out.
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """What becomes of a target tag whose source tag vanished."""

    source: Reference
    policy: str
    target: Reference
    #: What the policy brought there.
    digest: str
    hops: int
    #: Why it stays; None: it goes.
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rollback of a target tag stands after an event about it."""

    request: RollbackRequested
    verdict: Verdict
    reason: str
    #: All who have to approve have done so, and the plan was not outdated.
    is_approved: bool = False


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
    #: Whether a change was told by a webhook, or found because one was lost; None when it is neither.
    news: News | None = None
    #: The targets of what vanished.
    removals: tuple[Removal, ...] = ()
    #: A repository that has something else than the log knows: it is asked for all that it has.
    asks: Repository | None = None
    #: A tag of which somebody hinted that something happened to it: the registry is asked what it has now.
    looks_at: Reference | None = None
    #: A rollback that was proposed or approved.
    rollback: Standing | None = None


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
