"""Programs that tests need: without one a test is skipped with the reason, and fails where all has to be there."""

import os
import shutil
from typing import NoReturn

import pytest

from tests.support.goprograms import GoProgram


def program(name: str, reason: str) -> str:
    """Return the path of a program that is installed."""
    found = shutil.which(name)
    if found is None:
        _miss(reason)
    return found


def go_program(wanted: GoProgram) -> str:
    """Return the path of a program that ``make parts`` builds. Nothing is built in a test."""
    if not wanted.path.exists():
        _miss(f"{wanted.name} {wanted.version} is not built: make parts (needs Go)")
    return str(wanted.path)


def slow_go_program(wanted: GoProgram) -> str:
    """Return the path of a program that only ``make parts-all`` builds: it is missed nowhere, not even under CI."""
    if not wanted.path.exists():
        pytest.skip(f"{wanted.name} {wanted.version} is not built: make parts-all (needs Go, and minutes)")
    return str(wanted.path)


def _miss(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
