"""What is kept outside of Kafka: key files, and checkpoints as lines of a file."""

import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.audit.keeping import CheckpointFile, key_files
from streams.cli import app
from towline.audit.checkpoints import SealingKey, load_public_keys
from towline.errors import InfrastructureError, SettingsError


async def test_each_checkpoint_is_a_line_also_after_a_torn_one(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.jsonl"
    await CheckpointFile(file).keep(b"{1}")
    await CheckpointFile(file).keep(b"{2}")
    assert file.read_bytes() == b"{1}\n{2}\n"
    with file.open("ab") as opened:
        opened.write(b"{3")
    await CheckpointFile(file).keep(b"{3}")
    assert file.read_bytes().split(b"\n") == [b"{1}", b"{2}", b"{3", b"{3}", b""]


def inode(path: Path) -> int:
    return path.stat().st_ino


async def test_a_checkpoint_is_on_the_disk_and_so_is_the_name_of_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, synced = tmp_path / "checkpoints.jsonl", list[tuple[int, bytes]]()

    def sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, file.read_bytes()))

    monkeypatch.setattr(os, "fsync", sync)
    await CheckpointFile(file).keep(b"{1}")
    here, folder = inode(file), inode(tmp_path)
    assert synced == [(here, b"{1}\n"), (folder, b"{1}\n")]
    await CheckpointFile(file).keep(b"{2}")
    assert synced[2:] == [(here, b"{1}\n{2}\n")]


async def test_what_the_disk_takes_in_pieces_is_a_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.FileIO):
        def write(self, content: Any) -> int:
            return super().write(bytes(content)[:3])

    monkeypatch.setattr(os, "fdopen", lambda descriptor, *_, **__: Slow(descriptor, "r+b"))
    await CheckpointFile(tmp_path / "checkpoints.jsonl").keep(b"{a longer one}")
    assert (tmp_path / "checkpoints.jsonl").read_bytes() == b"{a longer one}\n"


async def test_a_file_that_cannot_be_written_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"audit\.file .*: No such file"):
        await CheckpointFile(tmp_path / "nowhere" / "checkpoints.jsonl").keep(b"{}")


def test_a_key_file_that_is_missing_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"seal\.pub: No such file"):
        key_files([tmp_path / "seal.pub"])


def test_a_key_pair_is_made_that_fits_together_and_is_never_replaced(tmp_path: Path) -> None:
    file, public = tmp_path / "seal.pem", tmp_path / "seal.pem.pub"
    done = CliRunner().invoke(app, ["audit", "key", str(file)])
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = SealingKey(file.read_bytes())
    assert list(load_public_keys(key_files([public]))) == [key.id]
    again = CliRunner().invoke(app, ["audit", "key", str(file)])
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert CliRunner().invoke(app, ["audit", "key", "--keep", str(file)]).exit_code == 0
    assert SealingKey(file.read_bytes()).id == key.id
    public.rename(tmp_path / "elsewhere")
    assert CliRunner().invoke(app, ["audit", "key", str(file)]).exit_code == 2
    assert SealingKey(file.read_bytes()).id == key.id
    assert not public.exists(), "a public key that belongs to no private one"
