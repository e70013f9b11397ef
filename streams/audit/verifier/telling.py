"""From differences to findings: what was only moved is told once, and what lies side by side together."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from streams.audit.verifier.alignment import Difference
from streams.audit.verifier.findings import DECISIONS, Finding, Kind

#: So many findings of a partition are told one by one.
DETAILED_COUNT: Final = 1000

_KINDS: Final[dict[str, Kind]] = {
    "changed": "record-changed",
    "missing": "record-missing",
    "inserted": "record-inserted",
}


def findings_of(partition: int, differences: list[Difference]) -> list[Finding]:
    """Return the findings of a partition's records, in the order in which they were sealed."""
    moved = _moved(differences)
    rest = [left for item in differences if (left := _without(item, moved)) is not None]
    found = [_moved_finding(partition, *places) for places in moved.values()]
    found += [_finding(partition, run) for run in _runs(rest)]
    return sorted(found, key=lambda finding: finding.index or 0)


def _moved(differences: Iterable[Difference]) -> dict[bytes, tuple[Difference, Difference]]:
    """Return the records that were sealed at one place and stand at another."""
    listed = list(differences)
    sealed = {item.sealed: item for item in listed if item.sealed is not None}
    return {
        item.found: (sealed[item.found], item) for item in listed if item.found is not None and item.found in sealed
    }


def _without(item: Difference, moved: Collection[bytes]) -> Difference | None:
    """Return what a difference is when records that were moved are left out of it; None: nothing."""
    sealed = None if item.sealed in moved else item.sealed
    found = None if item.found in moved else item.found
    if (sealed, found) == (item.sealed, item.found):
        return item
    if sealed is not None:
        return replace(item, what="missing", sealed=sealed, found=None)
    return None if found is None else replace(item, what="inserted", sealed=None, found=found)


def _moved_finding(partition: int, sealed: Difference, found: Difference) -> Finding:
    text = f"the record that was sealed as number {sealed.index} stands at offset {found.offset}, as {found.index}"
    return Finding("records-reordered", DECISIONS, partition, found.offset, sealed.index, text)


def _runs(differences: Iterable[Difference]) -> Iterator[list[Difference]]:
    run: list[Difference] = []
    for item in differences:
        step = 0 if item.what == "inserted" else 1
        if run and (item.what != run[-1].what or item.index != run[-1].index + step):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _finding(partition: int, run: list[Difference]) -> Finding:
    first, count = run[0], len(run)
    kind = _KINDS[first.what]
    if first.what == "missing" and first.offset is None:
        kind = "tail-missing"
    return Finding(kind, DECISIONS, partition, first.offset, first.index, _text(kind, run), count)


def _text(kind: Kind, run: list[Difference]) -> str:
    first = run[0]
    one = len(run) == 1
    which = f"record {first.index}" if one else f"records {first.index} to {run[-1].index}"
    match kind:
        case "tail-missing":
            return f"the topic ends before {which}"
        case "record-missing":
            return f"{which} of what was sealed {'is' if one else 'are'} missing before offset {first.offset}"
        case "record-inserted":
            place = f"offset {first.offset}" if one else f"offsets {first.offset} to {run[-1].offset}"
            return f"what stands at {place}, before number {first.index}, was never sealed"
        case _:
            return f"{which} at offset {first.offset} {'is' if one else 'are'} not what was sealed"
