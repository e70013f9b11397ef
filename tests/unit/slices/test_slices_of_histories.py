"""Every recorded history, with its re-deliveries and older versions, is cut anywhere and replays."""

import json
from pathlib import Path

import pytest

from schemas.instants import parse_instant
from streams.export.rows import row_of
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.replay.verify import verify
from streams.secrets.scanner import Scanner
from streams.slices.form import Range
from streams.slices.reader import open_slice
from streams.slices.selection import Choice, choose, recorded_time
from streams.topics import DECISIONS, EVENTS
from tests.golden.record import FOLDER, PARTITIONS
from tests.support.slices import everything, sliced

HISTORIES = sorted(FOLDER.glob("*.jsonl"))


async def log_of(file: Path) -> MemoryLog:
    """Return a history as a log with its decisions."""
    log = MemoryLog(partitions=PARTITIONS)
    for line in map(json.loads, file.read_text().splitlines()):  # noqa: ASYNC240 - nothing else is to happen
        key, partition = line["key"].encode(), line["partition"]
        values = [(EVENTS, line["event"]), *((DECISIONS, decision) for decision in line["decisions"])]
        await log.append_all([Append(topic, key, value.encode(), partition) for topic, value in values])
    return log


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_slice_of_all_of_it_leaves_no_decision_out(file: Path) -> None:
    log = await log_of(file)
    chosen = await choose(log, Choice())

    for topic in (EVENTS, DECISIONS):
        ends = [await log.high_watermark(topic, partition) for partition in range(PARTITIONS)]
        assert chosen[topic] == tuple(Range(first=0, end=end) for end in ends)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_slice_up_to_any_of_its_moments_replays(file: Path, tmp_path: Path) -> None:
    log = await log_of(file)
    moments = sorted({recorded_time(record) for record in await everything(log, (EVENTS,))})
    assert all(parse_instant(moment) for moment in moments)
    for number, moment in enumerate(moments[:: max(1, len(moments) // 8)]):
        await sliced(log, tmp_path / f"{number}.jsonl", Choice(topics=(EVENTS, DECISIONS), until=moment))
        async with open_slice(tmp_path / f"{number}.jsonl") as given:
            result = await verify(given)
        assert result.is_identical, (moment, result)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_its_records_are_rows_and_look_like_no_secret(file: Path) -> None:
    scanner = Scanner({"env:SECRET": "a secret that is not there"})
    for record in await everything(await log_of(file), (EVENTS, DECISIONS)):
        assert row_of(record)["problem"] is None
        assert scanner.find(record) == []
