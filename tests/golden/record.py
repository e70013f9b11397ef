"""Writes a history with its decisions: ``python -m tests.golden.record NAME``. Never write over one: it is the past.

A line is one record of the log, with the bytes of the event and of everything that was decided on it.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.folding import Folded, fold
from streams.log import Append, LogRecord
from streams.topics import EVENTS, partition_for
from tests.golden.corners import CORNERS
from tests.golden.facts import FACTS
from tests.golden.hints import HINTS
from tests.golden.reconciliation import RECONCILIATION
from tests.golden.rollbacks import ROLLBACKS
from tests.golden.webhooks import WEBHOOKS
from tests.support.builders import appends_of
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY
from towline.policy.step import MemoryState

PARTITIONS = 3
FOLDER = Path(__file__).parent / "histories"
EVENTS_OF: Mapping[str, Sequence[Envelope[Frozen]]] = {
    "0.1-main-job": (*HISTORY, *AFTER_PUBLICATION),
    "0.1-corners": CORNERS,
    "0.2-facts": FACTS,
    "0.3-reconciliation": RECONCILIATION,
    "0.4-hints": HINTS,
    "0.4-webhooks": WEBHOOKS,
    "0.5-rollbacks": ROLLBACKS,
}


def lines_of(events: Sequence[Envelope[Frozen]]) -> Iterator[str]:
    """Yield the lines of a history: each event where it belongs, and announcements behind the proposal."""
    states = [MemoryState() for _ in range(PARTITIONS)]
    offsets = [0] * PARTITIONS
    waiting = [append for event in events for append in appends_of(event, PARTITIONS)]
    while waiting:
        append = waiting.pop(0)
        partition = append.partition or 0
        record = LogRecord(EVENTS, partition, offsets[partition], append.key, append.value, (), 0)
        offsets[partition] += 1
        folded = fold(states[partition], record, PARTITIONS)
        states[partition].apply(folded.changes)
        waiting = [*(placed(append) for append in folded.events), *waiting]
        yield json.dumps(line_of(record, folded), sort_keys=True)


def placed(append: Append) -> Append:
    """Return an append with the partition that its key chooses, as the broker would."""
    if append.partition is not None:
        return append
    return replace(append, partition=partition_for(append.key or b"", PARTITIONS))


def line_of(record: LogRecord, folded: Folded) -> dict[str, object]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "key": (record.key or b"").decode(),
        "event": (record.value or b"").decode(),
        "decisions": [append.value.decode() for append in folded.decisions],
        "commands": [append.value.decode() for append in folded.commands],
        "events": [append.value.decode() for append in folded.events],
    }


def main() -> None:
    file = FOLDER / f"{sys.argv[1]}.jsonl"
    if file.exists():
        raise SystemExit(f"{file.name} is there already, and the past does not change")
    file.write_text("".join(f"{line}\n" for line in lines_of(EVENTS_OF[sys.argv[1]])))


if __name__ == "__main__":
    main()
