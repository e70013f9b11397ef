"""docs/faults.md names, for every line of a correct copier and every row of the catalogues, the tests that hold it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "faults.md"

ROW = re.compile(r"\| (?P<id>[A-Z]\d\d[a-z]) \| (?P<promise>[^|]+) \| (?P<held>[^|]+) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")

NEEDED = [
    *(f"C{number:02}" for number in range(1, 14)),
    *(f"R{number:02}" for number in range(1, 24)),
    *(f"E{number:02}" for number in range(1, 11)),
    *(f"N{number:02}" for number in range(1, 4)),
    *(f"S{number:02}" for number in range(1, 15)),
    *(f"I{number:02}" for number in range(1, 16)),
    *(f"A{number:02}" for number in range(1, 8)),
    *("B10", "D01", "D02", "D04", "W05"),
    *("S16", "S17", "S18", "S21", "S23", "S24", "S25", "S26"),
]


@dataclass(frozen=True)
class Claim:
    id: str
    promise: str
    held_by: str


def claims() -> list[Claim]:
    lines = DOCUMENT.read_text().splitlines()
    found = [line for line in lines if re.match(r"\| [A-Z]+\d", line)]
    rows = [ROW.fullmatch(line) for line in found]
    assert all(rows), [line for line, row in zip(found, rows, strict=True) if row is None]
    return [Claim(row["id"], row["promise"], row["held"]) for row in rows if row is not None]


@cache
def named_in(path: str) -> frozenset[str]:
    return frozenset(_tests(ast.parse((ROOT / path).read_bytes())))


def _tests(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@pytest.mark.parametrize("id_", NEEDED)
def test_every_line_and_every_row_is_there(id_: str) -> None:
    letters = [claim.id[3:] for claim in claims() if claim.id.startswith(id_)]
    assert letters == [chr(ord("a") + number) for number in range(max(1, len(letters)))]


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_every_promise_is_held_by_tests_that_there_are(claim: Claim) -> None:
    named = TEST.findall(claim.held_by)
    assert named, "no test is named"
    assert ", ".join(f"`{path}::{test}`" for path, test in named) == claim.held_by
    missing = [f"{path}::{test}" for path, test in named if test not in named_in(path)]
    assert not missing
