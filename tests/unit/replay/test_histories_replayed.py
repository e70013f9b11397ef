"""Histories that older versions recorded replay to the recorded bytes: whole, in parts, and otherwise divided.

A01 and A06 of the fault catalogue. ``tests/unit/test_golden_histories.py`` holds the fold itself to them.
"""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.catalogue import VERSIONS, decode
from schemas.references import Repository
from streams.folding import fold
from streams.log import Append, LogRecord
from streams.memory_log import MemoryLog
from streams.replay.comparison import as_written
from streams.replay.spans import Place, Span
from streams.replay.verify import Comparison, verify
from streams.routing import home_partition
from streams.topics import DECISIONS, EVENTS
from tests.golden.record import FOLDER, PARTITIONS
from tests.support.checkers import all_records
from tests.unit.replay.test_verify import altered
from towline.policy.step import MemoryState

HISTORIES = sorted(FOLDER.glob("*.jsonl"))
every_history = pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def log_of(file: Path) -> MemoryLog:
    """Return a history as a log: its events, and the decisions as they were written then."""
    log = MemoryLog(partitions=PARTITIONS)
    for line in lines_of(file):
        await log.append(Append(EVENTS, line["key"].encode(), line["event"].encode(), line["partition"]))
        for decision in line["decisions"]:
            key = json.loads(decision)["data"]["source"].rpartition(":")[0].encode()
            await log.append(Append(DECISIONS, key, decision.encode(), line["partition"]))
    return log


def test_the_histories_hold_records_of_every_version_that_there_was() -> None:
    """Of decisions here; those of events are in ``tests/golden/events``."""
    recorded = {
        json.loads(decision)["version"]
        for file in HISTORIES
        for line in lines_of(file)
        for decision in line["decisions"]
    }
    assert recorded == set(range(1, VERSIONS["decision.made"] + 1))


@every_history
async def test_a_whole_history_is_identical(file: Path) -> None:
    log = await log_of(file)
    result = await verify(log)
    assert result.is_identical
    assert result.decisions == len(await all_records(log, DECISIONS))
    assert (result.duplicates, result.late) == (0, 0)


@every_history
async def test_of_every_prefix_the_decisions_are_a_prefix(file: Path) -> None:
    log = await log_of(file)
    for partition in range(PARTITIONS):
        end = await log.high_watermark(EVENTS, partition)
        found = [
            await verify(log, Comparison(Span(stop=Place(partition, stop))))
            for stop in range(0, end + 1, 1 + end // 12)
        ]
        assert all(result.is_identical for result in found)
        counts = [result.decisions for result in found]
        assert counts == sorted(counts)


@every_history
async def test_the_repositories_one_by_one_are_the_whole(file: Path) -> None:
    log = await log_of(file)
    names = {record.key.decode() for record in await all_records(log, DECISIONS) if record.key}
    found = [await verify(log, Comparison(repository=Repository.parse(name))) for name in names]
    assert all(result.is_identical for result in found)
    assert sum(result.decisions for result in found) == len(await all_records(log, DECISIONS))


@every_history
async def test_a_changed_decision_of_any_version_is_found(file: Path) -> None:
    log, (first, *_) = MemoryLog(partitions=PARTITIONS), await all_records(await log_of(file), DECISIONS)
    for record in await all_records(await log_of(file), EVENTS):
        await log.append(Append(EVENTS, record.key, record.value or b"", record.partition))
    for record in await all_records(await log_of(file), DECISIONS):
        append = Append(DECISIONS, record.key, record.value or b"", record.partition)
        await log.append(append if record != first else altered(append, reason="because"))
    result = await verify(log)
    assert (result.changed, result.missing, result.unexpected) == (1, 0, 0)


@pytest.mark.parametrize("partitions", [1, 2, 5, 12])
@every_history
async def test_divided_into_other_partitions_the_same_bytes_come_out(file: Path, partitions: int) -> None:
    lines = lines_of(file)
    expected = {orjson.loads(text)["id"]: text.encode() for line in lines for text in line["decisions"]}
    states = [MemoryState() for _ in range(partitions)]
    found: dict[str, bytes] = {}
    seen: set[bytes] = set()
    for line in lines:
        value = line["event"].encode()
        home = home_partition(decode(value), partitions)
        if value in seen and home is None:
            continue  # It was in each partition, and goes to each of the others at once.
        seen.add(value)
        for partition in range(partitions) if home is None else [home]:
            record = LogRecord(EVENTS, partition, 0, line["key"].encode(), value, (), 0)
            folded = fold(states[partition], record, partitions)
            states[partition].apply(folded.changes)
            found |= {
                decision.id: item.value for decision, item in zip(folded.step.decisions, folded.decisions, strict=True)
            }
    assert found.keys() == expected.keys()
    assert {identity: as_written(found[identity], value) for identity, value in expected.items()} == expected
