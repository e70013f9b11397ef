"""Each record is a row: with what is asked for most, its data, and its very bytes."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.catalogue import COMMAND_TYPES, EVENT_TYPES, encode
from schemas.examples import EXAMPLES
from streams.export.columns import COLUMNS
from streams.export.formats import jsonl, parquet
from streams.export.rows import row_of
from streams.log import LogRecord
from streams.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, DECISIONS, EVENTS


def topic_of(type_: str) -> str:
    if type_ in EVENT_TYPES:
        return EVENTS
    if type_ in COMMAND_TYPES:
        return COMMANDS
    return {"decision.made": DECISIONS, "input.rejected": DEADLETTERS}.get(type_, CHECKPOINTS)


def example(type_: str) -> LogRecord:
    return LogRecord(topic_of(type_), 3, 17, b"key", encode(EXAMPLES[type_]), (("n", b"\xff"),), 1_234)


ODD = [
    None,
    b"",
    b"\xff\x00",
    b"{}",
    b'{"time":"../../../../../../../etc/pwd"}',
    b'{"time":"2026-02-31T08:00:00.000000Z"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("type_", sorted(EXAMPLES))
def test_every_type_of_the_contract_is_a_row_in_both_formats(type_: str) -> None:
    from pyarrow import parquet as reader

    record = example(type_)
    row = row_of(record)
    columns = COLUMNS[record.topic]
    assert list(row) == [column.name for column in columns]
    assert (row["type"], row["id"], row["problem"]) == (type_, EXAMPLES[type_].id, None)
    assert json.loads(row["data"]) == json.loads(record.value or b"")["data"]

    (line,) = jsonl(columns, [row]).splitlines()
    assert base64.b64decode(json.loads(line)["value_base64"]) == record.value
    (read,) = reader.read_table(io.BytesIO(parquet(columns, [row]))).to_pylist()
    assert (read["value"], read["headers"], read["key"]) == (record.value, [{"name": "n", "value": b"\xff"}], b"key")
    assert {name for name, value in read.items() if value is None} == {n for n, value in row.items() if value is None}


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("topic", COLUMNS)
def test_a_record_that_cannot_be_read_is_a_row_with_its_bytes_and_the_reason(topic: str, value: bytes | None) -> None:
    record = LogRecord(topic, 0, 1, None, value, (), 1_700_000_000_000)
    row = row_of(record)

    assert row["problem"]
    assert (row["value"], row["type"], row["time"]) == (value, None, "2023-11-14T22:13:20.000000Z")
    assert parquet(COLUMNS[topic], [row]).startswith(b"PAR1")


def columns_of(type_: str, *names: str) -> dict[str, Any]:
    row = row_of(example(type_))
    return {name: row[name] for name in names}


def test_a_decision_tells_the_image_the_verdict_and_the_rules() -> None:
    found = columns_of(
        "decision.made", "repository", "tag", "target", "target_repository", "target_tag", "verdict", "policy"
    )
    assert found == {
        "repository": "local/dev/website",
        "tag": "1.0-stable",
        "target": "local/qa/website:1.0-stable",
        "target_repository": "local/qa/website",
        "target_tag": "1.0-stable",
        "verdict": "promote",
        "policy": "website-to-qa",
    }
    row = row_of(example("decision.made"))
    assert [(rule["field"], rule["result"]) for rule in row["rules"]] == [
        (found.field, found.result)
        for found in EXAMPLES["decision.made"].data.rules  # type: ignore[attr-defined]
    ]
    assert row["revision"] == 1
    assert row["digest"].startswith("sha256:")


def test_an_outcome_tells_how_it_ended_and_why() -> None:
    assert columns_of("transfer.completed", "outcome", "repository", "target_repository") == {
        "outcome": "completed",
        "repository": "local/dev/website",
        "target_repository": "local/qa/website",
    }
    assert columns_of("transfer.failed", "outcome", "reason") == {
        "outcome": "failed",
        "reason": "source-gone: the registry has no manifest with this digest any more",
    }
    assert columns_of("tag.removed", "outcome") == {"outcome": "completed"}
    assert columns_of("transfer.started", "outcome") == {"outcome": None}


def test_a_dead_letter_tells_where_its_input_was_and_is_itself_where_it_is() -> None:
    found = columns_of("input.rejected", "input_topic", "input_partition", "input_offset", "partition", "offset")
    assert found == {
        "input_topic": "towline.inbound",
        "input_partition": 3,
        "input_offset": 17,
        "partition": 3,
        "offset": 17,
    }


def test_a_record_of_an_older_version_tells_that_version() -> None:
    older = b'{"data":{"actor":null,"digest":"sha256:%s","occurred_at":null,"repository":"local/a","tag":"1"},' % (
        b"0" * 64
    )
    older += b'"datacontenttype":"application/json","id":"%s","source":"test","specversion":"1.0",' % (b"a" * 64)
    older += b'"subject":"s","time":"2026-11-24T08:00:00.000000Z","type":"image.deleted","version":1}'
    row = row_of(LogRecord(EVENTS, 0, 0, b"key", older, (), 0))

    assert (row["version"], row["problem"], row["value"]) == (1, None, older)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '"=1'])
def test_text_is_as_it_was_also_where_a_spreadsheet_would_compute(formula: str) -> None:
    from pyarrow import parquet as reader

    envelope = EXAMPLES["image.pushed"]
    value = encode(replace(envelope, data=envelope.data.model_copy(update={"actor": formula})))
    row = row_of(LogRecord(EVENTS, 0, 0, b"key", value, (), 0))

    assert json.loads(jsonl(COLUMNS[EVENTS], [row]))["actor"] == formula
    (read,) = reader.read_table(io.BytesIO(parquet(COLUMNS[EVENTS], [row]))).to_pylist()
    assert read["actor"] == formula


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -1, 0, 2**63 - 1])
def test_any_timestamp_of_a_foreign_producer_is_a_row(timestamp_ms: int) -> None:
    row = row_of(LogRecord(DEADLETTERS, 0, 0, None, b"x", (), timestamp_ms))

    assert row["timestamp_ms"] == timestamp_ms
    assert parquet(COLUMNS[DEADLETTERS], [row]).startswith(b"PAR1")
