"""``replay snapshot --verify``: is each snapshot what the log folds to?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.folding import Quarantined
from streams.log import ReadableLog
from streams.replay.packed import PackedState
from streams.replay.snapshots import (
    Chain,
    Snapshot,
    read_snapshot,
    refuse_foreign,
    snapshots_in,
    take_record,
)
from streams.topics import EVENTS
from towline.errors import MisuseError

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Checked:
    """A snapshot, and why it is not what the log folds to; None: it is."""

    path: Path
    problem: str | None


async def check_snapshots(
    log: ReadableLog,
    folder: Path,
    *,
    quarantined: Quarantined = frozenset(),
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> list[Checked]:
    """Fold each partition that has snapshots once, and compare each of them where it stands.

    Raises:
        LogUnavailableError: the log cannot be reached.
    """
    partitions = await log.partitions(EVENTS)
    checked: list[Checked] = []
    by_partition: dict[int, list[Snapshot]] = {}
    for path in snapshots_in(folder):
        try:
            snapshot = read_snapshot(path)
            if snapshot.header.partition >= partitions:
                raise MisuseError(f"{path} is refused: the log has no partition {snapshot.header.partition}")
            await refuse_foreign(log, snapshot, snapshot.header.partition)
        except MisuseError as error:
            checked.append(Checked(path, str(error)))
        else:
            by_partition.setdefault(snapshot.header.partition, []).append(snapshot)
    total = sum(found[-1].header.offset for found in by_partition.values())
    done = 0
    for found in by_partition.values():
        checked += await _check(log, partitions, found, quarantined)
        done += found[-1].header.offset
        progress(done, total)
    return sorted(checked, key=lambda item: item.path)


async def _check(
    log: ReadableLog, partitions: int, snapshots: list[Snapshot], quarantined: Quarantined
) -> list[Checked]:
    partition = snapshots[0].header.partition
    state, chain, checked = PackedState(), Chain(), list[Checked]()
    start = await log.low_watermark(EVENTS, partition)
    for snapshot in snapshots:
        async for batch in log.read_batches(EVENTS, partition, start, snapshot.header.offset):
            for record in batch:
                chain.add(record)
                take_record(state, record, partitions, quarantined)
        start = snapshot.header.offset
        checked.append(Checked(snapshot.path, _problem(snapshot, state, chain)))
    return checked


def _problem(snapshot: Snapshot, state: PackedState, chain: Chain) -> str | None:
    if chain.whole != snapshot.header.chain:
        return f"{snapshot.path} was folded from other records"
    expected, found = dict(state.items()), dict(snapshot.state.items())
    for key in sorted({*expected, *found}):
        if expected.get(key, _MISSING) != found.get(key, _MISSING):
            return f"{snapshot.path} differs from the fold, first at {key!r}"
    return None
