"""``docs/api.md`` is true: its requests are made, and get its answers."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.support.builders import at, completed, policy, published, pushed, rule
from tests.support.gateways import reading
from tests.support.world import World
from towline.settings import GatewaySettings

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```http\nGET (\S+)\n```\n\n```json\n(.*?)```", TEXT, re.DOTALL)


async def history() -> World:
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app", rule("not-one-of", "2.0"))))
    await world.record(pushed("first/dev/app:1.0", "the first", time=at(1), actor="ann"))
    await world.end("first/qa/app:1.0", completed)
    await world.record(pushed("first/dev/app:2.0", "the second", time=at(2), actor="ann"))
    return world


def differences(told: Any, answer: Any, path: str = "") -> list[str]:
    """Where an answer is not as it is told; members that are not told may be there."""
    if told == "...":
        return []
    if isinstance(told, dict) and isinstance(answer, dict):
        missing = [f"{path}.{name} is missing" for name in told.keys() - answer.keys()]
        shared = told.keys() & answer.keys()
        return missing + [found for name in shared for found in differences(told[name], answer[name], f"{path}.{name}")]
    if isinstance(told, list) and isinstance(answer, list):
        if told == ["..."]:
            return [] if answer else [f"{path} is empty"]
        if len(told) != len(answer):
            return [f"{path} has {len(answer)}: {answer}"]
        pairs = zip(told, answer, strict=True)
        return [found for number, pair in enumerate(pairs) for found in differences(*pair, f"{path}[{number}]")]
    return [] if told == answer else [f"{path} is {answer!r} and not {told!r}"]


def test_the_page_shows_every_question() -> None:
    assert {path.split("?")[0].split("/")[3] for path, _ in SHOWN} == {
        "trail",
        "decisions",
        "explain",
        "lineage",
        "policies",
    }


@pytest.mark.parametrize(("path", "told"), SHOWN)
async def test_each_request_gets_the_answer_that_the_page_shows(
    path: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR", "auditors-token")
    async with reading((await history()).log, "auditors-token") as (client, _):
        answer = (await client.get(path)).json()
    assert differences(orjson.loads(told), answer) == []


def test_the_readers_of_the_page_are_settings() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert set(GatewaySettings.model_validate(yaml.safe_load(block)["gateway"]).readers) == {"auditor", "portal"}
