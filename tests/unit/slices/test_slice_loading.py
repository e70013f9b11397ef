"""A slice is loaded into an empty log so that nothing can tell the two apart, or not at all."""

import dataclasses
import hashlib
from pathlib import Path

import orjson
import pytest

from streams.log import Append
from streams.memory_log import MemoryLog
from streams.slices.loading import load_slice
from streams.slices.reader import open_slice
from streams.slices.selection import Choice
from streams.topics import COMMANDS, DEADLETTERS, EVENTS, TOPICS
from tests.support.builders import at
from tests.support.exports import some_days
from tests.support.slices import everything, sliced
from tests.support.world import PARTITIONS
from towline.errors import LogError, MisuseError


async def test_a_loaded_log_is_the_log(tmp_path: Path) -> None:
    world = await some_days()
    await sliced(world.log, tmp_path / "slice.gz")
    loaded = MemoryLog(partitions=PARTITIONS)
    async with open_slice(tmp_path / "slice.gz") as given:
        count = await load_slice(loaded, given)

    expected = await everything(world.log)
    # Offsets, times, keys, values and headers: a seal over one is a seal over the other.
    assert await everything(loaded) == expected
    assert count == len(expected)


@pytest.mark.parametrize("topic", [EVENTS, COMMANDS, DEADLETTERS])
async def test_a_log_that_is_not_empty_is_refused_and_named(tmp_path: Path, topic: str) -> None:
    await sliced((await some_days(1)).log, tmp_path / "slice.gz", Choice(topics=(EVENTS,)))
    loaded = MemoryLog(partitions=PARTITIONS)
    await loaded.append(Append(topic, key=None, partition=2, value=b"mine"))
    async with open_slice(tmp_path / "slice.gz") as given:
        with pytest.raises(MisuseError, match=f"{topic} is not empty"):
            await load_slice(loaded, given)

    assert [item.value for item in await everything(loaded)] == [b"mine"]


async def test_a_log_with_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    await sliced((await some_days(1)).log, tmp_path / "slice.gz")
    loaded = MemoryLog(partitions=PARTITIONS + 1)
    async with open_slice(tmp_path / "slice.gz") as given:
        with pytest.raises(MisuseError, match=r"has 4 partitions here and 3 in the slice.*kafka\.partitions: 3"):
            await load_slice(loaded, given)

    assert await everything(loaded) == []


async def test_a_slice_without_the_beginning_of_a_topic_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    world = await some_days(2)
    await sliced(world.log, tmp_path / "slice.gz", Choice(since=at(24 * 3600)))
    loaded = MemoryLog(partitions=PARTITIONS)
    async with open_slice(tmp_path / "slice.gz") as given:
        with pytest.raises(MisuseError, match=r"does not have every offset of towline\.commands partition"):
            await load_slice(loaded, given)

    assert await everything(loaded) == []


async def test_a_slice_with_a_tombstone_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    world = await some_days(1)

    class WithTombstone:
        """A log to which another producer wrote something without a value."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.log, name)

        async def read_batches(self, *place: object):  # type: ignore[no-untyped-def]
            async for batch in world.log.read_batches(*place):  # type: ignore[arg-type]
                yield [item._replace(value=None) if item.topic == DEADLETTERS else item for item in batch]

    await sliced(WithTombstone(), tmp_path / "slice.gz")  # type: ignore[arg-type]
    loaded = MemoryLog(partitions=PARTITIONS)
    async with open_slice(tmp_path / "slice.gz") as given:
        with pytest.raises(MisuseError, match="tombstone"):
            await load_slice(loaded, given)

    assert await everything(loaded) == []


async def test_somebody_who_writes_at_the_same_time_is_noticed(tmp_path: Path) -> None:
    await sliced((await some_days(1)).log, tmp_path / "slice.gz")
    loaded = MemoryLog(partitions=PARTITIONS)

    async def intrude(record: Append) -> None:
        loaded.before_append = None
        await loaded.append(dataclasses.replace(record, value=b"intruder"))

    loaded.before_append = intrude
    async with open_slice(tmp_path / "slice.gz") as given:
        with pytest.raises(LogError, match="somebody else writes to this log"):
            await load_slice(loaded, given)


async def test_a_slice_writes_to_no_topic_but_those_of_the_log(tmp_path: Path) -> None:
    await sliced((await some_days(1)).log, tmp_path / "slice")
    hostile = (tmp_path / "slice").read_bytes().replace(COMMANDS.encode(), b"payments.booked")
    *lines, end = hostile.splitlines(keepends=True)
    told = orjson.loads(end)
    told["end"]["sha256"] = hashlib.sha256(b"".join(lines)).hexdigest()
    (tmp_path / "slice").write_bytes(b"".join([*lines, orjson.dumps(told), b"\n"]))
    topics = dict.fromkeys([*TOPICS, "payments.booked"], PARTITIONS)
    loaded = MemoryLog(topics=topics)
    async with open_slice(tmp_path / "slice") as given:
        with pytest.raises(MisuseError, match=r"has payments\.booked, which is no topic of the log"):
            await load_slice(loaded, given)

    assert await everything(loaded, tuple(topics)) == []
