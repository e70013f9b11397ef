"""A transfer that a later command superseded brought nothing to its target: no chain goes on, no tag changes."""

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.references import Frozen, Reference
from streams.audit.explain import explain
from streams.memory_log import MemoryLog
from tests.support.builders import (
    arrived,
    command,
    completed,
    outcome,
    policy,
    published,
    record_events,
    skipped,
)
from tests.support.projections import asked
from tests.unit.policy.playing import DEV, QA, Partition

LATER_ID = content_id("test", "later")
CHAIN = (policy("to-qa", DEV, QA), policy("onward", QA, "remote/app"))
TAG = f"{QA}:1.0"


def superseded() -> Envelope[Frozen]:
    copy = command(f"{DEV}:1.0", TAG, "older")
    told = {"superseded_by": LATER_ID, "reason": f"superseded by the later command {LATER_ID} for {TAG}"}
    return outcome(skipped(copy.id, copy.data).model_copy(update=told))


def test_a_superseded_transfer_decides_and_changes_nothing() -> None:
    partition = Partition(published(*CHAIN))
    assert partition.take(superseded()) == []
    assert partition.step is not None
    assert partition.step.changes == ()


def test_one_that_found_the_digest_there_is_an_arrival_as_ever() -> None:
    copy = command(f"{DEV}:1.0", TAG, "older")
    assert Partition(published(*CHAIN)).verdicts(outcome(skipped(copy.id, copy.data))) == ["mirror"]


def test_the_copy_that_came_later_goes_on() -> None:
    later = command(f"{DEV}:1.0", TAG, "later", key="later")
    partition = Partition(published(*CHAIN), superseded())
    assert partition.verdicts(outcome(completed(later.id, later.data))) == ["mirror"]


async def test_explain_does_not_take_a_superseded_transfer_for_what_the_tag_has() -> None:
    log = MemoryLog(partitions=3)
    here = arrived(TAG, "here", hops=1)
    await record_events(log, here, superseded(), partitions=3)
    found = await asked(log, explain, Reference.parse(TAG))
    assert found.digest == getattr(here.data, "digest", None)
