"""``audit trail``: everything about one tag, from the push to the outcomes, in the order in which it happened."""

from dataclasses import dataclass
from typing import cast

from schemas.catalogue import type_of
from schemas.commands import ResolveTag, TargetCommand
from schemas.decisions import Decision
from schemas.events import (
    ImageDeleted,
    ImageHinted,
    ImageObserved,
    ImagePushed,
    PollFailed,
    PromotionRequested,
    TagRemoved,
    TagsListed,
    TransferProgressed,
)
from schemas.facts import ImageInspected, ScanNoticed
from schemas.outcomes import Outcome, Report
from schemas.references import Frozen, Reference, Repository
from schemas.rollbacks import RollbackApproved, RollbackRequested
from streams.audit.wording import is_fact, told
from streams.history import Recorded, recorded_of
from streams.log import ReadableLog
from streams.topics import COMMANDS, DECISIONS, EVENTS


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One record about a tag."""

    time: str
    type: str
    #: What it says, in one line.
    text: str
    id: str
    #: The id of the record that led to it; None for a beginning.
    caused_by: str | None
    position: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the topics hold about a tag, by kind, each record once."""

    arrivals: list[Recorded]
    #: What was found out about the digests that it had.
    facts: list[Recorded]
    decisions: list[Recorded]
    commands: list[Recorded]
    outcomes: list[Recorded]
    #: Hints at the tag, the commands to look at it, and the looks that could not be made.
    hints: list[Recorded]


async def read_story(log: ReadableLog, reference: Reference) -> Story:
    """Return the records about a tag: its events, their decisions, and the commands and outcomes that followed.

    What happened at the targets afterwards is not in it: that is the story of those tags.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    repository = reference.repository
    events = _once([item async for item in recorded_of(log, EVENTS, [repository])])
    arrivals = _without_absences([item for item in events if _is_about(item, reference)])
    decisions = _once(
        [
            item
            async for item in recorded_of(log, DECISIONS, [repository])
            if isinstance(item.envelope.data, Decision) and item.envelope.data.source == reference
        ]
    )
    ids = {item.envelope.id for item in decisions}
    targets = {decision.target.repository for decision in map(decision_of, decisions) if decision.target is not None}
    commands = await _followed(log, COMMANDS, targets, ids)
    outcomes = await _followed(log, EVENTS, targets, ids)
    hints = await _hints(log, events, reference)
    return Story(arrivals, _facts(events, arrivals, reference), decisions, commands, outcomes, hints)


async def _hints(log: ReadableLog, events: list[Recorded], reference: Reference) -> list[Recorded]:
    """Return the hints at a tag, and what followed but for what the looks saw, which arrived or is gone."""
    hints = [item for item in events if _is_hint(item.envelope.data, reference)]
    if not hints:
        return []
    given = [item async for item in recorded_of(log, COMMANDS, [reference.repository])]
    looks = _once([item for item in given if _is_hint(item.envelope.data, reference)])
    ids = {item.envelope.id for item in looks}
    ends = (item for item in events if isinstance(item.envelope.data, PollFailed))
    return [*hints, *looks, *(item for item in ends if cast("PollFailed", item.envelope.data).command_id in ids)]


def _is_hint(data: Frozen, reference: Reference) -> bool:
    if not isinstance(data, ImageHinted | ResolveTag):
        return False
    return data.repository == reference.repository and data.tag == reference.tag


def _facts(events: list[Recorded], arrivals: list[Recorded], reference: Reference) -> list[Recorded]:
    """Return the facts about the digests that a tag had, about their platforms, and about the whole repository."""
    repository = reference.repository
    members = ("digest", "reduced_digest")
    digests: set[str | None] = {getattr(item.envelope.data, member, None) for item in arrivals for member in members}
    about = [item for item in events if is_fact(item) and getattr(item.envelope.data, "repository", None) == repository]
    for item in about:
        if isinstance(item.envelope.data, ImageInspected) and item.envelope.data.digest in digests:
            digests |= {image.digest for image in item.envelope.data.images}
    return [item for item in about if _tells(item.envelope.data, reference.tag, digests)]


def _tells(fact: Frozen, tag: str, digests: set[str | None]) -> bool:
    digest = getattr(fact, "digest", None)
    if isinstance(fact, ScanNoticed) and digest is None:
        return fact.tag == tag
    return digest is None or digest in digests


def decision_of(item: Recorded) -> Decision:
    """Return the decision in a record that holds one."""
    return cast("Decision", item.envelope.data)


async def trail(log: ReadableLog, *references: Reference) -> list[TrailEntry]:
    """Return the stories of tags as one list, causes before effects, each record once.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    items: list[Recorded] = []
    for reference in references:
        story = await read_story(log, reference)
        items += [*story.arrivals, *story.facts, *story.decisions, *story.commands, *story.outcomes, *story.hints]
    return _causes_first([_entry(item) for item in sorted(_once(items), key=_place)])


def _causes_first(entries: list[TrailEntry]) -> list[TrailEntry]:
    # The times come from the clocks of several hosts: one that is behind dates an effect before its cause.
    pending = {entry.id: entry for entry in entries}
    ordered: list[TrailEntry] = []
    for entry in entries:
        chain: list[TrailEntry] = []
        current = pending.pop(entry.id, None)
        while current is not None:
            chain.append(current)
            current = pending.pop(current.caused_by or "", None)
        ordered += reversed(chain)
    return ordered


async def _followed(log: ReadableLog, topic: str, targets: set[Repository], decision_ids: set[str]) -> list[Recorded]:
    return _once(
        [
            item
            async for item in recorded_of(log, topic, targets)
            if isinstance(item.envelope.data, TargetCommand | Report)
            and item.envelope.data.decision_id in decision_ids
            # How far it came at some moment is nobody's question afterwards.
            and not isinstance(item.envelope.data, TransferProgressed)
        ]
    )


def _without_absences(arrivals: list[Recorded]) -> list[Recorded]:
    """Leave out listings that do not list a tag of which the log knew that it is not there, or had newer word."""
    told: list[Recorded] = []
    for item in arrivals:
        is_listing = isinstance(item.envelope.data, TagsListed)
        if is_listing and (not told or is_deletion(told[-1]) or told[-1].envelope.time >= item.envelope.time):
            continue
        told.append(item)
    return told


def is_deletion(item: Recorded) -> bool:
    """Tell whether a record about a tag says that it is gone."""
    return isinstance(item.envelope.data, ImageDeleted | TagsListed | TagRemoved)


def _once(items: list[Recorded]) -> list[Recorded]:
    # A crash repeats records; the first of an id is the one that counts.
    first: dict[str, Recorded] = {}
    for item in items:
        first.setdefault(item.envelope.id, item)
    return list(first.values())


def _is_about(item: Recorded, reference: Reference) -> bool:
    match item.envelope.data:
        case ImagePushed() | ImageObserved() | ImageDeleted() | PromotionRequested() as data:
            return data.repository == reference.repository and data.tag == reference.tag
        case TagsListed() as data:
            return data.repository == reference.repository and _is_missing(data, reference.tag)
        case Outcome() | RollbackRequested() | RollbackApproved() as data:
            return data.target == reference
        case _:
            return False


def _is_missing(page: TagsListed, tag: str) -> bool:
    is_in_range = (page.after or "") < tag and (page.until is None or tag <= page.until)
    return is_in_range and tag not in page.tags


def _place(item: Recorded) -> tuple[str, int, int]:
    # Decisions and commands carry the time of the event that caused them.
    match item.envelope.data:
        case Decision():
            rank = 1
        case TargetCommand() | ResolveTag():
            rank = 2
        case _:
            rank = 0
    return item.envelope.time, rank, item.record.offset


def _entry(item: Recorded) -> TrailEntry:
    envelope = item.envelope
    caused_by, text = told(envelope)
    return TrailEntry(envelope.time, type_of(envelope.data), text, envelope.id, caused_by, item.position)
