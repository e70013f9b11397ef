"""Publishing over a log in memory: one order of revisions, and an answer once every partition has the new one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from schemas.catalogue import decode
from schemas.events import PolicyPublished
from schemas.policies import PolicySet
from streams.folding import fold
from streams.log import Append, Position
from streams.memory_log import MemoryLog
from streams.publication import RevisionConflictError, policies_in_force, publish
from streams.topics import EVENTS
from tests.support.builders import policy, proposed, record_events
from tests.support.checkers import all_records
from towline import limits
from towline.errors import MisuseError, NoAnswerError, UnusableInputError
from towline.policy.step import MemoryState

PARTITIONS = 3
FIRST = PolicySet(policies=(policy("first", "local/dev/app", "local/qa/app"),))
SECOND = PolicySet(policies=(policy("second", "local/dev/app", "remote/app"),))


async def evaluate(log: MemoryLog, *, partitions_told: int = PARTITIONS) -> None:
    """Announce what the proposals lead to, as the evaluator does, but only to the first ``partitions_told``."""
    state = MemoryState()
    async for record in log.follow(EVENTS, {0: 0}):
        try:
            folded = fold(state, record, PARTITIONS)
        except UnusableInputError:
            continue
        state.apply(folded.changes)
        await log.append_all([append for append in folded.events if (append.partition or 0) < partitions_told])


@asynccontextmanager
async def evaluated(log: MemoryLog, *, partitions_told: int = PARTITIONS) -> AsyncIterator[None]:
    task = asyncio.create_task(evaluate(log, partitions_told=partitions_told))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), "the evaluator failed"


async def apply(log: MemoryLog, policies: PolicySet, *, replaces: int, seconds: float = 30) -> int:
    return await publish(log, policies, replaces=replaces, actor="ann", timeout_seconds=seconds)


async def test_a_set_is_published_once_every_partition_has_it() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    told: list[tuple[int, int]] = []
    async with evaluated(log):
        revision = await publish(
            log,
            FIRST,
            replaces=0,
            actor="ann",
            timeout_seconds=30,
            progress=lambda done, total: told.append((done, total)),
        )
    assert revision == 1
    published = [
        (record.partition, event.revision, event.set)
        for record in await all_records(log, EVENTS)
        if isinstance(event := decode(record.value or b"").data, PolicyPublished)
    ]
    assert published == [(partition, 1, FIRST) for partition in range(PARTITIONS)]
    assert told[-1] == (PARTITIONS, PARTITIONS)
    in_force = await policies_in_force(log)
    assert (in_force.revision, in_force.policies) == (1, FIRST)
    assert in_force.published is not None
    assert in_force.published.data.actor == "ann"


async def test_before_the_first_publication_the_empty_set_is_in_force() -> None:
    in_force = await policies_in_force(MemoryLog(partitions=PARTITIONS))
    assert (in_force.revision, in_force.policies, in_force.published) == (0, PolicySet(), None)


async def test_revisions_follow_each_other_and_records_of_others_do_not_disturb_them() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    await log.append(Append(EVENTS, b"key", b"{", 0))
    async with evaluated(log):
        assert await apply(log, FIRST, replaces=0) == 1
        await log.append(Append(EVENTS, b"key", b"{", 1))
        assert await apply(log, SECOND, replaces=1) == 2
        assert await apply(log, FIRST, replaces=2) == 3, "an earlier set may come back as a new revision"
    assert (await policies_in_force(log)).policies == FIRST


async def test_who_names_a_revision_that_was_replaced_is_refused_and_told_by_whom() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    async with evaluated(log):
        await apply(log, FIRST, replaces=0)
        with pytest.raises(RevisionConflictError, match="revision 0 was replaced first, by revision 1 of ann"):
            await apply(log, SECOND, replaces=0)
    assert (await policies_in_force(log)).policies == FIRST


async def test_who_names_a_revision_that_is_not_yet_is_told_and_nothing_is_proposed() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    with pytest.raises(MisuseError, match="there is no revision 7 to replace: revision 0 is in force"):
        await apply(log, FIRST, replaces=7)
    assert await all_records(log, EVENTS) == []


async def test_a_set_that_evaluators_could_not_keep_is_refused_and_nothing_is_proposed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "submission_bytes", 500)
    log = MemoryLog(partitions=PARTITIONS)
    with pytest.raises(MisuseError, match="bytes, and the log takes 500: let policies with a glob"):
        await apply(log, FIRST, replaces=0)
    assert await all_records(log, EVENTS) == []


async def test_of_two_that_replace_the_same_revision_at_once_one_is_published_and_one_refused() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    async with evaluated(log):
        results = await asyncio.gather(
            apply(log, FIRST, replaces=0), apply(log, SECOND, replaces=0), return_exceptions=True
        )
    assert sorted(map(type, results), key=str) == sorted([int, RevisionConflictError], key=str)
    winner = FIRST if results[0] == 1 else SECOND
    assert (await policies_in_force(log)).policies == winner


async def test_a_proposal_that_came_before_in_the_log_wins() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    await record_events(log, proposed(*SECOND.policies, actor="bob"), partitions=PARTITIONS)
    publishing = asyncio.create_task(apply(log, FIRST, replaces=0))
    async with evaluated(log):
        with pytest.raises(RevisionConflictError, match="of bob"):
            await publishing


async def test_without_an_evaluator_nobody_answers_and_the_proposal_stays() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    with pytest.raises(NoAnswerError, match="It is in the log and will be decided"):
        await apply(log, FIRST, replaces=0, seconds=0.01)
    assert (await policies_in_force(log)).revision == 0
    async with evaluated(log):
        with pytest.raises(RevisionConflictError, match="by revision 1 of ann"):
            await apply(log, SECOND, replaces=0)
    assert (await policies_in_force(log)).policies == FIRST, "it was decided when an evaluator came"


async def test_a_publication_that_has_not_reached_every_partition_is_not_yet_published() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    async with evaluated(log, partitions_told=PARTITIONS - 1):
        with pytest.raises(NoAnswerError):
            await apply(log, FIRST, replaces=0, seconds=0.2)


async def test_an_earlier_publication_that_is_announced_once_more_counts_for_nothing() -> None:
    log = MemoryLog(partitions=PARTITIONS)
    async with evaluated(log):
        await apply(log, FIRST, replaces=0)
    (earlier,) = [
        record
        for record in await all_records(log, EVENTS)
        if record.partition == PARTITIONS - 1 and isinstance(decode(record.value or b"").data, PolicyPublished)
    ]

    async def announce_again(record: Append) -> None:
        log.before_append = None
        for partition in (0, PARTITIONS - 1):
            await log.append(Append(EVENTS, earlier.key, earlier.value or b"", partition))

    log.before_append = announce_again
    async with evaluated(log, partitions_told=PARTITIONS - 1):
        with pytest.raises(NoAnswerError):
            await apply(log, SECOND, replaces=1, seconds=0.2)
    await log.append(Append(EVENTS, earlier.key, earlier.value or b"", 0))
    assert (await policies_in_force(log)).revision == 2


class Overtaking(MemoryLog):
    """Before a proposal is acknowledged, it is published and already replaced by another."""

    def __init__(self) -> None:
        super().__init__(partitions=PARTITIONS)
        self.overtaken = False

    async def append(self, record: Append) -> Position:
        position = await super().append(record)
        if not self.overtaken:
            self.overtaken = True
            await record_events(self, proposed(*SECOND.policies, replaces=1, actor="bob"), partitions=PARTITIONS)
            async with evaluated(self):
                async for seen in self.follow(EVENTS, {PARTITIONS - 1: 0}):
                    event = decode(seen.value or b"").data
                    if isinstance(event, PolicyPublished) and event.revision == 2:
                        break
        return position


async def test_a_publication_that_was_replaced_before_its_author_looked_was_published_all_the_same() -> None:
    log = Overtaking()
    assert await apply(log, FIRST, replaces=0) == 1
    assert (await policies_in_force(log)).policies == SECOND
