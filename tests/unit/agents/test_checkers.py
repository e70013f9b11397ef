"""The checkers see what they are for: each finds its fault in an otherwise right log. Tests of the other tests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from agents.table import MemoryTable
from schemas.catalogue import EVENT_TYPES, decode, encode
from schemas.commands import CopyImage
from schemas.outcomes import Outcome
from streams.deadletters import dead_letter
from streams.log import Append, EventLog, LogRecord
from streams.memory_log import MemoryLog
from streams.topics import COMMANDS, DECISIONS, EVENTS, repository_key
from tests.support.builders import command, completed, failed, outcome, policy, proposed, pushed, record_events, ticked
from tests.support.checkers import (
    all_records,
    check_all,
    check_amplification,
    check_causality,
    check_determinism,
    check_ended,
    check_exactly_once_by_id,
    check_looks,
    check_order,
    check_origins,
    check_poison,
    traces,
)
from tests.support.hints import hinted, looked, missing
from tests.support.tracing import COMMANDED, EITHER, FOLDED, INSPECTED, MOST_ATTEMPTS, PUBLISHED, TOLD
from tests.unit.agents.harness import PARTITIONS, Run

Check = Callable[[EventLog], Awaitable[None]]
Twist = Callable[[Sequence[LogRecord]], Sequence[LogRecord]]


async def right_log() -> MemoryLog:
    """Return what a worker makes of some pushes, with an outcome of each command."""
    log = MemoryLog(partitions=PARTITIONS)
    chain = (
        policy("onward", "local/dev/app", "local/qa/app", initial_evaluation=False),
        policy("further", "local/qa/app", "remote/app", initial_evaluation=False),
    )
    pushes = [pushed(f"local/dev/app:{number}", f"image {number}") for number in range(3)]
    await record_events(log, proposed(*chain, reconcile="never"), partitions=PARTITIONS)
    run = Run(log, MemoryTable())
    await run.drain()
    await record_events(log, *pushes, ticked(5), partitions=PARTITIONS)
    await run.drain()
    ended: set[str] = set()
    for _ in chain:
        for item in (await traces(log)).commands:
            assert isinstance(item.data, CopyImage)
            if item.id not in ended:
                await record_events(log, outcome(completed(item.id, item.data)), partitions=PARTITIONS)
                ended.add(item.id)
        await run.drain()
    await run.shell.close()
    assert run.failures == []
    return log


async def twisted(topic: str, twist: Twist) -> MemoryLog:
    """Return the right log with another content of one topic."""
    right, wrong = await right_log(), MemoryLog(partitions=PARTITIONS)
    for name in (EVENTS, DECISIONS, COMMANDS):
        found = await all_records(right, name)
        for record in twist(found) if name == topic else found:
            await wrong.append(Append(name, record.key, record.value or b"", record.partition))
    return wrong


def changed(record: LogRecord, **changes: object) -> LogRecord:
    """Return a record whose data differs and whose id does not."""
    item = decode(record.value or b"")
    return record._replace(value=encode(replace(item, data=item.data.model_copy(update=changes))))


def is_outcome(record: LogRecord) -> bool:
    return isinstance(decode(record.value or b"").data, Outcome)


async def test_a_right_log_has_no_fault_and_neither_has_one_with_everything_twice() -> None:
    await check_all(await right_log())
    for topic in (DECISIONS, COMMANDS):
        await check_all(await twisted(topic, lambda found: [*found, *found]))


def without_pushes(found: Sequence[LogRecord]) -> Sequence[LogRecord]:
    return [record for record in found if b"image.pushed" not in (record.value or b"")]


def with_second_outcome(found: Sequence[LogRecord]) -> Sequence[LogRecord]:
    return [*found, changed(next(filter(is_outcome, found)), blobs_copied=99)]


def added(**changes: object) -> Twist:
    return lambda found: [*found, changed(found[0], **changes)]


def replaced(**changes: object) -> Twist:
    return lambda found: [changed(found[0], **changes), *found[1:]]


def without(*kinds: str) -> Twist:
    return lambda found: [
        record for record in found if not any(kind.encode() in (record.value or b"") for kind in kinds)
    ]


def copied_again(found: Sequence[LogRecord]) -> Sequence[LogRecord]:
    item = decode(found[0].value or b"")
    return [*found, found[0]._replace(value=encode(replace(item, id="f" * 64)))]


OTHER = "sha256:" + "0" * 64
FAULTS: dict[str, tuple[Check, str, Twist]] = {
    "decides out of order": (check_order, DECISIONS, lambda found: found[::-1]),
    f"two contents under {DECISIONS}": (check_exactly_once_by_id, DECISIONS, added(reason="another")),
    f"two contents under {COMMANDS}": (check_exactly_once_by_id, COMMANDS, added(policy="another")),
    "decisions of": (check_determinism, DECISIONS, lambda found: found[1:]),
    "partition . has": (check_determinism, DECISIONS, replaced(reason="another")),
    "lacks commands": (check_determinism, COMMANDS, lambda found: found[1:]),
    "decision .* without its event": (check_causality, EVENTS, without_pushes),
    "command .* without its decision": (check_causality, DECISIONS, lambda _: []),
    "command .* differs from its decision": (check_causality, COMMANDS, replaced(digest=OTHER)),
    "outcome .* without its command": (check_causality, COMMANDS, lambda _: []),
    "nothing led to event": (check_origins, EVENTS, without("policy.proposed")),
    "nothing led to": (check_origins, COMMANDS, lambda _: []),
    "leads to 2 copies": (check_amplification, COMMANDS, copied_again),
    "makes 17 hops": (check_amplification, COMMANDS, replaced(hops=17)),
    "has not ended": (check_ended, EVENTS, without("transfer.completed")),
    "a second outcome of one command": (check_causality, EVENTS, with_second_outcome),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_is_found(fault: str) -> None:
    check, topic, twist = FAULTS[fault]
    log = await twisted(topic, twist)
    with pytest.raises(AssertionError, match=fault):
        await check(log)


async def test_an_invented_command_is_found() -> None:
    log = await right_log()
    invented = command("local/dev/app:1", "local/qa/app:1", "one")
    await log.append(Append(COMMANDS, repository_key(invented.data.target.repository), encode(invented)))
    with pytest.raises(AssertionError, match="without its decision"):
        await check_causality(log)


async def test_an_invented_outcome_is_found() -> None:
    log = await right_log()
    invented = command("local/dev/app:1", "local/qa/app:1", "one")
    await record_events(log, outcome(failed(invented.id, invented.data)), partitions=PARTITIONS)
    with pytest.raises(AssertionError, match="without its command"):
        await check_causality(log)


async def test_a_look_that_nobody_was_asked_for_is_found() -> None:
    hint = hinted("local/dev/app:1")
    for seen in (looked(hint.subject, "one", after=hint), missing(hint.subject, after=hint)):
        log = await right_log()
        await record_events(log, hint, seen, partitions=PARTITIONS)
        with pytest.raises(AssertionError, match="by nobody who was asked to look"):
            await check_looks(log)
        run = Run(log, MemoryTable())
        await run.drain()
        await run.shell.close()
        await check_looks(log)


async def test_an_event_that_nobody_told_is_found() -> None:
    log = await right_log()
    told = {event.id for event in (await traces(log)).events}
    await check_origins(log, told)
    invented = pushed("local/dev/app:9", "image 9")
    await record_events(log, invented, partitions=PARTITIONS)
    await check_origins(log)
    with pytest.raises(AssertionError, match=f"nothing led to event {invented.id}"):
        await check_origins(log, told)


def test_every_type_of_event_has_an_origin() -> None:
    origins = [*TOLD, *COMMANDED, *INSPECTED, *PUBLISHED, *FOLDED, *EITHER]
    for kind in EVENT_TYPES.values():
        assert sum(issubclass(kind, origin) for origin in origins) == 1, kind


async def test_more_attempts_than_there_are_is_found() -> None:
    log = await right_log()
    given = (await traces(log)).commands[0]
    assert isinstance(given.data, CopyImage)
    too_many = failed(given.id, given.data).model_copy(update={"attempts": MOST_ATTEMPTS + 1})
    await check_ended(log)
    await record_events(log, outcome(too_many), partitions=PARTITIONS)
    with pytest.raises(AssertionError, match=f"took {MOST_ATTEMPTS + 1} attempts"):
        await check_ended(log)


async def poisoned() -> tuple[MemoryLog, Append]:
    """Return a right log with an event that cannot be used, and its dead letter, which is not in it."""
    log = await right_log()
    place = await log.append(Append(EVENTS, b"key", b"no event", 0))
    (record,) = [record async for record in log.read(EVENTS, 0, place.offset, place.offset + 1)]
    return log, dead_letter(record, "it is no event")


def letter_with(letter: Append, **changes: object) -> Append:
    item = decode(letter.value or b"")
    return replace(letter, value=encode(replace(item, data=item.data.model_copy(update=changes))))


async def test_what_cannot_be_used_has_one_dead_letter_however_often_it_is_written() -> None:
    log, letter = await poisoned()
    with pytest.raises(AssertionError, match="no dead letter of"):
        await check_poison(log)
    await log.append_all([letter, letter])
    await check_poison(log)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"value_base64": "b3RoZXI="}, "has other bytes"),
        ({"reason": ""}, "has no reason"),
        ({"offset": 999}, "which is not there"),
        ({"offset": 0}, "which could be used"),
    ],
)
async def test_a_dead_letter_that_is_wrong_is_found(changes: dict[str, object], fault: str) -> None:
    log, letter = await poisoned()
    await log.append(letter_with(letter, **changes))
    with pytest.raises(AssertionError, match=fault):
        await check_poison(log)


async def test_two_dead_letters_of_one_record_are_found() -> None:
    log, letter = await poisoned()
    await log.append_all([letter, letter_with(letter, reason="another")])
    with pytest.raises(AssertionError, match="two dead letters of"):
        await check_poison(log)
