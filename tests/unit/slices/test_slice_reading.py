"""A slice gives back what the log held, byte for byte, and is refused when it was cut off or altered."""

import asyncio
import gzip
import hashlib
import json
from contextlib import aclosing
from pathlib import Path

import orjson
import pytest

from streams.cli.source import reading
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.slices.reader import SliceLog, open_slice
from streams.slices.selection import Choice
from streams.topics import COMMANDS, DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import policy, published, pushed, ticked
from tests.support.slices import everything, sliced
from tests.support.world import PARTITIONS, World
from towline.errors import LogError, LogUnavailableError, MisuseError, TopicMismatchError

SUFFIXES = [".jsonl", ".jsonl.gz"]


@pytest.fixture
async def world() -> World:
    """Some pushes with their decisions and commands, and bytes of every kind in the dead letters."""
    made = World()
    await made.record(published(policy("to-qa", "local/dev/app", "local/qa/app")))
    for number in range(5):
        await made.record(pushed(f"local/dev/app:{number}", f"image {number}"), ticked(number + 1))
    odd = [
        Append(DEADLETTERS, key=b"\xff\x00", value=bytes(range(256)), headers=(("name", b"\xfe"), ("name", b"text"))),
        Append(DEADLETTERS, key=None, partition=1, value=b'{"a":"\xc3\xa9\\u00e9"}\n'),
        Append(DEADLETTERS, key=b"", value=b""),
        Append(DEADLETTERS, key=b"key", value='\x00"\\\u2028 {"base64": "x"}'.encode()),
    ]
    await made.log.append_all(odd)
    return made


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_every_record_comes_back_byte_for_byte(world: World, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"slice{suffix}"
    await sliced(world.log, path)

    async with open_slice(path) as log:
        assert await everything(log) == await everything(world.log)
        for partition in range(PARTITIONS):
            assert await log.high_watermark(EVENTS, partition) == await world.log.high_watermark(EVENTS, partition)


async def test_a_range_holds_exactly_its_offsets(tmp_path: Path) -> None:
    made = MemoryLog(partitions=1)
    await made.append_all([Append(EVENTS, b"key", b"%d" % number) for number in range(1300)])
    made.remove_before(EVENTS, 0, 10)
    await sliced(made, tmp_path / "slice.jsonl")

    async with open_slice(tmp_path / "slice.jsonl") as log:
        batches = [batch async for batch in log.read_batches(EVENTS, 0, 7, 1200)]
        assert all(batches)
        assert [item.offset for batch in batches for item in batch] == list(range(10, 1200))
        assert [item.value async for item in log.read(EVENTS, 0, 1298, 9999)] == [b"1298", b"1299"]
        assert [item async for item in log.read(EVENTS, 0, 50, 50)] == []
        assert (await log.low_watermark(EVENTS, 0), await log.high_watermark(EVENTS, 0)) == (10, 1300)


async def test_a_partition_can_be_read_twice_at_once(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl")

    async with open_slice(tmp_path / "slice.jsonl") as log:
        expected = await everything(log, (EVENTS,))
        one, other = await asyncio.gather(everything(log, (EVENTS,)), everything(log, (EVENTS,)))
        assert one == other == expected


async def test_a_follower_sees_what_is_there_and_waits_until_the_end(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl")
    log = open_slice(tmp_path / "slice.jsonl")
    end = await log.high_watermark(EVENTS, 0)

    async with aclosing(log.follow(EVENTS, {0: end - 1})) as following:
        assert (await anext(following)).offset == end - 1
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        await log.close()
        with pytest.raises(LogUnavailableError, match="closed"):
            await waiting


async def test_a_follower_beyond_the_end_is_told(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl")

    async with open_slice(tmp_path / "slice.jsonl") as log, aclosing(log.follow(EVENTS, {0: 999})) as following:
        with pytest.raises(LogError, match="lost"):
            await anext(following)


async def test_what_the_slice_does_not_have_is_named(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl", Choice(topics=(EVENTS, DECISIONS)))

    async with open_slice(tmp_path / "slice.jsonl") as log:
        with pytest.raises(TopicMismatchError, match=r"no towline\.commands: .* --topic towline\.commands"):
            await log.partitions(COMMANDS)
        with pytest.raises(TopicMismatchError, match="no partition 3"):
            await log.high_watermark(EVENTS, PARTITIONS)


async def test_a_closed_slice_cannot_be_read(world: World, tmp_path: Path) -> None:
    await sliced(world.log, tmp_path / "slice.jsonl")
    log = open_slice(tmp_path / "slice.jsonl")
    await log.close()

    with pytest.raises(LogUnavailableError, match="closed"):
        await log.partitions(EVENTS)


async def test_who_reads_a_slice_while_it_is_closed_is_told(tmp_path: Path) -> None:
    made = MemoryLog(partitions=1)
    await made.append_all([Append(EVENTS, b"key", b"%d" % number) for number in range(1300)])
    await sliced(made, tmp_path / "slice.jsonl")
    log = open_slice(tmp_path / "slice.jsonl")

    async with aclosing(log.read_batches(EVENTS, 0, 0, 1300)) as batches:
        await anext(batches)
        await log.close()
        with pytest.raises(LogUnavailableError, match="closed"):
            await anext(batches)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


async def test_each_flipped_bit_of_a_slice_is_found(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    whole = path.read_bytes()
    altered = tmp_path / "altered.jsonl"

    for position in range(0, len(whole), 41):
        for bit in (0, 5):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            altered.write_bytes(content)
            with pytest.raises(MisuseError, match=r"altered\.jsonl, line \d+: "):
                open_slice(altered)


async def test_a_slice_that_was_cut_anywhere_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    whole = path.read_bytes()
    cut = tmp_path / "cut.jsonl"

    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(MisuseError, match=r"cut\.jsonl, line \d+: "):
            open_slice(cut)


async def test_a_slice_that_was_cut_after_any_line_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    lines = lines_of(path)

    for count in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:count]))
        with pytest.raises(MisuseError, match=rf"line {count + 1}: the end is missing"):
            open_slice(path)


async def test_what_follows_the_end_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    lines = lines_of(path)
    for more in (lines[1], lines[-1], b"\n"):
        path.write_bytes(b"".join([*lines, more]))
        with pytest.raises(MisuseError, match=rf"line {len(lines) + 1}: there is something after the end"):
            open_slice(path)


async def test_how_many_records_are_missing_is_told(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    records = (await sliced(world.log, path)).records
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:2] + lines[4:]))

    with pytest.raises(MisuseError, match=f"it has {records - 2} records, {records} were written"):
        open_slice(path)


async def test_a_packed_slice_that_was_cut_or_altered_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl.gz"
    await sliced(world.log, path)
    whole = path.read_bytes()
    bad = tmp_path / "bad.gz"

    # The first ten bytes say how it was packed: system, time and speed are nobody's loss.
    for position in range(10, len(whole), 53):
        bad.write_bytes(whole[:position])
        with pytest.raises(MisuseError):
            open_slice(bad)
        bad.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(MisuseError):
            open_slice(bad)


@pytest.mark.parametrize("change", ["drop", "twice", "swap"])
async def test_lines_that_were_dropped_repeated_or_swapped_are_told_with_their_place(
    world: World, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    lines = lines_of(path)
    match change:
        case "drop":
            del lines[2]
        case "twice":
            lines.insert(3, lines[2])
        case "swap":
            lines[2], lines[3] = lines[3], lines[2]
    path.write_bytes(b"".join(lines))

    with pytest.raises(MisuseError, match=rf"line {len(lines) if change == 'drop' else 4}: "):
        open_slice(path)


async def test_who_does_not_insist_reads_an_altered_slice_and_is_told_of_it(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    lines = lines_of(path)
    member = orjson.loads(lines[2])
    member["value"] = "altered"
    lines[2] = orjson.dumps(member) + b"\n"
    path.write_bytes(b"".join(lines))

    async with reading(path, insist=False) as log:
        assert isinstance(log, SliceLog)
        assert [(item.line, item.reason.split(":")[0]) for item in log.problems] == [(len(lines), "it was altered")]
        assert [item.value for item in await everything(log)].count(b"altered") == 1
    with pytest.raises(MisuseError, match="it was altered"):
        open_slice(path)


async def test_who_does_not_insist_reads_swapped_records_in_the_order_of_the_file(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    lines = lines_of(path)
    lines[1], lines[2] = lines[2], lines[1]
    path.write_bytes(b"".join(lines))

    async with open_slice(path, insist=False) as log:
        assert [item.offset async for item in log.read(EVENTS, 0, 0, 2)] == [1, 0]
        assert log.offsets(EVENTS, 0)[:3] == [1, 0, 2]
        assert len(log.problems) == 2


async def test_a_newer_format_is_refused_and_says_what_to_do(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    header, *lines = lines_of(path)
    path.write_bytes(b"".join([header.replace(b'"slice":1', b'"slice":2'), *lines]))

    with pytest.raises(MisuseError, match=r"line 1: format 2 is newer than 1.*use a newer towline"):
        open_slice(path)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[]\n", b"no JSON", b"\x1f\x8b", gzip.compress(b"", mtime=0)])
def test_what_is_no_slice_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    for insist in (True, False):
        with pytest.raises(MisuseError, match="line 1: "):
            open_slice(tmp_path / "file", insist=insist)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"cannot read .*missing: No such file"):
        open_slice(tmp_path / "missing")


async def test_numbers_that_kafka_cannot_have_are_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    await sliced(world.log, path)
    header, line, *_ = lines_of(path)
    for bad in (2**63, -(2**63) - 1, 10**40, 1.5, "1", True, None):
        member = json.loads(line)
        member["timestamp_ms"] = bad
        record = json.dumps(member).encode() + b"\n"
        end = {"end": {"records": 1, "sha256": hashlib.sha256(header + record).hexdigest()}}
        path.write_bytes(header + record + orjson.dumps(end) + b"\n")
        with pytest.raises(MisuseError, match="line 2: not the line of a record"):
            open_slice(path)


async def test_a_slice_of_some_partitions_says_that_it_knows_nothing_of_the_others(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slice.jsonl"
    event = pushed("local/dev/app:9", "image")
    await sliced(world.log, path, Choice(repositories=(event.data.repository,)))  # type: ignore[attr-defined]

    async with reading(path) as log:
        ends = [await log.high_watermark(EVENTS, partition) for partition in range(PARTITIONS)]
    assert sum(end > 0 for end in ends) == 1
    assert "slice.jsonl: of the partitions of local/dev/app only" in capsys.readouterr().err
