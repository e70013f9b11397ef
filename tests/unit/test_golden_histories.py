"""Recorded histories still lead to the recorded bytes. A difference is a change of behaviour: it needs an ADR."""

import json
from pathlib import Path

import pytest

from streams.folding import fold
from streams.log import LogRecord
from streams.topics import EVENTS
from tests.golden.record import FOLDER, PARTITIONS, line_of
from towline.policy.step import MemoryState

HISTORIES = sorted(FOLDER.glob("*.jsonl"))


def test_there_are_histories() -> None:
    assert HISTORIES


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_recorded_history_leads_to_the_recorded_bytes(file: Path) -> None:
    states = [MemoryState() for _ in range(PARTITIONS)]
    for line in map(json.loads, file.read_text().splitlines()):
        record = LogRecord(
            EVENTS, line["partition"], line["offset"], line["key"].encode(), line["event"].encode(), (), 0
        )
        folded = fold(states[record.partition], record, PARTITIONS)
        states[record.partition].apply(folded.changes)
        assert line_of(record, folded) == line
