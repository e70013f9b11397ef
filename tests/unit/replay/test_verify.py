"""``replay verify``: what is identical is said to be, and every difference is named with its place."""

from dataclasses import replace

import orjson
import pytest

from schemas.canonical import canonical_bytes, content_id
from schemas.catalogue import decode, encode
from schemas.decisions import Decision
from schemas.envelope import Envelope
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.replay.verify import Comparison, verify
from streams.routing import home_partition
from streams.topics import DECISIONS, EVENTS
from tests.support.builders import pushed, record_events
from tests.support.checkers import all_records
from tests.unit.agents.harness import PARTITIONS
from tests.unit.agents.histories import AFTER_PUBLICATION, HISTORY
from towline import limits
from towline.policy.step import MemoryState


async def decided_log(*, keep: int | None = None) -> tuple[MemoryLog, list[Append]]:
    """A log with events, and the decisions that belong to it, which the caller writes."""
    log = MemoryLog(partitions=PARTITIONS)
    await record_events(log, *HISTORY, *AFTER_PUBLICATION, partitions=PARTITIONS)
    decisions: list[Append] = []
    for partition in range(PARTITIONS):
        state = MemoryState()
        for record in await all_records(log, EVENTS):
            if record.partition == partition:
                step = state.step(decode(record.value or b""))
                decisions += [Append(DECISIONS, b"key", encode(item), partition) for item in step.decisions]
    return log, decisions[:keep]


async def written(decisions: list[Append], log: MemoryLog) -> MemoryLog:
    await log.append_all(decisions)
    return log


def altered(append: Append, **changes: object) -> Append:
    decision = decode(append.value)
    assert isinstance(decision.data, Decision)
    data = decision.data.model_copy(update=changes)
    return replace(append, value=encode(Envelope(decision.id, decision.source, decision.subject, decision.time, data)))


async def test_the_decisions_of_the_log_are_identical() -> None:
    log, decisions = await decided_log()
    result = await verify(await written(decisions, log))
    assert result.is_identical
    assert result.decisions == len(decisions) > 5
    assert result.events == len(await all_records(log, EVENTS))


async def test_a_decision_that_was_repeated_with_the_same_bytes_counts_once() -> None:
    log, decisions = await decided_log()
    again = [decision for decision in decisions if decision.partition == decisions[0].partition]
    result = await verify(await written([*decisions, *again], log))
    assert result.is_identical
    assert (result.decisions, result.duplicates) == (len(decisions), len(again))


def as_version_1(append: Append, *, without: tuple[str, ...] = ()) -> Append:
    """Return a decision as the first version wrote it."""
    record = orjson.loads(append.value)
    for name in ("mode", "options", "due_at", "actor", "pushed_by", *without):
        del record["data"][name]
    for finding in record["data"].get("rules", ()):
        for name in ("name", "detail", "events"):
            del finding[name]
    return replace(append, value=orjson.dumps({**record, "version": 1}, option=orjson.OPT_SORT_KEYS))


async def test_decisions_of_an_older_version_are_compared_by_what_it_knew() -> None:
    log, decisions = await decided_log()
    result = await verify(await written([as_version_1(item) for item in decisions], log))
    assert result.is_identical
    assert result.decisions == len(decisions)


async def test_a_decision_that_is_repeated_after_an_upgrade_counts_once() -> None:
    log, decisions = await decided_log()
    again = [decision for decision in decisions if decision.partition == decisions[0].partition]
    before = [as_version_1(item) for item in decisions]
    result = await verify(await written([*before, *again], log))
    assert result.is_identical
    assert (result.decisions, result.duplicates) == (len(decisions), len(again))


@pytest.mark.parametrize("member", ["verdict", "rules", "reason"])
async def test_a_decision_of_an_older_version_that_lacks_what_it_knew_is_another_one(member: str) -> None:
    log, decisions = await decided_log()
    decisions[0] = as_version_1(decisions[0], without=(member,))
    (difference,) = (await verify(await written(decisions, log))).differences
    assert (difference.kind, difference.decision_offset) == ("the decision is another one", 0)
    assert f"data.{member}" in difference.fields


async def test_a_decision_with_another_content_is_named_field_by_field() -> None:
    log, decisions = await decided_log()
    decisions[0] = altered(decisions[0], reason="because", verdict="promote")
    result = await verify(await written(decisions, log))
    (difference,) = result.differences
    assert not result.is_identical
    assert (difference.kind, difference.decision_offset) == ("the decision is another one", 0)
    assert set(difference.fields) <= {"data.reason", "data.verdict"}
    assert difference.fields["data.reason"][1] == "because"


async def test_a_decision_that_is_missing_in_the_middle_is_found() -> None:
    log, decisions = await decided_log()
    partition = fullest(decisions)
    gone = next(item for item in decisions if item.partition == partition)
    result = await verify(await written([item for item in decisions if item is not gone], log))
    (difference,) = result.differences
    assert (difference.partition, difference.decision_offset) == (partition, None)
    assert difference.kind == "a decision is missing"
    assert result.decisions == len(decisions) - 1, "what comes after it is compared all the same"
    event = orjson.loads(gone.value)["data"]["event_id"]
    records = {record.offset: record for record in await all_records(log, EVENTS) if record.partition == partition}
    assert difference.event_offset is not None
    assert decode(records[difference.event_offset].value or b"").id == event


async def test_decisions_that_are_not_made_yet_are_counted_and_are_no_match() -> None:
    log, decisions = await decided_log(keep=0)
    result = await verify(await written(decisions, log))
    assert result.undecided > 5
    assert not result.is_identical
    assert result.differences == []


def fullest(decisions: list[Append]) -> int:
    """Return the partition with the most decisions."""
    return max(range(PARTITIONS), key=lambda number: sum(item.partition == number for item in decisions))


def invented(append: Append, event_id: str = "e" * 64) -> Append:
    """Return a decision as nobody made it."""
    record = orjson.loads(append.value)
    record["id"] = content_id("invented", record["id"], event_id)
    record["data"]["event_id"] = event_id
    return replace(append, value=canonical_bytes(record))


@pytest.mark.parametrize("place", [0, 3, -1])
async def test_a_decision_that_no_event_leads_to_is_found(place: int) -> None:
    log, decisions = await decided_log()
    extra = invented(decisions[place])
    result = await verify(await written([*decisions[:place], extra, *decisions[place:]], log))
    (difference,) = result.differences
    assert difference.kind == "no event leads to this decision"
    assert (result.unexpected, result.missing, result.decisions) == (1, 0, len(decisions))
    records = await all_records(log, DECISIONS)
    (recorded,) = [item for item in records if item.value == extra.value]
    assert (difference.partition, difference.decision_offset) == (recorded.partition, recorded.offset)


async def test_another_content_under_the_id_of_a_decision_is_a_difference_though_the_first_is_right() -> None:
    log, decisions = await decided_log()
    result = await verify(await written([*decisions, altered(decisions[-1], reason="another")], log))
    (difference,) = result.differences
    assert difference.kind == "the decision is another one"
    assert difference.fields["data.reason"][1] == "another"
    assert result.decisions == len(decisions)


async def test_all_differences_are_counted_and_the_first_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "told_difference_count", 1)
    log, decisions = await decided_log()
    home = fullest(decisions)
    here = [item for item in decisions if item.partition == home]
    others = [item for item in decisions if item.partition != home]
    assert len(here) >= 4
    changed = altered(here[0], reason="because")
    result = await verify(await written([changed, *here[2:], invented(here[1]), *others], log))
    assert (result.changed, result.missing, result.unexpected) == (1, 1, 1)
    assert [difference.kind for difference in result.differences] == ["the decision is another one"]


async def test_a_decision_that_stands_behind_later_ones_is_late_and_no_difference() -> None:
    log, decisions = await decided_log()
    home = fullest(decisions)
    first, *rest = [item for item in decisions if item.partition == home]
    others = [item for item in decisions if item.partition != home]
    result = await verify(await written([*rest, first, *others], log))
    assert result.is_identical
    assert (result.late, result.decisions) == (1, len(decisions))


@pytest.mark.parametrize("ahead", [1, 4096])
@pytest.mark.parametrize("aside", [16, 8192])
async def test_whatever_the_bounds_the_counts_are_the_same(
    ahead: int, aside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "replay_ahead_count", ahead)
    monkeypatch.setattr(limits, "replay_recent_count", 1)
    monkeypatch.setattr(limits, "replay_aside_count", aside)
    log, decisions = await decided_log()
    home = fullest(decisions)
    here = [item for item in decisions if item.partition == home]
    others = [item for item in decisions if item.partition != home]
    assert len(here) >= 5
    # All of it again, the second half before the first, with one that nobody made and without the third.
    shuffled = [*here[4:], invented(here[0]), here[0], *here[3:4], here[1], *here[4:], here[0]]
    result = await verify(await written([*shuffled, *others], log))
    assert (result.changed, result.missing, result.unexpected) == (0, 1, 1)
    assert result.decisions == len(decisions) - 1
    assert result.duplicates == len(here[4:]) + 1


async def test_unusable_events_are_counted_and_lead_to_nothing() -> None:
    log, decisions = await decided_log()
    await log.append(Append(EVENTS, b"x", b"{", 0))
    await log.append(Append(EVENTS, b"x", decisions[0].value, 0))
    push = pushed("local/dev/app:lost", "one")
    home = home_partition(push, PARTITIONS)
    assert home is not None
    await log.append(Append(EVENTS, b"x", encode(push), (home + 1) % PARTITIONS))
    result = await verify(await written(decisions, log))
    assert result.is_identical
    assert result.unusable == 3, "neither JSON, nor an event, nor where it belongs"


async def test_verifying_writes_nothing() -> None:
    log, decisions = await decided_log()
    await written(decisions, log)

    async def refuse(record: Append) -> None:
        pytest.fail(f"wrote to {record.topic}")

    log.before_append = refuse
    assert (await verify(log)).is_identical


class Slow(MemoryLog):
    """Decides while it is being verified."""

    late: list[Append]

    async def high_watermark(self, topic: str, partition: int) -> int:
        if topic == DECISIONS and self.late:
            await self.append(self.late.pop(0))
        return await super().high_watermark(topic, partition)


async def test_an_evaluator_that_is_a_little_behind_is_waited_for() -> None:
    events, decisions = await decided_log()
    log = Slow(partitions=PARTITIONS)
    log.late = decisions
    for record in await all_records(events, EVENTS):
        await log.append(Append(EVENTS, record.key, record.value or b"", record.partition))
    result = await verify(log, Comparison(wait_seconds=30))
    assert result.is_identical
