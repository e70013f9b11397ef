"""The commands around slices and exports: what they print, and how they end."""

import json
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app, source
from streams.cli import slices as slices_commands
from streams.log import Append
from streams.memory_log import MemoryLog
from streams.topics import DEADLETTERS
from tests.support.builders import at
from tests.support.exports import some_days
from tests.support.world import PARTITIONS, World, in_place_of_kafka

Command = Callable[..., Result]


@pytest.fixture
async def world() -> World:
    return await some_days(2)


@pytest.fixture
def towline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, world: World) -> Command:
    """Run a command on the log of ``world``, in a folder of its own."""

    @asynccontextmanager
    async def opened(_: object) -> Any:
        yield world.log

    monkeypatch.setattr(source, "KafkaReadLog", opened)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_a_slice_is_written_and_read_by_the_commands_without_a_broker(
    towline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = towline("replay", "export", "slice.jsonl.gz")
    assert (written.exit_code, "no secret that was looked for" in written.stdout) == (0, True), written.output
    before = towline("audit", "trail", "local/dev/app:1").stdout
    monkeypatch.setattr(source, "KafkaReadLog", None)

    verified = towline("replay", "verify", "--slice", "slice.jsonl.gz")
    assert (verified.exit_code, "replay: identical" in verified.stdout) == (0, True), verified.output
    assert towline("audit", "trail", "local/dev/app:1", "--slice", "slice.jsonl.gz").stdout == before
    explained = towline("explain", "local/dev/app:1", "--slice", "slice.jsonl.gz")
    assert (explained.exit_code, "policy to-qa" in explained.stdout) == (0, True)
    assert towline("audit", "trail", "local/dev/app:9", "--slice", "slice.jsonl.gz").exit_code == 1


def test_a_slice_that_is_there_is_not_written_over(towline: Command) -> None:
    Path("slice.jsonl").write_text("mine")
    refused = towline("replay", "export", "slice.jsonl")

    assert (refused.exit_code, "is there already" in refused.stderr) == (2, True)
    assert Path("slice.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "tomorrow"), "is no moment: write 2026-11-24"),
        (("--from", "2026-11-24T08:00"), "is no moment"),
        (("--from", "2026-11-25", "--to", "2026-11-24"), "nothing is between them"),
        (("--topic", "towline.evnts"), "there is no topic"),
        (("--repository", "app"), "app"),
    ],
)
def test_what_cannot_be_asked_for_is_misuse(towline: Command, arguments: tuple[str, ...], said: str) -> None:
    refused = towline("replay", "export", "slice.jsonl", *arguments)

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output


def test_an_altered_slice_is_misuse_with_its_line(towline: Command) -> None:
    towline("replay", "export", "slice.jsonl")
    Path("slice.jsonl").write_bytes(Path("slice.jsonl").read_bytes().replace(b"image.pushed", b"image.pushes"))
    refused = towline("replay", "verify", "--slice", "slice.jsonl")

    assert refused.exit_code == 2
    assert "it was altered" in refused.stderr


def test_what_a_slice_leaves_out_is_told_whenever_it_is_read(towline: Command) -> None:
    towline("replay", "export", "slice.jsonl", "--to", at(24 * 3600), "--repository", "local/dev/app")
    read = towline("audit", "trail", "local/dev/app:0", "--slice", "slice.jsonl")

    assert "slice.jsonl: up to 2026-11-25T08:00:00.000000Z" in read.stderr
    assert "slice.jsonl: of the partitions of local/dev/app only" in read.stderr


async def plant(world: World) -> None:
    await world.log.append(Append(DEADLETTERS, key=b"k", partition=0, value=b"the canary of the settings"))


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "towline.yaml").write_text("receivers: {chat: {url_from: env:CHAT_ADDRESS}}")
    monkeypatch.setenv("CHAT_ADDRESS", "canary of the")


@pytest.mark.usefixtures("canary")
@pytest.mark.parametrize(("command", "name"), [(("replay", "export"), "slice.jsonl"), (("audit", "export"), "folder")])
async def test_a_secret_is_a_finding_that_names_place_and_credential_and_never_the_value(
    towline: Command, world: World, command: tuple[str, ...], name: str
) -> None:
    await plant(world)
    end = await world.log.high_watermark(DEADLETTERS, 0) - 1

    import asyncio

    found = await asyncio.to_thread(towline, *command, name)
    assert found.exit_code == 1
    assert f"credential@towline.deadletters/0@{end} (env:CHAT_ADDRESS): in value" in found.stdout
    assert "1 secret found" in found.stderr
    assert "canary" not in found.output
    as_json = json.loads((await asyncio.to_thread(towline, *command, name, "--json")).stdout)
    assert as_json["count"] == 1
    passed = await asyncio.to_thread(towline, *command, name, "--allow", f"credential@towline.deadletters/0@{end}")
    assert passed.exit_code == 0, passed.output


def test_an_export_is_made_continued_and_checked(towline: Command) -> None:
    made = towline("audit", "export", "folder")
    assert made.exit_code == 0, made.output
    assert "decisions" in made.stdout
    assert "no checkpoint is over these decisions yet" in made.stdout
    checked = towline("audit", "export", "folder", "--check")
    assert (checked.exit_code, "files are as the manifest says" in checked.stdout) == (0, True)

    file = next(Path("folder/decisions").rglob("*.parquet"))
    file.write_bytes(b"")
    differs = towline("audit", "export", "folder", "--check")
    assert (differs.exit_code, str(file.relative_to("folder")) in differs.stdout) == (1, True)
    told = json.loads(towline("audit", "export", "folder", "--check", "--json").stdout)
    assert [item["path"] for item in told["deviations"]] == [str(file.relative_to("folder"))]


def test_without_pyarrow_parquet_says_what_to_do(towline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = towline("audit", "export", "folder")
    assert (refused.exit_code, "pip install 'towline[export]'" in refused.stderr) == (2, True)
    assert not Path("folder").exists()
    assert towline("audit", "export", "folder", "--format", "jsonl").exit_code == 0


def test_a_slice_is_imported_into_an_empty_log_only(towline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    towline("replay", "export", "slice.jsonl")
    loaded = MemoryLog(partitions=PARTITIONS)
    in_place_of_kafka(monkeypatch, slices_commands, loaded)

    done = towline("replay", "import", "slice.jsonl")
    assert (done.exit_code, "records are in the log" in done.stdout) == (0, True), done.output
    again = towline("replay", "import", "slice.jsonl")
    assert (again.exit_code, "is not empty" in again.stderr) == (2, True)
