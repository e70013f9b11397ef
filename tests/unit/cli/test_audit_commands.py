"""``audit trail``, ``audit lineage`` and ``explain`` as people and programs see them, from a projection in a file."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from streams.cli import app, projected
from streams.projection.projection import FILE_NAME
from tests.support.builders import at, completed, digest, policy, published, pushed
from tests.support.world import World

DEV, QA = "first/dev/app:1", "first/qa/app:1"

Call: TypeAlias = Callable[..., tuple[int, str]]


@pytest.fixture
async def world() -> World:
    world = World()
    policies = (policy("to-qa", "first/dev/app", "first/qa/app"), policy("away", "first/qa/app", "second/app"))
    await world.record(published(*policies), pushed(DEV, "one", time=at(1), actor="ann"))
    await world.end(QA, completed)
    return world


@pytest.fixture
def call(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    @asynccontextmanager
    async def opened(slice_file: Path | None = None) -> AsyncIterator[Any]:
        yield world.log

    monkeypatch.setattr(projected, "reading", opened)
    monkeypatch.setenv("TOWLINE_DATA_DIR", str(tmp_path / "data"))

    def called(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.output

    return called


def test_the_trail_without_a_tag_lists_what_matches_and_goes_on_where_it_ended(call: Call, tmp_path: Path) -> None:
    code, out = call("audit", "trail", "--json", "--limit", "2")
    first = json.loads(out)
    assert (code, len(first["trail"])) == (0, 2)
    code, out = call("audit", "trail", "--json", "--limit", "500", "--cursor", first["cursor"])
    rest = json.loads(out)
    assert rest["cursor"] is None
    whole = json.loads(call("audit", "trail", "--json", "--limit", "500")[1])["trail"]
    assert first["trail"] + rest["trail"] == whole
    assert "policy.published" in {entry["type"] for entry in whole}
    assert (tmp_path / "data" / FILE_NAME).is_file()
    code, out = call("audit", "trail", "--actor", "ann", "--from", at(0), "--to", at(2))
    assert (code, out.count("image.pushed")) == (0, 1)
    assert "there is more: go on with --cursor " in call("audit", "trail", "--limit", "1")[1]
    assert call("audit", "trail", "--policy", "no-such")[1].strip() == "nothing matches"


def test_the_trail_of_a_tag_is_its_story_and_with_options_a_part_of_it(call: Call) -> None:
    story = json.loads(call("audit", "trail", DEV, "--json")[1])
    assert [entry["type"] for entry in story["trail"]] == [
        "image.pushed",
        "decision.made",
        "image.copy",
        "transfer.completed",
    ]
    part = json.loads(call("audit", "trail", DEV, "--verdict", "promote", "--json")[1])
    assert [entry["type"] for entry in part["trail"]] == ["decision.made"]
    assert call("audit", "trail", "first/never:1")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [("--verdict", "maybe"), ("--from", "yesterday"), ("--cursor", "x"), ("--repository", "x"), ("--actor", "\udcff")],
)
def test_an_option_that_cannot_be_used_is_misuse(call: Call, arguments: tuple[str, ...]) -> None:
    code, out = call("audit", "trail", *arguments)
    assert (code, out.startswith("error: ")) == (2, True), out
    assert "Traceback" not in out


def test_lineage_shows_the_tree_of_a_digest_and_the_way_back_of_a_tag(call: Call) -> None:
    code, out = call("audit", "lineage", digest("one"))
    assert code == 0
    assert out.splitlines()[0] == f"{DEV} -> {digest('one')}"
    assert f"    {QA} -> {digest('one')}" in out
    assert "to second/app:1: away (revision 1): pending" in out
    code, out = call("audit", "lineage", QA)
    assert (code, out.splitlines()[0]) == (0, f"{QA} -> {digest('one')}")
    assert f"  from {DEV}@{digest('one')}: to-qa (revision 1): completed at {at(60)}" in out
    assert "  began at towline.events/" in out
    tree = json.loads(call("audit", "lineage", digest("one"), "--json")[1])
    assert tree["places"][0]["hops"][0]["transfer"]["decision_id"]
    for unknown in (digest("never"), "first/never:1"):
        assert call("audit", "lineage", unknown)[0] == 1
    for wrong in ("sha256:1", "what"):
        assert call("audit", "lineage", wrong)[0] == 2


def test_explain_tells_what_decided_and_of_the_unknown_what_comes_near(call: Call) -> None:
    code, out = call("explain", QA)
    assert code == 0
    assert f"  from {DEV}@{digest('one')}: to-qa (revision 1): completed" in out
    assert "    decided on transfer.completed at towline.events/" in out
    assert "    to second/app:1: pending" in out
    code, out = call("explain", "first/dev/app:2")
    assert code == 1
    assert "the log knows nothing of it" in out
    assert "the log knows 1 tag of first/dev/app, such as 1" in out
    told = json.loads(call("explain", "first/dev/app:2", "--json")[1])
    assert (told["is_known"], told["digest"], told["policies"]) == (False, None, [])
