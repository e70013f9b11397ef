"""The queries of docs/export.md answer what they say, on an export."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.builders import at, completed, policy, published, pushed
from tests.support.exports import exported
from tests.support.world import World

DOCUMENT = Path(__file__).parents[3] / "docs" / "export.md"
QUERIES = re.findall(r"```sql\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
async def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export in ``audit/``: an image came to production, another was refused, a third only to quality assurance."""
    from tests.support.builders import rule

    world = World()
    await world.record(
        published(
            policy("to-prod", "local/dev/app", "prod/team/app", rule("starts-with", "v")),
            policy("to-qa", "local/dev/app", "local/qa/app"),
        ),
        pushed("local/dev/app:v1", "one", time=at(60), actor="ann"),
        pushed("local/dev/app:draft", "two", time=at(120)),
    )
    await world.end("prod/team/app:v1", completed)
    await exported(world.log, tmp_path / "audit", "parquet")
    monkeypatch.chdir(tmp_path)


def answer(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


@pytest.mark.usefixtures("audit")
def test_who_brought_what_to_production_and_by_which_rules() -> None:
    ((_, target, pushed_by, rules),) = answer(QUERIES[0])

    assert (target, pushed_by, rules) == ("prod/team/app:v1", "ann", ["tag holds"])


@pytest.mark.usefixtures("audit")
def test_how_each_copy_ended() -> None:
    assert answer(QUERIES[1]) == [("prod/team/app:v1", "completed", None)]


def test_there_is_no_other_query() -> None:
    assert len(QUERIES) == 2
