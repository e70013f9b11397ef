"""The invariants of the fault catalogue as functions over a log. They recompute from the topics alone.

Nothing here comes from ``agents`` or from ``streams.replay``: what they get wrong must not be wrong here too.
"""

from collections.abc import Collection, Iterator

from schemas.catalogue import decode, encode
from schemas.commands import ResolveTag
from schemas.decisions import ROLLBACK, Decision
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageObserved
from schemas.outcomes import Outcome
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from streams.log import EventLog, LogRecord
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS, INBOUND
from tests.support.tracing import Traces, check_dead_letters
from towline.policy.step import MemoryState


async def records(log: EventLog, topic: str, partition: int) -> list[LogRecord]:
    """Return everything that a partition holds now."""
    end = await log.high_watermark(topic, partition)
    return [record async for record in log.read(topic, partition, 0, end)]


async def all_records(log: EventLog, topic: str) -> list[LogRecord]:
    """Return everything that a topic holds now, partition by partition."""
    return [record for number in range(await log.partitions(topic)) for record in await records(log, topic, number)]


async def check_order(log: EventLog) -> None:
    """I3: within a partition, the first writing of each decision follows the order of the events."""
    for partition in range(await log.partitions(EVENTS)):
        first: dict[str, int] = {}
        for record, event in _events(await records(log, EVENTS, partition)):
            first.setdefault(event.id, record.offset)
        decided = [first[decision.data.event_id] for decision in await _sealed(log, partition)]
        assert decided == sorted(decided), f"partition {partition} decides out of order: {decided}"


async def check_exactly_once_by_id(log: EventLog) -> None:
    """I4: what stands under one id is the same bytes, for decisions and for commands."""
    for topic in (DECISIONS, COMMANDS):
        content: dict[str, bytes] = {}
        for record in await all_records(log, topic):
            value = record.value or b""
            identity = decode(value).id
            assert content.setdefault(identity, value) == value, f"two contents under {topic} {identity}"


async def check_determinism(log: EventLog) -> None:
    """I4 and I5: each partition's decisions, each once, are byte for byte what its events lead to.

    Their commands are written, and the facts that travel are in the log.
    """
    written = {decode(record.value or b"").id for record in await all_records(log, COMMANDS)}
    told = {record.value for record in await all_records(log, EVENTS)}
    for partition in range(await log.partitions(EVENTS)):
        state = MemoryState()
        expected: list[bytes] = []
        commands: set[str] = set()
        carried: set[bytes] = set()
        for _, event in _events(await records(log, EVENTS, partition)):
            step = state.step(event)
            expected += [encode(decision) for decision in step.decisions]
            commands |= {command.id for command in step.commands}
            carried |= {encode(fact) for fact in step.carried}
        recorded = [encode(decision) for decision in await _sealed(log, partition)]
        assert recorded == expected, f"partition {partition} has {len(recorded)} decisions of {len(expected)}"
        assert commands <= written, f"partition {partition} lacks commands"
        assert carried <= told, f"partition {partition} lacks facts that travel"


async def traces(log: EventLog) -> Traces:
    """Return the content of the topics."""
    topics = (EVENTS, DECISIONS, COMMANDS)
    found = [tuple(event for _, event in _events(await all_records(log, topic))) for topic in topics]
    return Traces(*found)


async def check_origins(log: EventLog, told: Collection[str] | None = None) -> None:
    """I2: nothing is invented. ``told`` has the ids of all events that came from outside; None: nobody counted."""
    (await traces(log)).check_origins(told)


async def check_causality(log: EventLog) -> None:
    """I6: outcome, command, decision, event: none without the one before, and no two outcomes of one command."""
    found = await traces(log)
    for identity, decision in found.made_decisions.items():
        assert decision.event_id in found.event_ids, f"decision {identity} without its event"
    found.check_causes()
    ended: dict[str, bytes] = {}
    for event in found.events:
        if isinstance(event.data, Outcome):
            assert event.data.command_id in found.command_ids, f"outcome {event.id} without its command"
            content = encode(event)
            assert ended.setdefault(event.data.command_id, content) == content, "a second outcome of one command"


async def check_amplification(log: EventLog) -> None:
    """I15: one event leads to one copy of a digest to a target at most, and hops are bounded."""
    (await traces(log)).check_amplification()


async def check_ended(log: EventLog) -> None:
    """I9: each command has ended within its attempts. Holds once nothing goes wrong any more."""
    (await traces(log)).check_ended()


async def check_poison(log: EventLog) -> None:
    """I10: what could not be used is a dead letter, once, and nothing else is."""
    inputs = [record for topic in (INBOUND, EVENTS, COMMANDS) for record in await all_records(log, topic)]
    check_dead_letters(await all_records(log, DEADLETTERS), inputs, await log.partitions(EVENTS))


async def check_looks(log: EventLog) -> None:
    """I2: what was seen because of a hint, or was not there, was looked at by command."""
    commands = [decode(record.value or b"") for record in await all_records(log, COMMANDS)]
    looks = {(item.id, item.data.repository, item.data.tag) for item in commands if isinstance(item.data, ResolveTag)}
    for number in range(await log.partitions(EVENTS)):
        for _, event in _events(await records(log, EVENTS, number)):
            match event.data:
                case ImageObserved(cause="hint") | ImageDeleted(command_id=str()) as seen:
                    look = (seen.command_id, seen.repository, seen.tag)
                    assert look in looks, f"{event.subject} was seen by nobody who was asked to look"
                case _:
                    pass


async def check_rollbacks(log: EventLog) -> None:
    """A tag is moved back, and a digest barred, only with an approval by somebody else than who proposed it."""
    told = [
        event
        for number in range(await log.partitions(EVENTS))
        for _, event in _events(await records(log, EVENTS, number))
    ]
    requests = {event.id: event.data for event in told if isinstance(event.data, RollbackRequested)}
    approvals = {event.id: event.data for event in told if isinstance(event.data, RollbackApproved)}
    agreed = {
        (data.plan_id, data.target.repository)
        for data in approvals.values()
        if data.request_id in requests and data.actor != requests[data.request_id].actor
    }
    for record in await all_records(log, DECISIONS):
        decision = decode(record.value or b"").data
        if isinstance(decision, Decision) and decision.policy == ROLLBACK and decision.verdict in {"promote", "remove"}:
            approval = approvals.get(decision.event_id)
            assert approval is not None, f"{decision.target} was rolled back, and nobody approved"
            assert (approval.plan_id, approval.target.repository) in agreed, f"{decision.target}: nobody else approved"
    for event in told:
        if isinstance(event.data, DigestBarred):
            assert (event.data.plan_id, event.data.target_repository) in agreed, (
                f"{event.subject} barred by nobody else"
            )


async def check_all(log: EventLog) -> None:
    """Everything that holds of the topics after every test."""
    await check_order(log)
    await check_exactly_once_by_id(log)
    await check_determinism(log)
    await check_causality(log)
    await check_looks(log)
    await check_rollbacks(log)
    await check_origins(log)
    await check_amplification(log)
    await check_poison(log)


def _events(found: list[LogRecord]) -> Iterator[tuple[LogRecord, Envelope[Frozen]]]:
    for record in found:
        try:
            event = decode(record.value or b"")
        except ValueError:
            continue
        yield record, event


async def _sealed(log: EventLog, partition: int) -> list[Envelope[Decision]]:
    """Return the decisions of a partition, each id once, in the order of their first writing."""
    sealed: dict[str, Envelope[Decision]] = {}
    for record in await records(log, DECISIONS, partition):
        decision = decode(record.value or b"")
        assert isinstance(decision.data, Decision), f"{decision.subject} is no decision"
        sealed.setdefault(decision.id, decision)  # type: ignore[arg-type]
    return list(sealed.values())
