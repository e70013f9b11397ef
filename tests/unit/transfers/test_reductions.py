"""What a target tag got in place of an index is found in the log, however much else is there."""

import pytest

from schemas.commands import RemoveTag
from schemas.envelope import Envelope
from schemas.events import TransferCompleted
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import EVENTS
from streams.transfers.reductions import Reductions
from tests.support.builders import command, completed, digest, outcome, pushed, record_events, reduced, removal
from towline import limits

PARTITIONS = 3
DEV, QA = "local/dev/app:1", "local/qa/app:1"


def made(image: str, target: str = QA, *, left: str | None = None, key: str = "first") -> TransferCompleted:
    copy = command(DEV, target, image, key=f"{image} {target} {key}")
    if left is None:
        return completed(copy.id, copy.data)
    return reduced(copy.id, copy.data).model_copy(update={"reduced_digest": digest(left)})


def removing(image: str, target: str = QA) -> RemoveTag:
    wanted: Envelope[RemoveTag] = removal(DEV, target, image)
    return wanted.data


class Told:
    def __init__(self) -> None:
        self.log = MemoryLog(partitions=PARTITIONS)
        self.reductions = Reductions(self.log)

    async def record(self, *outcomes: TransferCompleted) -> None:
        await record_events(self.log, *(outcome(data) for data in outcomes), partitions=PARTITIONS)

    async def of(self, image: str, target: str = QA) -> str | None:
        return await self.reductions.of(removing(image, target))


async def test_what_a_tag_got_for_a_digest_is_found_and_for_no_other_tag_or_digest() -> None:
    told = Told()
    await told.record(made("one", left="left"), made("two"))
    assert await told.of("one") == digest("left")
    assert await told.of("two") is None
    assert await told.of("one", "local/qa/app:2") is None


async def test_the_last_copy_counts_also_one_that_was_recorded_since_the_last_question() -> None:
    told = Told()
    await told.record(made("one", left="first"))
    assert await told.of("one") == digest("first")
    await told.record(made("one", left="second", key="second"))
    assert await told.of("one") == digest("second")


async def test_what_is_read_once_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    await told.record(made("one", left="left"))
    assert await told.of("one") == digest("left")
    monkeypatch.setattr("streams.transfers.reductions.decode", None)
    assert await told.of("one") == digest("left")


@pytest.mark.parametrize("asked_before", [True, False])
async def test_more_than_is_remembered_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, asked_before: bool
) -> None:
    monkeypatch.setattr(limits, "reduction_count", 2)
    told = Told()
    for number in range(5):
        await told.record(made(f"image {number}", left=f"left {number}"))
        if asked_before:
            await told.of(f"image {number}")
    for number in range(5):
        assert await told.of(f"image {number}") == digest(f"left {number}")
    assert await told.of("another") is None
    assert len(told.reductions._found) <= 2


async def test_records_that_are_none_of_ours_are_passed_over() -> None:
    told = Told()
    for partition in range(PARTITIONS):
        await told.log.append(Append(EVENTS, None, b'{"reduced_digest":"x"}', partition))
        await told.log.append(Append(EVENTS, None, b"", partition))
    await record_events(told.log, pushed(QA, "one"), partitions=PARTITIONS)
    await told.record(made("one", left="left"))
    assert await told.of("one") == digest("left")
