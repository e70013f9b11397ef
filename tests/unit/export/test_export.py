"""An export is a folder for each day, goes on where it was, and says what it has and what covers it."""

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.catalogue import encode
from schemas.checkpoints import Checkpoint
from schemas.examples import EXAMPLES
from streams.export.check import check
from streams.export.columns import TABLES
from streams.export.manifest import read_manifest
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.secrets.scanner import Scanner, SecretsFoundError
from streams.topics import CHECKPOINTS, DEADLETTERS, DECISIONS, EVENTS
from tests.support.builders import at, pushed
from tests.support.exports import DAY_SECONDS, content_of, exported, rows_of, some_days
from tests.support.slices import everything
from tests.support.world import PARTITIONS
from towline import limits
from towline.errors import LogError, MisuseError, StorageError


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "export_chunk_records", 3)


async def test_every_record_is_exported_once_with_its_bytes(tmp_path: Path) -> None:
    world = await some_days()
    await exported(world.log, tmp_path, "jsonl", "parquet")

    from pyarrow import parquet

    for topic, table in list(TABLES.items())[:-1]:
        expected = [(item.partition, item.offset, item.value) for item in await everything(world.log, (topic,))]
        assert expected
        lines = rows_of(tmp_path, table)
        assert [(row["partition"], row["offset"], base64.b64decode(row["value_base64"])) for row in lines] == expected
        files = [parquet.ParquetFile(path).read().to_pylist() for path in (tmp_path / table).rglob("*.parquet")]
        cells = sorted((row["partition"], row["offset"], row["value"]) for rows in files for row in rows)
        assert cells == expected


async def test_files_are_by_the_day_of_the_recorded_time(tmp_path: Path) -> None:
    world = await some_days(2)
    await exported(world.log, tmp_path)

    for path in content_of(tmp_path):
        if path.startswith("events/"):
            days = {json.loads(line)["time"][:10] for line in (tmp_path / path).read_bytes().splitlines()}
            assert [f"day={day}" for day in days] == [path.split("/")[1]]
    assert {path.split("/")[1] for path in content_of(tmp_path) if path.startswith("decisions/")} == {
        "day=2026-11-24",
        "day=2026-11-25",
    }


async def test_the_manifest_has_each_file_with_its_digest_and_the_offsets(tmp_path: Path) -> None:
    world = await some_days()
    manifest = await exported(world.log, tmp_path, "jsonl", "parquet")

    assert manifest == read_manifest(tmp_path)
    content = content_of(tmp_path)
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(held).hexdigest() for path, held in content.items() if path != "manifest.json"
    }
    for topic, ranges in manifest.covered.items():
        for partition, done in enumerate(ranges):
            assert (done.first, done.end) == (0, await world.log.high_watermark(topic, partition))
            rows = sum(
                file.rows
                for file in manifest.files
                if (file.topic, file.partition) == (topic, partition) and file.path.endswith(".jsonl")
            )
            assert rows == done.end
    assert manifest.plan is None


async def test_exporting_again_changes_nothing_when_nothing_came(tmp_path: Path) -> None:
    world = await some_days()
    await exported(world.log, tmp_path)
    before = content_of(tmp_path)
    await exported(world.log, tmp_path)

    assert content_of(tmp_path) == before


async def test_what_came_later_becomes_further_files_and_finished_ones_are_not_touched(tmp_path: Path) -> None:
    world = await some_days(2)
    await exported(world.log, tmp_path)
    before = content_of(tmp_path)
    marks = {path: (tmp_path / path).stat().st_mtime_ns for path in before}
    # Of a day that is exported already, and of a new one.
    await world.record(pushed("local/dev/app:late", "late", time=at(60)))
    await some_days(1, world, first=2)
    await exported(world.log, tmp_path)

    after = content_of(tmp_path)
    assert {path: after[path] for path in before if path != "manifest.json"} == {
        path: held for path, held in before.items() if path != "manifest.json"
    }
    assert all(mark == (tmp_path / path).stat().st_mtime_ns for path, mark in marks.items() if path != "manifest.json")
    further = {path.split("/")[1] for path in after if path not in before and path.startswith("events/")}
    assert further == {"day=2026-11-24", "day=2026-11-26"}
    assert len(rows_of(tmp_path, "events")) == len(await everything(world.log, (EVENTS,)))


async def test_only_what_was_recorded_between_two_moments_is_exported(tmp_path: Path) -> None:
    world = await some_days(4)
    # To the moment: the first is in it, the last is not.
    moments = {"since": at(DAY_SECONDS + 60), "until": at(3 * DAY_SECONDS + 60)}
    await exported(world.log, tmp_path, **moments)

    assert len(await everything(world.log, (DECISIONS,))) == 4
    assert {row["time"][:10] for row in rows_of(tmp_path, "decisions")} == {"2026-11-25", "2026-11-26"}
    with pytest.raises(MisuseError, match=r"is an export as jsonl from 2026-11-25T08.* give another folder"):
        await exported(world.log, tmp_path)


async def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(MisuseError, match="holds something that is no export"):
        await exported((await some_days(1)).log, tmp_path)

    assert content_of(tmp_path) == {"thesis.txt": b"years of work"}


async def test_two_exports_to_one_folder_do_not_mix(tmp_path: Path) -> None:
    world = await some_days(1)

    class Slow:
        """A log that lets the other export begin while this one reads."""

        other: "asyncio.Task[object] | None" = None

        def __getattr__(self, name: str) -> object:
            return getattr(world.log, name)

        async def low_watermark(self, topic: str, partition: int) -> int:
            if self.other is None:
                self.other = asyncio.ensure_future(exported(world.log, tmp_path))
                await asyncio.wait([self.other])
            return await world.log.low_watermark(topic, partition)

    log = Slow()
    await exported(log, tmp_path)  # type: ignore[arg-type]
    assert log.other is not None
    with pytest.raises(MisuseError, match="another export writes to"):
        await log.other
    assert check(tmp_path)[1] == []


async def test_a_log_that_lost_its_tail_or_its_beginning_is_told(tmp_path: Path) -> None:
    world = await some_days(1)
    await exported(world.log, tmp_path)
    shorter = await some_days(0)
    with pytest.raises(LogError, match="lost"):
        await exported(shorter.log, tmp_path)

    longer = await some_days(3)
    for partition in range(PARTITIONS):
        longer.log.remove_before(EVENTS, partition, await longer.log.high_watermark(EVENTS, partition))
    with pytest.raises(LogError, match="was removed"):
        await exported(longer.log, tmp_path)


async def test_a_secret_stops_the_export_before_it_is_in_a_file(tmp_path: Path) -> None:
    world = await some_days(1)
    await world.log.append(Append(DEADLETTERS, key=b"k", value=b"the canary of the settings"))
    scanner = Scanner({"env:CANARY": "canary of the"})
    with pytest.raises(SecretsFoundError) as refused:
        await exported(world.log, tmp_path, "jsonl", "parquet", scanner=scanner)

    assert not any(b"canary of" in held for held in content_of(tmp_path).values())
    places = [finding.place for finding in refused.value.findings]
    manifest = await exported(
        world.log, tmp_path, "jsonl", "parquet", scanner=Scanner({"env:CANARY": "canary of the"}, places)
    )
    assert manifest.scan.allowed == tuple(places)
    # What was allowed once stays told.
    assert (await exported(world.log, tmp_path, "jsonl", "parquet")).scan.allowed == tuple(places)


async def seal(log: MemoryLog, partition: int, number: int, last_offset: int) -> None:
    envelope = EXAMPLES["checkpoint.sealed"]
    assert isinstance(envelope.data, Checkpoint)
    data = envelope.data.model_copy(
        update={"partition": partition, "number": number, "last_offset": last_offset, "size": last_offset + 1}
    )
    await log.append(
        Append(CHECKPOINTS, key=b"%d" % partition, value=encode(replace(envelope, data=data)), partition=partition)
    )


async def test_the_newest_checkpoint_over_nothing_but_exported_decisions_covers_them(tmp_path: Path) -> None:
    world = await some_days(4)
    (home,) = [number for number in range(PARTITIONS) if await world.log.high_watermark(DECISIONS, number) == 4]
    for number, last_offset in enumerate((0, 2, 7)):
        await seal(world.log, home, number, last_offset)
    manifest = await exported(world.log, tmp_path)

    for coverage in manifest.checkpoints:
        if coverage.partition == home:
            assert coverage.checkpoint is not None
            assert (coverage.checkpoint.number, coverage.checkpoint.last_offset) == (1, 2)
            assert coverage.reason is None
        else:
            assert coverage.checkpoint is None
            assert coverage.reason == "no checkpoint is over these decisions yet"
    assert [row["number"] for row in rows_of(tmp_path, "checkpoints")] == [0, 1]

    # It was over later decisions; now these are exported, and it too.
    await some_days(4, world, first=4)
    manifest = await exported(world.log, tmp_path)
    assert [row["number"] for row in rows_of(tmp_path, "checkpoints")] == [0, 1, 2]
    assert manifest.checkpoints[home].checkpoint is not None
    assert manifest.checkpoints[home].checkpoint.number == 2


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot use .*file/folder: Not a directory"):
        await exported((await some_days(1)).log, tmp_path / "file" / "folder")


async def test_a_whole_export_is_as_its_manifest_says(tmp_path: Path) -> None:
    await exported((await some_days()).log, tmp_path, "jsonl", "parquet")

    assert check(tmp_path)[1] == []


@pytest.mark.parametrize("change", ["altered", "missing", "linked", "added", "unfinished"])
async def test_what_differs_from_the_manifest_is_named(tmp_path: Path, change: str) -> None:
    await exported((await some_days(1)).log, tmp_path)
    path = sorted(path for path in content_of(tmp_path) if path.startswith("decisions/"))[0]
    file, held = tmp_path / path, content_of(tmp_path)[path]
    match change:
        case "altered":
            file.write_bytes(held.replace(b"promote", b"denied!", 1))
        case "missing":
            file.unlink()
        case "linked":
            (tmp_path.parent / "elsewhere").write_bytes(held)
            file.unlink()
            file.symlink_to(tmp_path.parent / "elsewhere")
        case "added":
            path = "decisions/day=2026-11-24/part-9999-0.jsonl"
            (tmp_path / path).write_bytes(b"")
        case "unfinished":
            path = "manifest.json"
            manifest = json.loads((tmp_path / path).read_bytes())
            (tmp_path / path).write_text(json.dumps(manifest | {"plan": {}}))

    (found,) = check(tmp_path)[1]
    assert found.path == path
    reasons = {
        "altered": "its SHA-256 is",
        "missing": "it is missing",
        "linked": "it is a link",
        "added": "the manifest does not have it",
        "unfinished": "not complete",
    }
    assert reasons[change] in found.reason


async def test_a_manifest_cannot_name_a_file_outside_of_the_folder(tmp_path: Path) -> None:
    await exported((await some_days(1)).log, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    manifest["files"][0]["path"] = "events/day=2026-11-24/../../../etc/passwd"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(MisuseError, match=r"manifest\.json: files\.0\.path"):
        check(tmp_path)


def test_a_folder_without_a_manifest_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"has no manifest\.json: it is no export"):
        check(tmp_path)
