"""The recorded reports, and changed copies of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from towline.facts import Report, read_report

FOLDER = Path(__file__).parents[2] / "fixtures" / "reports"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


def content(name: str) -> bytes:
    """Return a recorded report."""
    return (FOLDER / f"{name}.json").read_bytes()


def document(name: str) -> dict[str, Any]:
    """Return a recorded report as data."""
    value: dict[str, Any] = json.loads(content(name))
    return value


def read(value: Any) -> Report:
    """Read data as a report."""
    return read_report(json.dumps(value).encode())


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> Report:
    """Read a recorded report after ``change`` worked on it."""
    value = document(name)
    change(value)
    return read(value)
