"""Records of the log that nobody can use: one dead letter each, and what follows is decided (E05, E06, P09)."""

from dataclasses import replace
from typing import cast

import orjson
import pytest

from agents.table import MemoryTable
from schemas.canonical import content_id
from schemas.catalogue import decode, encode
from schemas.decisions import Decision
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import appends_of, command, policy, published, pushed, record_events
from tests.support.checkers import all_records, check_determinism
from tests.unit.agents.harness import PARTITIONS, Run
from towline import limits

GOOD = pushed("local/dev/app:1.0", "one")
(HOME,) = appends_of(GOOD, PARTITIONS)


def changed(old: bytes, new: bytes) -> bytes:
    """Return the good event with one place changed."""
    assert HOME.value.count(old) == 1
    return HOME.value.replace(old, new)


def with_actor(json: bytes) -> bytes:
    return changed(b'"actor":"ci"', b'"actor":' + json)


UNUSABLE = {
    "a tombstone": (None, "the record is empty"),
    "nothing": (b"", "the record is empty"),
    "not JSON": (b"\x00\x01", "Invalid JSON"),
    "cut off": (HOME.value[:-1], "Invalid JSON"),
    "two values": (HOME.value * 2, "Invalid JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + HOME.value, "Invalid JSON"),
    "half a surrogate": (with_actor(b'"\\ud800"'), "Invalid JSON"),
    "nested without end": (with_actor(b"[" * 100_000), "recursion limit"),
    "a list": (b"[]", "should be an object"),
    "no number for the version": (changed(b'"version":1', b'"version":NaN'), "version"),
    "a newer version": (changed(b'"version":1', b'"version":2'), "version 2 is newer"),
    "a version of no record": (changed(b'"version":1', b'"version":0'), "version"),
    "an unknown type": (changed(b"image.pushed", b"image.painted"), "unknown type 'image.painted'"),
    "a command": (encode(command("local/dev/app:1", "local/qa/app:1", "one")), "image.copy is not an event"),
    "a wrong type": (with_actor(b"7"), "data.actor"),
    "a number of more than 64 bits": (with_actor(b"9" * 30), "64-bit"),
    "a foreign attribute": (changed(b'"specversion"', b'"other":1,"specversion"'), "other"),
    "a foreign field": (with_actor(b'"ci","other":1'), "data.other"),
    "a missing field": (with_actor(b'"ci"').replace(b'"tag":"1.0"', b'"tags":"1.0"'), "data.tag"),
    "more than an event may have": (HOME.value + b" " * limits.event_bytes, f"more than the {limits.event_bytes}"),
    "a time that is none": (changed(b'"time":"2026-', b'"time":"26-'), "time"),
}


async def decided(log: MemoryLog) -> None:
    """Let a worker take everything in."""
    run = Run(log, MemoryTable())
    await run.shell.take_over(range(PARTITIONS))
    await run.drain()
    await run.shell.close()
    assert run.failures == []
    assert len(run.acknowledged) == len(await all_records(log, EVENTS))


async def decisions(log: MemoryLog) -> list[Decision]:
    return [cast("Decision", decode(record.value or b"").data) for record in await all_records(log, DECISIONS)]


@pytest.mark.parametrize("key", [HOME.key, None])
@pytest.mark.parametrize("kind", sorted(UNUSABLE))
async def test_what_is_no_event_is_one_dead_letter_and_the_next_is_decided(kind: str, key: bytes | None) -> None:
    value, reason = UNUSABLE[kind]
    log = MemoryLog(partitions=PARTITIONS)
    await log.append(Append(EVENTS, key, cast("bytes", value), HOME.partition))
    await record_events(log, GOOD, partitions=PARTITIONS)
    await decided(log)
    (letter,) = await all_records(log, DEADLETTERS)
    assert reason in orjson.loads(letter.value or b"")["data"]["reason"]
    assert [decision.event_id for decision in await decisions(log)] == [GOOD.id]


async def test_foreign_headers_do_not_make_an_event_unusable() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    await log.append(replace(HOME, headers=(("traceparent", b"\xff"), ("dialect", b"none"))))
    await decided(log)
    assert await all_records(log, DEADLETTERS) == []
    assert [decision.event_id for decision in await decisions(log)] == [GOOD.id]


async def test_a_thousand_unusable_records_leave_a_thousand_letters_and_one_decision() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    for _ in range(1000):
        await log.append(Append(EVENTS, HOME.key, b"{"))
    await record_events(log, GOOD, partitions=PARTITIONS)
    await decided(log)
    letters = [decode(record.value or b"").id for record in await all_records(log, DEADLETTERS)]
    home = HOME.partition or 0
    assert letters == [content_id(EVENTS, str(home), str(offset)) for offset in range(1000)]
    assert [decision.event_id for decision in await decisions(log)] == [GOOD.id]


@pytest.mark.parametrize("template", ["%q", "%", "%%", "%n%"])
async def test_a_policy_that_nobody_checked_denies_and_stops_nothing(template: str) -> None:
    log = MemoryLog(partitions=PARTITIONS)
    bad = policy("bad", "local/dev/app", "local/qa/app", tag=template)
    good = policy("good", "local/dev/app", "local/prod/app")
    await record_events(log, published(bad, good), GOOD, partitions=PARTITIONS)
    await decided(log)
    assert [(one.policy, one.verdict) for one in await decisions(log)] == [("bad", "deny"), ("good", "promote")]
    assert "is not a directive" in (await decisions(log))[0].reason
    await check_determinism(log)
