"""``docs/replay.md`` is complete, and its example comes out as it says."""

import asyncio
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli import app, replay, replay_state, replay_what_if
from streams.replay.report import TITLES
from streams.trial import read_events
from tests.support.builders import published
from tests.support.recorded import recorded_log, to_be_read
from towline.policy.document import read_policies

TEXT = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
_BLOCK = r"```{kind}\n((?:(?!```).)*)```"
IN_FORCE, PROPOSED = re.findall(_BLOCK.format(kind="yaml"), TEXT, re.DOTALL)
EVENTS = re.findall(_BLOCK.format(kind="events"), TEXT, re.DOTALL)[0]
RUNS = re.findall(rf"{_BLOCK.format(kind='sh')}\s*{_BLOCK.format(kind='text')}", TEXT, re.DOTALL)


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policies = read_policies(IN_FORCE, None)
    begin = replace(published(*policies.policies), time="2026-11-24T08:00:00.000000Z")
    log = asyncio.run(recorded_log([begin, *(given.event for given in read_events(EVENTS, "events"))]))
    for module in (replay_state, replay_what_if):
        to_be_read(monkeypatch, tmp_path, module, log)
    (tmp_path / "proposed.yaml").write_text(PROPOSED)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("run", RUNS, ids=["state", "what-if"])
def test_the_example_prints_what_it_says(run: tuple[str, str]) -> None:
    command, expected = run
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == expected


@pytest.mark.parametrize("name", ["state", "what-if"])
def test_every_option_and_kind_of_change_is_in_the_document(name: str) -> None:
    found = get_command(replay.app).commands[name]  # type: ignore[attr-defined]
    section = TEXT.partition(f"## `towline replay {name}")[2].partition("\n## ")[0]
    for parameter in found.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in section, option
    assert all(f"| {title} |" in TEXT for title in TITLES.values())
