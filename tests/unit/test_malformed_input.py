"""What no sender means: refused by HTTP, one dead letter by Kafka, for the same reason; and what follows is taken.

Fault catalogue E05, E06, E07, E09; security catalogue S11.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import cast

import pytest

from agents.intake import Intake
from agents.table import MemoryTable
from schemas.catalogue import decode
from schemas.deadletters import DeadLetter
from streams.log import Append, Headers
from streams.memory_log import MemoryLog
from streams.topics import DEADLETTERS, INBOUND
from tests.support.checkers import all_records
from tests.support.gateways import OPEN, app, calling, events_in
from tests.unit.agents.harness import PARTITIONS, Run
from tests.unit.dialects.deliveries import binary, cloud_event, distribution, distribution_event, push_data, structured
from towline import limits
from towline.dialects import Delivery

HOOKS = {
    "cloudevents": OPEN.model_copy(update={"dialect": "cloudevents"}),
    "distribution": OPEN,
}
GOOD = structured()
TYPE = {"content-type": "application/cloudevents+json"}


def body(content: bytes) -> Delivery:
    return Delivery(TYPE, content)


def changed(old: bytes, new: bytes) -> Delivery:
    """The good event with one place changed."""
    assert GOOD.body.count(old) == 1
    return body(GOOD.body.replace(old, new))


def with_tag(value: bytes) -> Delivery:
    return changed(b'"1.0", "digest"', value + b', "digest"')


def data(**changes: object) -> Delivery:
    return structured(data={name: value for name, value in push_data(**changes).items() if value is not None})


MALFORMED = {
    "blank": (body(b" \n"), "not JSON"),
    "cut off": (body(GOOD.body[:-1]), "not JSON"),
    "two values": (body(GOOD.body * 2), "not JSON"),
    "a comment": (body(b"// event\n" + GOOD.body), "not JSON"),
    "a byte order mark": (body(b"\xef\xbb\xbf" + GOOD.body), "byte order mark"),
    "UTF-16": (body(GOOD.body.decode().encode("utf-16")), "not UTF-8"),
    "half a character": (with_tag(b'"\xc3"'), "not UTF-8"),
    "a written NUL": (with_tag(b'"\\u0000"'), "NUL"),
    "a plain NUL": (with_tag(b'"\x00"'), "not JSON"),
    "half a surrogate": (with_tag(b'"\\ud800"'), "surrogate"),
    "NaN": (with_tag(b"NaN"), "NaN is not JSON"),
    "an infinity": (with_tag(b"-Infinity"), "-Infinity is not JSON"),
    "a number beyond all": (with_tag(b"1e999"), "beyond what JSON readers can hold"),
    "65 bits": (with_tag(str(2**64).encode()), "64 bits"),
    "a million digits": (with_tag(b"9" * 1_000_000), "64 bits"),
    "a name twice": (changed(b'"source"', b'"id": "2", "source"'), "'id' occurs twice"),
    "ten thousand deep": (with_tag(b"[" * 10_000 + b"]" * 10_000), "nested deeper"),
    "a hundred thousand members": (
        with_tag(b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}"),
        "data.tag",
    ),
    "a list": (body(b"[]"), "CloudEvent"),
    "a number": (body(b"7"), "CloudEvent"),
    "another version": (structured(specversion="2.0"), "specversion"),
    "a version that is a number": (structured(specversion=1.0), "specversion"),
    "an unknown type": (structured(type="image.painted"), "image.painted"),
    "an event that only we write": (structured(type="policy.published"), "policy.published"),
    "no type": (structured(type=None), "type"),
    "no id": (structured(id=None), "id"),
    "no data": (structured(data=None), "data"),
    "data that is a list": (structured(data=[]), "data"),
    "a wrong type": (data(digest=7), "data.digest"),
    "a missing field": (data(digest=None), "data.digest"),
    "a foreign field": (data(colour="red"), "data.colour"),
    "no digest": (data(digest="sha256:0"), "data.digest"),
    "a tag that leads elsewhere": (data(tag="../../1.0"), "data.tag"),
    "a tag with a line break": (data(tag="1.0\nX: y"), "data.tag"),
    "a tag that rewrites a terminal": (data(tag="\x1b[2J\u202e1.0"), "data.tag"),
    "another registry": (data(repository="elsewhere/dev/app"), "data.repository"),
    "a repository in capitals": (data(repository="local/Dev/App"), "data.repository"),
    "headers of two events": (
        Delivery({**binary("ce-").headers, "ce-specversion": "0.3"}, binary("ce-").body),
        "specversion",
    ),
    "no envelope": (Delivery({}, b'{"event": []}'), "events"),
    "an event that is none": (distribution(distribution_event(), 7), "events.1"),
    "the second of two": (distribution(distribution_event(), distribution_event(target__digest="x")), "events.1"),
}


def dialect_of(delivery: Delivery) -> str:
    return "cloudevents" if delivery.headers else "distribution"


def inbound(delivery: Delivery, partition: int | None = None, key: bytes | None = b"any") -> Append:
    """The delivery as a producer writes it: attributes in headers have an underscore there."""
    headers: list[tuple[str, bytes]] = [("dialect", dialect_of(delivery).encode()), ("registry", b"local")]
    headers += [(name.replace("ce-", "ce_"), value.encode()) for name, value in delivery.headers.items()]
    return Append(INBOUND, key, delivery.body, partition, tuple(headers))


async def taken_in(log: MemoryLog, records: Sequence[Append]) -> list[DeadLetter]:
    """Let the intake work on records; return the dead letters."""
    for record in records:
        await log.append(record)
    run = Run(log, MemoryTable(), handler=Intake())
    await run.drain()
    await run.shell.close()
    assert run.failures == []
    assert len(run.acknowledged) == len(records)
    letters = [decode(record.value or b"").data for record in await all_records(log, DEADLETTERS)]
    return cast("list[DeadLetter]", letters)


@pytest.mark.parametrize("kind", sorted(MALFORMED))
async def test_what_is_malformed_is_refused_by_http_with_a_reason_and_the_next_is_taken(kind: str) -> None:
    delivery, reason = MALFORMED[kind]
    log, hook = MemoryLog(), dialect_of(delivery)
    async with calling(app(log, hooks=HOOKS)) as client:
        answer = await client.post(f"/hooks/{hook}", content=delivery.body, headers=dict(delivery.headers))
        assert (answer.status_code, await events_in(log)) == (400, [])
        said = answer.json()["error"]["reason"]
        assert reason in said
        assert said.isprintable()
        assert len(said) < 1000
        good = await client.post("/hooks/cloudevents", content=GOOD.body, headers=dict(GOOD.headers))
    assert good.status_code == 202
    assert len(await events_in(log)) == 1


@pytest.mark.parametrize("kind", sorted(MALFORMED))
async def test_what_is_malformed_is_one_dead_letter_with_the_same_reason_and_the_next_is_taken(kind: str) -> None:
    delivery, _ = MALFORMED[kind]
    async with calling(app(MemoryLog(), hooks=HOOKS)) as client:
        path = f"/hooks/{dialect_of(delivery)}"
        refused = await client.post(path, content=delivery.body, headers=dict(delivery.headers))
    log = MemoryLog(partitions=PARTITIONS)
    (letter,) = await taken_in(log, [inbound(delivery), inbound(GOOD)])
    assert letter.reason.replace("ce_", "ce-") == refused.json()["error"]["reason"].replace("ce_", "ce-")
    assert letter.value_sha256 == hashlib.sha256(delivery.body).hexdigest()
    if len(delivery.body) <= limits.deadletter_value_bytes:
        assert base64.b64decode(letter.value_base64 or "") == delivery.body
    assert len(await events_in(log)) == 1


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_the_size_of_a_record_is_bounded_to_the_byte(more: int) -> None:
    empty = json.dumps(cloud_event(padding="")).encode()
    size = limits.hook_body_bytes + more
    padded = body(json.dumps(cloud_event(padding="x" * (size - len(empty)))).encode())
    log = MemoryLog(partitions=PARTITIONS)
    letters = await taken_in(log, [inbound(padded), inbound(structured(id="2"))])
    assert len(await events_in(log)) == (2 if more <= 0 else 1)
    assert [letter.value_size for letter in letters] == ([] if more <= 0 else [size])


async def test_records_without_a_value_or_a_key_and_with_foreign_headers_are_taken_as_they_are_meant() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    tombstone = Append(INBOUND, b"any", cast("bytes", None))
    foreign: Headers = (("traceparent", b"\xff"), ("dialect2", b"x"))
    keyless = inbound(GOOD, partition=2, key=None)
    (letter,) = await taken_in(log, [tombstone, Append(INBOUND, None, keyless.value, 2, (*keyless.headers, *foreign))])
    assert (letter.reason, letter.value_base64, letter.value_size) == ("the record has no value", None, 0)
    (event,) = await events_in(log)
    assert event.subject == "local/dev/website:1.0"


async def test_a_thousand_bad_records_at_the_head_of_each_partition_hold_up_none_behind_them() -> None:
    bad = changed(b'"source"', b"source")
    records = [inbound(bad, partition) for partition in range(PARTITIONS) for _ in range(1000)]
    records += [inbound(structured(id=str(partition)), partition) for partition in range(PARTITIONS)]
    log = MemoryLog(partitions=PARTITIONS)
    letters = await taken_in(log, records)
    places = {(letter.partition, letter.offset) for letter in letters}
    assert places == {(partition, offset) for partition in range(PARTITIONS) for offset in range(1000)}
    assert len(letters) == len(places)
    assert len(await events_in(log)) == PARTITIONS
