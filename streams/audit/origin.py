"""From where a tag has what it has: back over all hops, to the push with which it began."""

from dataclasses import dataclass
from itertools import takewhile
from typing import Final, cast

from schemas.outcomes import Outcome
from schemas.references import Reference
from streams.audit.hops import At, Hop, Transferred, decisions_of, hops_of
from streams.audit.trail import decision_of, is_deletion, read_arrivals
from streams.audit.wording import told
from streams.projection.records import Records
from streams.projection.rows import Kept
from streams.topics import EVENTS
from towline import limits
from towline.policy.arrival import arrival_of, is_arrival
from towline.registry.targettag import backup_tag

_BACKUP: Final = "-backup-"


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first word of an image at a tag that no transfer brought there."""

    reference: str
    time: str
    text: str
    id: str
    position: str


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a tag has what it has: the transfers, the last one first, and the beginning."""

    reference: str
    #: None when the tag was deleted, or is not known.
    digest: str | None
    #: The tag that had it, for one under which a transfer kept what was there before.
    kept_from: str | None
    hops: tuple[Hop, ...]
    #: None when the log does not know it: it was there before anybody told.
    beginning: Beginning | None


def read_changes(records: Records, reference: Reference) -> list[Kept]:
    """Return what the log tells of what a tag has, in its order: what arrived, and that it is gone."""
    return changes_of(read_arrivals(records, reference))


def changes_of(arrivals: list[Kept]) -> list[Kept]:
    """Leave out what brought nothing: transfers that failed or were superseded, and what was only asked for."""
    return [item for item in arrivals if is_arrival(item.envelope) or is_deletion(item)]


def digest_of(item: Kept) -> str | None:
    """Return what a tag has by one of its changes."""
    arrival = arrival_of(item.envelope)
    return None if arrival is None else arrival.digest


def first_word(changes: list[Kept], digest: str, before: Kept | None = None) -> Kept | None:
    """Return which of a tag's changes first told of an image there, of the last time that it came.

    What tells it again while the tag has it, such as the registry's webhook after a transfer, is no other coming.
    ``before``: as it was when this event was written.
    """
    if before is not None:
        partition = before.position.partition
        changes = [item for item in changes if item.position.partition != partition or item.position <= before.position]
    until = next((n for n in range(len(changes), 0, -1) if digest_of(changes[n - 1]) == digest), 0)
    run = list(takewhile(lambda item: digest_of(item) == digest, reversed(changes[:until])))
    return run[-1] if run else None


def beginning_of(item: Kept, reference: Reference) -> Beginning:
    """Return a first word as a beginning."""
    _, text = told(item.envelope)
    return Beginning(str(reference), item.envelope.time, text, item.envelope.id, str(item.position))


def origin(records: Records, reference: Reference) -> Origin:
    """Return from where a tag has what it has, over all hops."""
    changes = read_changes(records, reference)
    digest = digest_of(changes[-1]) if changes else None
    if digest is not None:
        return _back(records, At(reference, digest), reference, None)
    kept = None if changes else _kept(records, reference)
    if kept is None:
        return Origin(str(reference), None, None, (), None)
    at, ended = kept
    return _back(records, at, reference, ended)


def _back(records: Records, at: At, reference: Reference, before: Kept | None) -> Origin:
    digest, kept_from = at.digest, None if at.reference == reference else str(at.reference)
    transfers, seen, beginning = list[Transferred](), set[str](), None
    while len(transfers) < limits.lineage_depth:
        first = first_word(read_changes(records, at.reference), at.digest, before)
        if first is None or first.envelope.id in seen:
            break
        seen.add(first.envelope.id)
        data = first.envelope.data
        if not isinstance(data, Outcome):
            beginning = beginning_of(first, at.reference)
            break
        transfer = Transferred(None, first)
        transfers.append(transfer)
        before = _event(records, transfer)
        at = At(data.source, data.digest)
    return Origin(str(reference), digest, kept_from, tuple(hops_of(records, transfers)), beginning)


def _event(records: Records, transfer: Transferred) -> Kept | None:
    """Return the event that was decided when a transfer was."""
    found = list(decisions_of(records, [transfer]).values())
    if not found:
        return None
    event_id = decision_of(found[0]).event_id
    return records.by_ids(EVENTS, [event_id]).get(event_id)


def _kept(records: Records, reference: Reference) -> tuple[At, Kept] | None:
    """Return what a backup was kept of, and the outcome that tells that it was there before."""
    tag, mark, _ = reference.tag.rpartition(_BACKUP)
    if not mark:
        return None
    base = Reference(reference.repository, tag)
    for item in reversed(records.told_of_target(base, ())):
        previous = cast("Outcome", item.envelope.data).previous_digest
        if previous is not None and backup_tag(tag, previous) == reference.tag:
            return At(base, previous), item
    return None
