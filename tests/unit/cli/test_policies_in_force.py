"""``policy list``, ``show`` and ``remove`` on what is in force in a log."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from schemas.policies import PolicySet
from streams.cli import app, policies
from streams.memory_log import MemoryLog
from tests.support.builders import policy, published, record_events, rule, rule_on
from towline.policy.document import read_policies

SET = (
    policy(
        "to-qa",
        "local/dev/*",
        "local/qa/{1}",
        rule("ends-with", "-stable"),
        rule_on("window", "inside", "Mon-Fri", timezone="Europe/Berlin"),
        rule_on("label", "equals", "web", name="team"),
        platforms=("linux/amd64", "linux/arm64"),
    ),
    policy("away", "local/qa/app", "remote/app", poll="30m", mode="shadow"),
)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    memory = MemoryLog()

    async def fill() -> None:
        partitions = await memory.partitions("towline.events")
        await record_events(memory, published(*SET, revision=3), partitions=partitions)

    asyncio.run(fill())

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[MemoryLog]:
        yield memory

    monkeypatch.setattr(policies, "KafkaLog", opened)
    return memory


def towline(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["policy", *arguments])
    return result.exit_code, result.output


def test_a_list_has_a_row_for_each_policy() -> None:
    code, out = towline("list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0][:2] == ["revision", "3,"]
    assert rows[2] == ["to-qa", "promotion", "enforce", "local/dev/*", "local/qa/{1}", "%n", "3", "-"]
    assert rows[3] == ["away", "mirror", "shadow", "local/qa/app", "remote/app", "%n", "0", "30m"]


def test_one_policy_is_shown_for_people() -> None:
    code, out = towline("show", "to-qa")
    assert code == 0
    assert "to-qa: promotion\n  source: local/dev/*\n  target: local/qa/{1}\n" in out
    assert "  platforms: linux/amd64, linux/arm64\n" in out
    assert "  rule: window inside Mon-Fri (Europe/Berlin)\n" in out
    assert "  rule: label team equals web\n" in out
    assert "away" not in out


def test_what_is_shown_as_yaml_is_a_policy_file_of_the_same_policies() -> None:
    code, out = towline("show", "--yaml")
    assert code == 0
    assert read_policies(out, None).policies == SET
    assert "overwrite" not in out
    assert [one["name"] for one in yaml.safe_load(towline("show", "away", "--yaml")[1])["policies"]] == ["away"]
    assert json.loads(towline("show", "away", "--json")[1])["policies"][0]["poll"] == "30m"


def test_a_name_that_is_not_there_is_misuse_that_tells_those_that_are() -> None:
    for command in ("show", "remove"):
        code, out = towline(command, "gone")
        assert code == 2
        assert "no policy 'gone' in revision 3; there are: to-qa, away" in out


def test_removing_publishes_the_others_in_place_of_the_revision_that_was_seen(
    monkeypatch: pytest.MonkeyPatch, log: MemoryLog
) -> None:
    asked: list[Any] = []

    async def publish(to: MemoryLog, chosen: PolicySet, *, replaces: int, **_: object) -> int:
        asked.append((to, [one.name for one in chosen.policies], replaces))
        return replaces + 1

    monkeypatch.setattr(policies, "publish", publish)
    code, out = towline("remove", "to-qa")
    assert (code, out.lstrip()) == (0, "revision 4 is in force in every partition: 1 policies\n")
    assert asked == [(log, ["away"], 3)]
