"""Recorded histories still lead to the recorded bytes. A difference is a change of behaviour: it needs an ADR."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from schemas.catalogue import EVENT_TYPES
from schemas.decisions import Verdict
from streams.folding import fold
from streams.log import LogRecord
from streams.replay.comparison import as_written
from streams.topics import EVENTS
from tests.golden.record import FOLDER, PARTITIONS, line_of
from tests.support.rules import pairs
from towline.policy.step import MemoryState
from towline.policy.template import DIRECTIVES

HISTORIES = sorted(FOLDER.glob("*.jsonl"))


def test_the_histories_hold_every_type_of_event_every_verdict_and_every_directive() -> None:
    lines = [json.loads(line) for file in HISTORIES for line in file.read_text().splitlines()]
    decisions = [json.loads(decision)["data"] for line in lines for decision in line["decisions"]]
    assert {json.loads(line["event"])["type"] for line in lines} == set(EVENT_TYPES)
    assert {decision["verdict"] for decision in decisions} == set(get_args(Verdict))
    findings = {(finding["field"], finding["operator"]) for decision in decisions for finding in decision["rules"]}
    assert findings == pairs()
    templates = {policy["tag"] for policy in policies_of(lines)}
    assert any(all(f"%{directive}" in template for directive in DIRECTIVES) for template in templates)


def policies_of(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        data = json.loads(line["event"])["data"]
        yield from data.get("set", {}).get("policies", ())


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_recorded_history_leads_to_the_recorded_bytes(file: Path) -> None:
    states = [MemoryState() for _ in range(PARTITIONS)]
    for line in map(json.loads, file.read_text().splitlines()):
        record = LogRecord(
            EVENTS, line["partition"], line["offset"], line["key"].encode(), line["event"].encode(), (), 0
        )
        folded = fold(states[record.partition], record, PARTITIONS)
        states[record.partition].apply(folded.changes)
        assert known_then(line_of(record, folded), line) == line


def known_then(line: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Return a line with its records as the version that recorded them would have written them."""
    then = {name: line[name] for name in recorded}
    for kind in recorded.keys() & {"decisions", "commands", "events"}:
        pairs = zip(line[kind], recorded[kind], strict=True)
        then[kind] = [as_written(now.encode(), before.encode()).decode() for now, before in pairs]
    return then
