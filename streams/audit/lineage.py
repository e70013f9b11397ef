"""Everywhere that an image came to: a tree from its beginnings over all hops."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, cast

from schemas.commands import CopyImage
from schemas.outcomes import Arrived, Outcome
from schemas.references import Reference, Repository
from streams.audit.hops import At, Hop, Transferred, hops_of
from streams.audit.origin import Beginning, beginning_of, digest_of, first_word, read_changes
from streams.projection.records import Records
from towline import limits

_ARRIVED: Final = ("transfer.completed", "transfer.skipped")


@dataclass(slots=True)
class Place:
    """An image at a tag, and where it went from there."""

    reference: str
    digest: str
    #: Whether the tag has it now, as far as the log knows.
    is_current: bool
    #: Who told of it first, when no transfer brought it; None when one did, or nobody told.
    beginning: Beginning | None
    hops: list["Branch"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Branch:
    """A transfer, and the place that it led to: None where nothing arrived, or where that place stands elsewhere."""

    transfer: Hop
    place: Place | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everywhere that an image came to, from each of its beginnings."""

    digest: str
    #: What was made of it, and what it was made of: indexes with all platforms, and with the wanted ones.
    related_digests: tuple[str, ...]
    places: tuple[Place, ...]
    #: Whether there are more than are told.
    is_cut: bool


def lineage(records: Records, digest: str) -> Lineage:
    """Return everywhere that an image came to; nothing when the log does not know it.

    An index of fewer platforms that was made of it, or that it was made of, is told with it.
    """
    family = _family(records, digest)
    places, transfers, is_cut = _graph(records, family)
    tree = _Tree(records, transfers)
    brought = {transfer.arrived for transfer in transfers}
    roots = [at for at in places if at not in brought]
    # Those that no root leads to go round in a circle: the first word of any of them begins it.
    found = [tree.grow(at) for at in (*roots, *places) if at not in tree.seen]
    related = tuple(one for one in family if one != digest)
    return Lineage(digest, related, tuple(found), is_cut or tree.is_cut)


def _family(records: Records, digest: str) -> list[str]:
    known, todo = [digest], deque([digest])
    while todo and len(known) < limits.lineage_depth:
        one = todo.popleft()
        for item in records.tell_of_digest(one, _ARRIVED, limits.lineage_place_count):
            data = cast("Arrived", item.envelope.data)
            pair = {data.digest, data.arrived_digest}
            fresh = sorted(pair - set(known)) if one in pair else []
            known += fresh
            todo += fresh
    return known


def _graph(records: Records, family: list[str]) -> tuple[list[At], list[Transferred], bool]:
    """Return where images were, in the order of the first word of them, and how they went from one to another."""
    limit = limits.lineage_place_count
    moments: dict[At, str] = {}
    transfers, is_cut = list[Transferred](), False
    for digest in family:
        seen = records.seen_at(digest, limit + 1)
        commands = records.tell_of_digest(digest, ("image.copy",), limit + 1)
        is_cut = is_cut or max(len(seen), len(commands)) > limit
        for repository, tag, time in seen[:limit]:
            moments.setdefault(At(Reference(Repository.parse(repository), tag), digest), time)
        ended = records.ends_of([item.envelope.id for item in commands])
        ends = {cast("Outcome", item.envelope.data).command_id: item for item in ended}
        found = [Transferred(item, ends.get(item.envelope.id)) for item in commands[:limit]]
        transfers += found
        for transfer, command in zip(found, commands, strict=False):
            source = At(cast("CopyImage", command.envelope.data).source, digest)
            for at in (source, transfer.arrived):
                if at is not None:
                    moments[at] = min(moments.get(at, command.envelope.time), command.envelope.time)
    order = sorted(moments, key=lambda at: (moments[at], at))
    return order[:limit], _last_of_each(transfers), is_cut or len(order) > limit


def _last_of_each(transfers: list[Transferred]) -> list[Transferred]:
    """Leave out transfers that another one repeated: of those that brought the same, or brought nothing, the last."""
    last = {(one.about.source, one.about.digest, one.about.target, one.arrived): one for one in transfers}
    brought = {(source, digest, target) for source, digest, target, arrived in last if arrived is not None}
    return [one for key, one in last.items() if key[3] is not None or key[:3] not in brought]


class _Tree:
    """Grows places, each once."""

    def __init__(self, records: Records, transfers: list[Transferred]) -> None:
        self._records = records
        self._from: dict[At, list[tuple[Transferred, Hop]]] = {}
        for transfer, hop in zip(transfers, hops_of(records, transfers), strict=True):
            self._from.setdefault(At(transfer.about.source, transfer.about.digest), []).append((transfer, hop))
        self.seen: set[At] = set()
        self.is_cut = False

    def grow(self, root: At) -> Place:
        """Return a place with everything that came from it and stands nowhere else yet."""
        first = self._place(root)
        todo = deque([(root, first, 0)])
        while todo:
            at, place, depth = todo.popleft()
            for transfer, hop in self._from.get(at, ()):
                arrived = transfer.arrived
                led_to = None
                if arrived is not None and arrived not in self.seen:
                    if depth < limits.lineage_depth:
                        led_to = self._place(arrived)
                        todo.append((arrived, led_to, depth + 1))
                    else:
                        self.is_cut = True
                place.hops.append(Branch(hop, led_to))
        return first

    def _place(self, at: At) -> Place:
        self.seen.add(at)
        changes = read_changes(self._records, at.reference)
        first = first_word(changes, at.digest)
        is_told = first is not None and not isinstance(first.envelope.data, Outcome)
        return Place(
            str(at.reference),
            at.digest,
            bool(changes) and digest_of(changes[-1]) == at.digest,
            beginning_of(first, at.reference) if first is not None and is_told else None,
        )
