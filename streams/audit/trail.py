"""``audit trail``: everything about one tag, from the push to the outcomes, in the order in which it happened."""

from dataclasses import dataclass
from typing import Final, cast

from schemas.catalogue import type_of
from schemas.commands import ResolveTag, TargetCommand
from schemas.decisions import Decision
from schemas.events import ImageDeleted, TagRemoved, TagsListed
from schemas.facts import ImageInspected, ScanNoticed
from schemas.references import Frozen, Reference
from streams.audit.wording import FACT_TYPES, told
from streams.projection.records import Records
from streams.projection.rows import Kept
from streams.topics import EVENTS

#: Of the types of events that name a tag, those that say what it has or is to have.
_OF_TAG: Final = ("image.pushed", "image.observed", "image.deleted", "promotion.requested")
#: Of the types of events that name a target, those that are no outcome and say what it is to have.
_OF_TARGET: Final = ("rollback.requested", "rollback.approved")


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
    #: How often it is in its topic: a crash repeats what it did not know to be written.
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the topics hold about a tag, by kind, each record once."""

    arrivals: list[Kept]
    #: What was found out about the digests that it had.
    facts: list[Kept]
    decisions: list[Kept]
    commands: list[Kept]
    outcomes: list[Kept]
    #: Hints at the tag, the commands to look at it, and the looks that could not be made.
    hints: list[Kept]


def read_story(records: Records, reference: Reference) -> Story:
    """Return the records about a tag: its events, their decisions, and the commands and outcomes that followed.

    What happened at the targets afterwards is not in it: that is the story of those tags.
    """
    arrivals = read_arrivals(records, reference)
    decisions = records.decisions_on(reference)
    ids = {item.envelope.id for item in decisions}
    commands, outcomes = records.commands_of(ids), records.reports_of(ids)
    return Story(
        arrivals, _facts(records, arrivals, reference), decisions, commands, outcomes, _hints(records, reference)
    )


def read_arrivals(records: Records, reference: Reference) -> list[Kept]:
    """Return what the log tells of what a tag has, in its order: arrivals and deletions, and what was asked for."""
    pages = [
        item
        for item in records.told_of_repository(reference.repository, ("tags.listed",))
        if _is_missing(cast("TagsListed", item.envelope.data), reference.tag)
    ]
    told_of = [*records.told_of_tag(reference, _OF_TAG), *pages, *records.told_of_target(reference, _OF_TARGET)]
    return _without_absences(sorted(told_of, key=lambda item: item.position))


def _hints(records: Records, reference: Reference) -> list[Kept]:
    """Return the hints at a tag, and what followed but for what the looks saw, which arrived or is gone."""
    hints = records.told_of_tag(reference, ("image.hinted",))
    if not hints:
        return []
    looks = records.looks_at(reference)
    return [*hints, *looks, *records.caused_by(EVENTS, [item.envelope.id for item in looks], ("poll.failed",))]


def _facts(records: Records, arrivals: list[Kept], reference: Reference) -> list[Kept]:
    """Return the facts about the digests that a tag had, about their platforms, and about the whole repository."""
    members = ("digest", "reduced_digest")
    digests: set[str | None] = {getattr(item.envelope.data, member, None) for item in arrivals for member in members}
    for item in records.told_of_digests(reference.repository, ("image.inspected",), digests):
        if isinstance(item.envelope.data, ImageInspected):
            digests |= {image.digest for image in item.envelope.data.images}
    about = records.told_of_digests(reference.repository, FACT_TYPES, digests)
    return [item for item in about if _tells(item.envelope.data, reference.tag, digests)]


def _tells(fact: Frozen, tag: str, digests: set[str | None]) -> bool:
    digest = getattr(fact, "digest", None)
    if isinstance(fact, ScanNoticed) and digest is None:
        return fact.tag == tag
    return digest is None or digest in digests


def decision_of(item: Kept) -> Decision:
    """Return the decision in a record that holds one."""
    return cast("Decision", item.envelope.data)


def trail(records: Records, *references: Reference) -> list[TrailEntry]:
    """Return the stories of tags as one list, causes before effects, each record once."""
    items: dict[str, Kept] = {}
    for reference in references:
        story = read_story(records, reference)
        parts = (story.arrivals, story.facts, story.decisions, story.commands, story.outcomes, story.hints)
        items |= {item.envelope.id: item for part in parts for item in part}
    return _causes_first([entry_of(item) for item in sorted(items.values(), key=_place)])


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


def _without_absences(arrivals: list[Kept]) -> list[Kept]:
    """Leave out listings that do not list a tag of which the log knew that it is not there, or had newer word."""
    told: list[Kept] = []
    for item in arrivals:
        is_listing = isinstance(item.envelope.data, TagsListed)
        if is_listing and (not told or is_deletion(told[-1]) or told[-1].envelope.time >= item.envelope.time):
            continue
        told.append(item)
    return told


def is_deletion(item: Kept) -> bool:
    """Tell whether a record about a tag says that it is gone."""
    return isinstance(item.envelope.data, ImageDeleted | TagsListed | TagRemoved)


def _is_missing(page: TagsListed, tag: str) -> bool:
    is_in_range = (page.after or "") < tag and (page.until is None or tag <= page.until)
    return is_in_range and tag not in page.tags


def _place(item: Kept) -> tuple[str, int, int]:
    # Decisions and commands carry the time of the event that caused them.
    match item.envelope.data:
        case Decision():
            rank = 1
        case TargetCommand() | ResolveTag():
            rank = 2
        case _:
            rank = 0
    return item.envelope.time, rank, item.position.offset


def entry_of(item: Kept) -> TrailEntry:
    """Return a record as one line of a trail."""
    envelope = item.envelope
    caused_by, text = told(envelope)
    return TrailEntry(
        envelope.time, type_of(envelope.data), text, envelope.id, caused_by, str(item.position), item.copies
    )
