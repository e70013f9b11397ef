"""A world with people who type commands about rollbacks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.cli import app, rollback
from streams.topics import EVENTS
from tests.support.builders import digest, policy, proposed, pushed
from tests.support.carrying import CarryingWorld
from tests.support.checkers import all_records
from tests.support.world import in_place_of_kafka

DEV, QA, PROD = "local/dev/app", "local/qa/app", "local/prod/app"
POLICIES = (policy("to-qa", DEV, QA), policy("to-prod", QA, PROD, platforms=("linux/amd64",)))


BAD = digest("bad")


class Room:
    """A world, and people who type commands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.world = CarryingWorld()
        self.file = str(folder / "plan.json")
        self._patch = monkeypatch
        in_place_of_kafka(monkeypatch, rollback, self.world.log)
        self.happen(proposed(*POLICIES))

    def happen(self, *events: Envelope[Frozen]) -> None:
        asyncio.run(self.world.happen(*events))

    def type(self, *arguments: str, by: str = "alice", code: int = 0) -> str:
        self._patch.setenv("LOGNAME", by)
        result = CliRunner().invoke(app, ["rollback", *arguments])
        assert result.exit_code == code, result.output
        return str(result.output)

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.type(*arguments, "--json", code=code).splitlines()[-1])

    def plan(self, *arguments: str, code: int = 0) -> dict[str, tuple[str, str | None]]:
        """What each tag has and gets, in the plan's order."""
        drawn = self.json("plan", *arguments, "--out", self.file, code=code)
        steps = drawn["plan"]["steps"] if drawn["plan"] else []
        return {step["target"]: (step["expected_digest"], step["digest"]) for step in steps}

    def propose(self, by: str = "alice") -> str:
        self.type("propose", self.file, "--reason", "it loses orders", by=by)
        asyncio.run(self.world.carry_out())
        plan_id: str = json.loads(Path(self.file).read_text())["plan_id"]
        return plan_id

    def approve(self, plan_id: str, by: str = "bob", code: int = 0) -> str:
        out = self.type("approve", plan_id, by=by, code=code)
        asyncio.run(self.world.carry_out())
        return out

    def states(self, plan_id: str, code: int = 0) -> dict[str, str]:
        return {step["target"]: step["state"] for step in self.json("show", plan_id, code=code)["steps"]}

    def events(self) -> list[Any]:
        return [json.loads(item.value or b"") for item in asyncio.run(all_records(self.world.log, EVENTS))]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Room:
    made = Room(monkeypatch, tmp_path)
    made.happen(pushed(f"{DEV}:1", "good"), pushed(f"{DEV}:1", "bad"), pushed(f"{DEV}:2", "bad"))
    return made
