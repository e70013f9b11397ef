"""The published contract is what the code does."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.asyncapi import CHANNELS, DIALECTS, message_name
from schemas.catalogue import TYPES, UPCASTS, VERSIONS, decode, encode
from schemas.examples import EXAMPLES
from schemas.generate import documents, write
from streams.inbound import events_from_record
from streams.log import LogRecord
from streams.topics import TOPICS
from towline import dialects

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GOLDEN = ROOT / "tests" / "golden" / "events"

DOCUMENTS = documents()
ASYNCAPI: dict[str, Any] = json.loads(DOCUMENTS["asyncapi.json"])
MESSAGES: dict[str, Any] = ASYNCAPI["components"]["messages"]


@pytest.mark.parametrize("path", sorted(DOCUMENTS))
def test_the_files_are_what_the_generator_prints(path: str) -> None:
    assert (DOCS / path).read_text(encoding="utf-8") == DOCUMENTS[path], "run: make schemas"


def test_no_file_is_left_from_a_type_that_is_no_more() -> None:
    assert {f"schemas/{file.name}" for file in (DOCS / "schemas").iterdir()} == set(DOCUMENTS) - {"asyncapi.json"}


def test_writing_makes_all_files(tmp_path: Path) -> None:
    write(tmp_path)
    assert {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.json")} == set(DOCUMENTS)


@pytest.mark.parametrize("path", sorted(path for path in DOCUMENTS if path.startswith("schemas/")))
def test_every_schema_is_one_of_2020_12_and_describes_itself(path: str) -> None:
    schema = json.loads(DOCUMENTS[path])
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["title"]
    assert schema["description"]


def test_every_type_has_a_schema_and_an_example() -> None:
    assert set(EXAMPLES) == set(TYPES)
    assert {f"schemas/{message_name(type_)}.json" for type_ in TYPES} <= set(DOCUMENTS)


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_an_example_is_valid_and_decodes_to_itself(type_: str) -> None:
    value = encode(EXAMPLES[type_])
    Draft202012Validator(json.loads(DOCUMENTS[f"schemas/{message_name(type_)}.json"])).validate(json.loads(value))
    assert decode(value) == EXAMPLES[type_]


@pytest.mark.parametrize("type_", sorted(TYPES))
@pytest.mark.parametrize(
    "change", [{"type": "other.type"}, {"version": 99}, {"more": 1}, {"id": "short"}, {"data": {}}, {"time": "now"}]
)
def test_a_schema_refuses_what_the_code_refuses(type_: str, change: dict[str, Any]) -> None:
    schema = Draft202012Validator(json.loads(DOCUMENTS[f"schemas/{message_name(type_)}.json"]))
    record = json.loads(encode(EXAMPLES[type_])) | change
    with pytest.raises(ValueError, match=r".+"):
        decode(json.dumps(record).encode())
    assert not schema.is_valid(record)


@pytest.mark.parametrize("file", sorted(GOLDEN.iterdir()), ids=lambda file: file.name)
def test_a_record_of_any_version_is_read_and_written_alike(file: Path) -> None:
    value = file.read_bytes()
    record = json.loads(value)
    assert file.name == f"{record['type']}.v{record['version']}.json"
    again = encode(decode(value))
    assert again == value or (record["type"], record["version"]) in UPCASTS


def test_every_version_of_every_type_has_a_golden_record() -> None:
    expected = {f"{type_}.v{version}.json" for type_ in TYPES for version in range(1, VERSIONS[type_] + 1)}
    assert expected <= {file.name for file in GOLDEN.iterdir()}


def test_the_channels_are_the_topics() -> None:
    assert list(CHANNELS) == list(TOPICS)
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == set(TOPICS)


def test_the_channels_say_for_how_long_and_by_which_key_records_are_kept() -> None:
    for name, topic in TOPICS.items():
        text = ASYNCAPI["channels"][name]["description"]
        days = f"Kept for {topic.retention_ms // 86_400_000} days"
        assert ("Kept for ever" if topic.retention_ms < 0 else days) in text
        assert topic.key in text


def test_every_message_is_on_a_channel() -> None:
    assert {name for _, names in CHANNELS.values() for name in names} == set(MESSAGES)


def test_every_reference_leads_somewhere() -> None:
    found = list(_references(ASYNCAPI))
    assert found
    for reference in found:
        path, _, pointer = reference.partition("#")
        place: Any = ASYNCAPI if not path else json.loads(DOCUMENTS[path.removeprefix("./")])
        for part in filter(None, pointer.split("/")):
            place = place[part]
        assert place


def test_the_dialects_are_those_that_are_read() -> None:
    assert set(DIALECTS) == set(dialects.DIALECTS)


@pytest.mark.parametrize("name", ["inbound.structured", "inbound.binary", "inbound.dialect"])
def test_an_inbound_example_is_taken(name: str) -> None:
    (example,) = MESSAGES[name]["examples"]
    headers = {"content-type": MESSAGES[name]["contentType"]} | example.get("headers", {})
    raw = tuple((header, value.encode()) for header, value in headers.items())
    record = LogRecord("towline.inbound", 0, 0, None, json.dumps(example["payload"]).encode(), raw, 0)
    events = events_from_record(record, "2026-11-24T08:00:00.000000Z")
    assert len(events) == (0 if name == "inbound.dialect" else 1)
    if name == "inbound.structured":
        Draft202012Validator(json.loads(DOCUMENTS["schemas/inbound.json"])).validate(example["payload"])


@pytest.mark.parametrize(
    "change", [{"type": "policy.published"}, {"data": {"repository": "local/a"}}, {"specversion": "0.3"}, {"id": ""}]
)
def test_the_inbound_schema_refuses_what_is_not_taken(change: dict[str, Any]) -> None:
    schema = Draft202012Validator(json.loads(DOCUMENTS["schemas/inbound.json"]))
    example = MESSAGES["inbound.structured"]["examples"][0]["payload"]
    assert schema.is_valid(example | {"traceparent": "00-0af"})
    assert not schema.is_valid(example | change)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for member in value.values() for found in _references(member)]
    if isinstance(value, list):
        return [found for member in value for found in _references(member)]
    return []
