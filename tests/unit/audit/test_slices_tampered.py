"""A04 on an exported slice: ``audit verify --slice`` names what was done to it, and needs no Kafka for that."""

import hashlib
import subprocess
import sys
from asyncio import to_thread
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.slices.selection import Choice
from streams.topics import CHECKPOINTS, DECISIONS
from tests.support import guard
from tests.support.builders import at, policy, published, pushed, ticked
from tests.support.slices import sliced
from tests.support.tampering import seal_all
from tests.support.world import World
from tests.unit.audit.sealed import public_pem
from tests.unit.slices.test_slice_choice import HOME, REPOSITORY
from towline.settings import isolated_environment

DECIDED = 12
EVERY = 5


@dataclass
class Lines:
    """The lines of a slice, to be edited by topic."""

    all: list[bytes]
    files: Path
    places: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.places = {topic: [] for topic in (DECISIONS, CHECKPOINTS)}
        for number, line in enumerate(self.all):
            told = orjson.loads(line)
            if told.get("topic") in self.places and told["partition"] == HOME:
                self.places[told["topic"]].append(number)

    def edit(self, topic: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Change the records of a topic, and give them offsets that a slice can have."""
        places = self.places[topic]
        records = [orjson.loads(self.all[place]) for place in places]
        change(records)
        for offset, record in enumerate(records):
            record["offset"] = offset
        kept = [line for number, line in enumerate(self.all) if number not in places]
        kept[places[0] : places[0]] = [orjson.dumps(record) + b"\n" for record in records]
        self.all = kept
        self._fit(topic, len(records))

    def _fit(self, topic: str, count: int) -> None:
        """Write the header and the end that fit, as whoever does this with care would."""
        header = orjson.loads(self.all[0])
        header["topics"][topic][HOME] = {"first": 0, "end": count}
        self.all[0] = orjson.dumps(header) + b"\n"
        self.end()

    def end(self) -> None:
        end = {"records": len(self.all) - 3, "sha256": hashlib.sha256(b"".join(self.all[:-1])).hexdigest()}
        self.all[-1] = orjson.dumps({"end": end}) + b"\n"

    def verify(self, *options: str) -> tuple[int, Any]:
        """Write the slice and verify it; return the exit code and what is told."""
        (self.files / "slice.jsonl").write_bytes(b"".join(self.all))
        command = ["audit", "verify", "--slice", str(self.files / "slice.jsonl"), "--key", str(self.files / "seal.pub")]
        done = CliRunner().invoke(app, [*command, "--json", *options])
        assert done.exit_code in (0, 1), done.output
        return done.exit_code, orjson.loads(done.stdout)

    def found(self, *options: str) -> list[tuple[str, str, int, int | None, int | None]]:
        code, told = self.verify(*options)
        assert code == 1
        assert told["seals"] == "broken"
        assert set(told["advice"]) == {finding["kind"] for finding in told["details"]["findings"]}
        members = ("kind", "topic", "partition", "offset", "index")
        return [tuple(finding[name] for name in members) for finding in told["details"]["findings"]]  # type: ignore[misc]


@pytest.fixture
async def lines(tmp_path: Path) -> Lines:
    """A slice of a small system with sealed decisions."""
    world = World()
    await world.record(published(policy("to-qa", REPOSITORY, "local/qa/app")))
    for minute in range(DECIDED):
        event = pushed(f"{REPOSITORY}:{minute}", f"image {minute}", time=at(60 * minute))
        await world.record(event, ticked(60 * minute))
    await seal_all(world.log, EVERY)
    await sliced(world.log, tmp_path / "slice.jsonl", Choice())
    (tmp_path / "seal.pub").write_bytes(public_pem())
    made = Lines((tmp_path / "slice.jsonl").read_bytes().splitlines(keepends=True), tmp_path)
    assert {topic: len(places) for topic, places in made.places.items()} == {DECISIONS: DECIDED, CHECKPOINTS: 3}
    return made


def test_an_untouched_slice_verifies_on_a_machine_without_kafka_or_network(lines: Lines) -> None:
    program = "from streams.cli import main; main()"
    arguments = ["audit", "verify", "--slice", "slice.jsonl", "--key", "seal.pub"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=lines.files,
        env=isolated_environment(
            PYTHONPATH=f"{Path(guard.__file__).parent}:{Path(__file__).parents[3]}",
            TOWLINE_TEST_ALLOWED_ADDRESS="nowhere",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["not sealed yet: 0 records", "seals: intact"]


def test_a_slice_whose_lines_were_written_anew_is_intact(lines: Lines) -> None:
    """The test of the tests below: it is the tampering that they find."""
    lines.edit(DECISIONS, lambda _: None)
    lines.edit(CHECKPOINTS, lambda _: None)
    code, told = lines.verify()
    assert (code, told["details"]["findings"]) == (0, [])


def swap(first: int, second: int) -> Callable[[list[Any]], None]:
    def change(records: list[Any]) -> None:
        records[first], records[second] = records[second], records[first]

    return change


def verdict(records: list[dict[str, Any]]) -> None:
    records[7]["value"] = records[7]["value"].replace('"promote"', '"deny"', 1)


#: What is done, to which topic, and what is found: kind, offset, index.
WAYS: dict[str, tuple[str, Callable[[list[Any]], Any], list[tuple[str, int | None, int | None]]]] = {
    "a verdict changed": (DECISIONS, verdict, [("record-changed", 7, 7)]),
    "a record dropped": (DECISIONS, lambda it: it.pop(3), [("record-missing", 3, 3)]),
    "a record inserted": (DECISIONS, lambda it: it.insert(6, {**it[1], "value": "{}"}), [("record-inserted", 6, 6)]),
    "two swapped": (DECISIONS, swap(4, 9), [("records-reordered", 9, 4), ("records-reordered", 4, 9)]),
    "the tail cut off": (DECISIONS, lambda it: it.__delitem__(slice(8, None)), [("tail-missing", None, 8)]),
    "a checkpoint forged": (
        CHECKPOINTS,
        lambda it: it[1].update(value=it[1]["value"].replace('"last_offset":9', '"last_offset":8')),
        [("checkpoint-forged", 1, None), ("checkpoint-missing", 2, 1)],
    ),
    "an old checkpoint again": (CHECKPOINTS, lambda it: it.append({**it[0]}), [("checkpoint-replayed", 3, 0)]),
    "a checkpoint dropped": (CHECKPOINTS, lambda it: it.pop(1), [("checkpoint-missing", 1, 1)]),
    "checkpoints swapped": (CHECKPOINTS, swap(0, 1), [("checkpoint-reordered", 0, 1)]),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_slice_that_was_tampered_with_is_found_out_with_kind_and_place(lines: Lines, way: str) -> None:
    topic, change, expected = WAYS[way]
    lines.edit(topic, change)
    found = lines.found()
    assert [(kind, offset, index) for kind, _, _, offset, index in found] == expected
    assert {(where, partition) for _, where, partition, *_ in found} == {(topic, HOME)}


def test_an_edit_without_care_is_told_of_the_file_too(lines: Lines) -> None:
    place = lines.places[DECISIONS][7]
    lines.all[place] = lines.all[place].replace(b'\\"promote\\"', b'\\"deny\\"', 1)
    (altered, *_), found = lines.found()[0], lines.found()
    assert altered == "slice-altered"
    assert ("record-changed", DECISIONS, HOME, 7, 7) in found


def test_a_slice_that_was_put_back_is_found_with_the_checkpoints_that_were_kept(lines: Lines) -> None:
    kept = [orjson.loads(lines.all[place])["value"] for place in lines.places[CHECKPOINTS]]
    (lines.files / "kept.jsonl").write_text("".join(f"{one}\n" for one in kept))
    against = ["--against", str(lines.files / "kept.jsonl")]
    assert lines.verify(*against)[0] == 0
    lines.edit(DECISIONS, lambda it: it.__delitem__(slice(7, None)))
    lines = Lines(lines.all, lines.files)
    lines.edit(CHECKPOINTS, lambda it: it.__delitem__(slice(1, None)))
    assert lines.verify()[0] == 0, "nothing in the slice tells of it"
    assert [(kind, index) for kind, *_, index in lines.found(*against)] == [("log-rolled-back", 1), ("tail-missing", 7)]


async def test_what_a_slice_leaves_out_on_purpose_is_no_finding(tmp_path: Path) -> None:
    world = World()
    await world.record(published(policy("to-qa", REPOSITORY, "local/qa/app")))
    for minute in range(DECIDED):
        await world.record(pushed(f"{REPOSITORY}:{minute}", f"image {minute}", time=at(60 * minute)))
    await seal_all(world.log, EVERY)
    end = await world.log.high_watermark(CHECKPOINTS, HOME)
    values = [item.value or b"" async for item in world.log.read(CHECKPOINTS, HOME, 0, end)]
    (tmp_path / "kept.jsonl").write_bytes(b"\n".join(values))
    (tmp_path / "seal.pub").write_bytes(public_pem())
    await sliced(world.log, tmp_path / "slice.jsonl", Choice(until=at(60 * 6)))
    whole = Lines((tmp_path / "slice.jsonl").read_bytes().splitlines(keepends=True), tmp_path)
    code, told = await to_thread(whole.verify, "--against", str(tmp_path / "kept.jsonl"))
    assert (code, told["details"]["findings"]) == (0, [])
    assert told["details"]["partitions"][HOME]["sealed"] == EVERY
