"""What the README and ``examples/`` show does work: files are read by what they are for, commands exist."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from streams.cli import app
from streams.inbound import events_from_record
from streams.log import LogRecord
from streams.topics import INBOUND
from towline.policy.document import read_policies
from towline.settings import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples"


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setenv("TOWLINE_SETTINGS", str(EXAMPLES / "towline.yaml"))
    settings = load_settings()
    assert set(settings.hooks) == {"local"}
    return set(settings.registries)


def test_the_example_policies_fit_the_example_settings(registries: set[str]) -> None:
    names = [policy.name for policy in read_policies((EXAMPLES / "policies.yaml").read_text(), registries).policies]
    assert names == ["website-to-qa", "website-to-mirror"]


def test_the_policies_of_the_readme_are_policies(registries: set[str]) -> None:
    snippets = re.findall(r"```yaml\n(policies:.*?)```", README, re.DOTALL)
    assert snippets
    for snippet in snippets:
        assert read_policies(snippet, registries).policies


def test_the_example_event_is_an_event() -> None:
    value = (EXAMPLES / "push.cloudevent.json").read_bytes()
    headers = (("content-type", b"application/cloudevents+json"),)
    (event,) = events_from_record(LogRecord(INBOUND, 0, 0, None, value, headers, 1), "2026-11-24T08:00:00.000000Z")
    assert event.subject == "local/dev/website:1.0-stable"


@pytest.mark.parametrize(("file", "port"), [("distribution.yml", 5000), ("mirror.yml", 5001)])
def test_the_example_registries_listen_where_the_settings_look(file: str, port: int) -> None:
    assert yaml.safe_load((EXAMPLES / file).read_text())["http"]["addr"] == f"127.0.0.1:{port}"
    urls = [
        registry["url"] for registry in yaml.safe_load((EXAMPLES / "towline.yaml").read_text())["registries"].values()
    ]
    assert f"http://127.0.0.1:{port}" in urls


def commands_shown() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("towline ")]
    return [[word for word in line[1:3] if word.isalpha()] for line in lines]


def test_every_command_that_the_readme_shows_exists() -> None:
    shown = commands_shown()
    assert len(shown) >= 6
    for command in shown:
        result = CliRunner().invoke(app, [*command, "--help"])
        assert result.exit_code == 0, command


def test_every_make_command_that_the_documents_show_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^make ([a-z-]+)", documents, re.MULTILINE)) <= targets


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()
    assert "```sh\nmake test\n```" in README
