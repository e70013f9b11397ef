"""The documents with the log of November say what the commands say, and the log is the one that its builder makes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.november import FOLDER, write

ROOT = FOLDER.parents[1]
#: The documents, and how many commands each has.
DOCUMENTS = [("why-was-it-there.md", 12), ("audit.md", 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("worked")
    (made / "examples").symlink_to(ROOT / "examples")
    return made


def said(command: str, folder: Path) -> str:
    """Run a command as a reader would, without a broker; it must end as the document expects."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(  # noqa: S602 - it is a shell that readers paste into
        command,
        shell=True,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize(("document", "count"), DOCUMENTS, ids=[document for document, _ in DOCUMENTS])
def test_every_command_says_what_the_document_says(folder: Path, document: str, count: int) -> None:
    text, commands = (ROOT / "docs" / document).read_text(encoding="utf-8"), 0
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        shown = ""
        for line in block.splitlines():
            if line.startswith("$ "):
                commands += 1
                shown += f"{line}\n{said(line.removeprefix('$ '), folder)}"
        assert shown == block
    assert commands == count


async def test_the_log_of_the_example_is_made_by_its_builder(tmp_path: Path) -> None:
    await write(tmp_path)
    assert (tmp_path / "seal.pub").read_bytes() == (FOLDER / "seal.pub").read_bytes()
    made, kept = ((folder / "log.jsonl").read_bytes().splitlines() for folder in (tmp_path, FOLDER))
    # The first line says when it was made, and the last one has the hash of all.
    assert made[1:-1] == kept[1:-1]
