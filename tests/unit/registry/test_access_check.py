"""What a check of access says, and that nothing of it stays in a registry."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from schemas.patterns import SourcePattern
from schemas.references import Repository
from streams.cli import app
from tests.support.faults import Answer
from tests.support.pairs import Pair
from tests.support.tokens import TokenService
from tests.unit.registry.copying import errors
from tests.unit.registry.test_access import guarded
from towline import limits
from towline.registry import Registries
from towline.registry.access import Access, check_access
from towline.registry.polling import Poll
from towline.settings import RegistrySettings, settings_file

DEV = SourcePattern.parse("source/dev/app")
GLOB = SourcePattern.parse("source/dev/*")
QA = Repository.parse("target/qa/app")


async def checked(pair: Pair, *sources: SourcePattern, targets: tuple[Repository, ...] = ()) -> dict[str, Access]:
    found = await check_access(pair.registries, sources, targets)
    return {f"{access.registry}/{access.repository or ''}": access for access in found}


async def test_what_is_granted_is_said_for_each_registry_source_and_target(pair: Pair) -> None:
    await pair.push()
    found = await check_access(pair.registries, [GLOB, DEV], [QA])
    assert found == [
        Access("source", None, True, None),
        Access("source", "dev/*", True, None),
        Access("source", "dev/app", True, None),
        Access("target", None, True, None),
        Access("target", "qa/app", None, True),
    ]
    assert all(access.is_fine for access in found)


async def test_nothing_stays_in_a_target(pair: Pair) -> None:
    await checked(pair, targets=(QA,))
    assert pair.target.store.uploads == {}
    assert pair.target.store.repositories == {}


async def test_an_upload_that_cannot_be_given_up_was_granted_nevertheless(pair: Pair) -> None:
    pair.target_faults.on("DELETE", "/uploads/", Answer(405))
    assert (await checked(pair, targets=(QA,)))["target/qa/app"].write is True
    pair.target.store.uploads.clear()


async def test_a_repository_that_is_source_and_target_is_one_line(pair: Pair) -> None:
    await pair.push()
    found = await checked(pair, DEV, targets=(Repository.parse("source/dev/app"),))
    assert found["source/dev/app"] == Access("source", "dev/app", True, True)


async def test_a_source_that_is_not_there_yet_is_no_refusal(pair: Pair) -> None:
    access = (await checked(pair, DEV))["source/dev/app"]
    assert access.is_fine
    assert "not there" in access.detail


async def test_a_glob_at_a_registry_without_a_catalogue_cannot_be_read(pair: Pair) -> None:
    pair.source_faults.on("GET", "/_catalog", Answer(404))
    access = (await checked(pair, GLOB))["source/dev/*"]
    assert (access.read, access.retryable) == (False, False)
    assert "not-found" in access.detail


async def test_an_exact_repository_is_polled_without_a_catalogue(pair: Pair) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", "_catalog", Answer(401), times=1000)
    found = await Poll(pair.registries, pair.attempts).tags(Repository.parse("source/dev/app"), known={})
    assert [(tag, named.digest) for tag, named in found] == [("1.0", image.digest)]
    assert pair.source_faults.count("GET", "_catalog") == 0


async def test_a_write_that_is_denied_is_told_with_the_reason_of_the_registry(pair: Pair) -> None:
    await pair.push()
    pair.target_faults.on("POST", "/uploads/", Answer(403, body=errors("DENIED", "robots may not push")))
    found = await checked(pair, DEV, targets=(QA,))
    assert (found["target/qa/app"].write, found["target/qa/app"].retryable) == (False, False)
    assert "robots may not push" in found["target/qa/app"].detail
    assert found["source/dev/app"].is_fine


async def test_of_a_registry_that_is_not_there_nothing_else_is_asked(pair: Pair) -> None:
    pair.source_faults.on("GET", r"/v2/\?$", Answer(503))
    found = await checked(pair, DEV, GLOB, targets=(Repository.parse("source/qa/app"),))
    assert {(access.read, access.write, access.retryable) for access in found.values()} == {
        (False, None, True),
        (None, False, True),
    }
    assert len(pair.source_faults.requests) == 1


async def test_a_registry_that_does_not_answer_ends_the_question(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "access_check_seconds", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"silent": RegistrySettings(url=f"http://127.0.0.1:{silent.getsockname()[1]}")}
        async with Registries(settings) as registries:
            [access] = await check_access(registries, [], [], ["silent"])
    assert (access.read, access.retryable) == (False, True)
    assert "no answer" in access.detail


async def test_credentials_that_are_not_accepted_and_those_that_are_missing_are_told(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    async with guarded(TokenService({"mover": "right"})) as (url, app, _):
        settings = {
            name: RegistrySettings.model_validate(
                {"url": url, "username": "mover", "password": f"file:{tmp_path / name}"}
            )
            for name in ("wrong", "missing")
        }
        async with Registries(settings, egress=app.egress) as registries:
            missing, wrong = await check_access(registries, [], [], settings)
    assert (wrong.read, wrong.detail.partition(":")[0]) == (False, "unauthorised")
    assert (missing.read, missing.detail.partition(":")[0]) == (False, "misconfigured")


async def test_a_source_is_asked_with_the_scope_to_pull_and_a_target_with_that_to_push(tmp_path: Path) -> None:
    (tmp_path / "right").write_text("right")
    tokens = TokenService({"mover": "right"})
    async with guarded(tokens) as (url, app, _):
        one = RegistrySettings(url=url, username="mover", password=f"file:{tmp_path / 'right'}")
        async with Registries({"one": one}, egress=app.egress) as registries:
            sources, targets = [SourcePattern.parse("one/dev/app")], [Repository.parse("one/qa/app")]
            assert all(access.is_fine for access in await check_access(registries, sources, targets))
    assert tokens.asked[:3] == [[], ["repository:dev/app:pull"], ["repository:qa/app:pull,push"]]


@pytest.fixture
def written(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """The settings of the pair as a file that commands read."""
    monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
    urls = {name: str(pair.registries(name)._exchange.origin) for name in ("source", "target")}
    settings_file().write_text(yaml.safe_dump({"registries": {name: {"url": url} for name, url in urls.items()}}))
    return pair


async def command(*arguments: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["registry", "check", *arguments])
    return result.exit_code, result.stdout


async def test_the_command_prints_a_table_and_is_content(written: Pair) -> None:
    await written.push()
    code, text = await command("--source", "source/dev/app", "--target", "target/qa/app")
    assert code == 0
    assert [line.split() for line in text.splitlines()] == [
        ["NAME", "REPOSITORY", "READ", "WRITE", "DETAIL"],
        ["source", "-", "yes", "-"],
        ["source", "dev/app", "yes", "-"],
        ["target", "-", "yes", "-"],
        ["target", "qa/app", "-", "yes"],
    ]


async def test_the_command_prints_json_for_one_registry(written: Pair) -> None:
    code, text = await command("target", "--json")
    assert code == 0
    expected: dict[str, Any] = {
        "registry": "target",
        "repository": None,
        "read": True,
        "write": None,
        "detail": "",
        "retryable": False,
    }
    assert json.loads(text) == {"access": [expected]}


async def test_a_refusal_is_a_finding_and_a_registry_that_fails_is_infrastructure(written: Pair) -> None:
    written.target_faults.on("POST", "/uploads/", Answer(403))
    assert (await command("--target", "target/qa/app"))[0] == 1
    written.target_faults.on("GET", r"/v2/\?$", Answer(503))
    assert (await command("--target", "target/qa/app"))[0] == 3


@pytest.mark.parametrize(
    "arguments",
    [["elsewhere"], ["--source", "elsewhere/dev/app"], ["--source", "dev app"], ["--target", "source/dev/*"]],
)
async def test_what_cannot_be_asked_is_misuse(written: Pair, arguments: list[str]) -> None:
    assert (await command(*arguments))[0] == 2
    assert written.source_faults.requests == []
