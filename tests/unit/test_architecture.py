"""The house: import rules, sizes, and no address or place of a machine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "towline", "streams", "agents")
LINES_MAX = 400


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_import_rules_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", [*PACKAGES, "tests", "bench"])
def test_no_module_is_longer_than_a_room_may_be(package: str) -> None:
    long = {str(file.relative_to(ROOT)) for file in tracked(f"{package}/*.py") if len(_lines(file)) > LINES_MAX}
    assert long == set()


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {file.parent for file in tracked("tests/*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_the_environment_is_read_in_one_module() -> None:
    readers = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in tracked(f"{package}/*.py")
        if re.search(r"os\.(environ|getenv)", file.read_text())
    }
    assert readers == {"towline/settings.py"}


def test_no_file_names_a_place_of_the_machine() -> None:
    # Put together here, so that this file does not name them either.
    places = tuple(f"/{folder}/" for folder in ("home", "root", "work", "tmp", "Users"))
    found = {
        f"{file.relative_to(ROOT)}: {text}"
        for file in tracked()
        for text in places
        if text in file.read_text(errors="replace")
    }
    assert found == set()


def test_no_file_names_a_package_registry() -> None:
    hosts = tuple(
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("crates", "io"))
    )
    found = {
        f"{file.relative_to(ROOT)}: {host}"
        for file in tracked()
        for host in hosts
        if host in file.read_text(errors="replace")
    }
    assert found == set()


def test_the_locked_dependencies_name_no_address() -> None:
    assert "://" not in (ROOT / "constraints.txt").read_text()


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()
