"""Example policy files, and the schema that editors check them with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from schemas.editor import editor_schema
from schemas.policies import Policy
from streams.cli import app
from towline.errors import PolicyError
from towline.policy.document import read_policies
from towline.policy.lines import read_tree
from towline.settings import load_settings

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "schemas" / "policies.json").read_text()))
_BLOCK = re.compile(r"```yaml\n((?:reconcile: \S+\n)?policies:.*?)```", re.DOTALL)


def files() -> dict[str, str]:
    """Return the text of every example of a policy file, by where it is."""
    found = {path.name: path.read_text() for path in EXAMPLES.glob("*.y*ml") if "\npolicies:" in path.read_text()}
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        found |= {f"{path.name} {number}": text for number, text in enumerate(_BLOCK.findall(path.read_text()))}
    return found


FILES = files()


def value_of(text: str) -> Any:
    tree = read_tree(text)
    assert tree is not None
    return tree.plain()


def test_there_are_examples_in_all_places() -> None:
    assert {"policies.yaml", "pipeline.yaml", "README.md 0"} <= set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_example_passes_the_check_and_the_schema_of_editors(name: str) -> None:
    assert read_policies(FILES[name], None).policies
    assert [error.message for error in SCHEMA.iter_errors(value_of(FILES[name]))] == []


def test_the_examples_name_the_registries_of_the_example_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWLINE_SETTINGS", str(EXAMPLES / "towline.yaml"))
    assert read_policies(FILES["pipeline.yaml"], load_settings().registries).policies


def test_the_pipeline_decides_as_it_says() -> None:
    names = [str(EXAMPLES / f"pipeline{end}") for end in (".yaml", ".events.jsonl", ".expected.jsonl")]
    result = CliRunner().invoke(app, ["policy", "try", *names[:2], "--follow", "--expect", names[2]])
    assert (result.exit_code, result.output) == (0, "10 decisions, as expected\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("operator: semver", "operator: ew"),
        ("field: soak", "field: sock"),
        ("values: [1h]", "values: [an hour]"),
        ("values: [0]", "values: [-1]"),
        ("values: [1]}", "values: []}"),
        ("mode: shadow", "mode: off"),
        ("overwrite: never", "overwrites: never"),
        ("    source: local/dev/*/*\n", ""),
        ("source: local/dev/*/*", "source: website"),
        ("policies:\n", "policy:\n"),
        ("policies:\n", "reconcile: often\npolicies:\n"),
        ("mode: shadow", "deletions: 101%"),
        ("mode: shadow", "deletions: 0%"),
    ],
)
def test_the_schema_refuses_what_the_check_refuses(before: str, after: str) -> None:
    text = FILES["pipeline.yaml"]
    assert before in text
    wrong = text.replace(before, after)
    with pytest.raises(PolicyError):
        read_policies(wrong, None)
    assert not SCHEMA.is_valid(value_of(wrong))


def test_an_editor_is_told_what_each_field_is_and_what_it_is_by_default() -> None:
    schema = editor_schema()
    policy = schema["$defs"]["Policy"]
    assert set(policy["properties"]) == set(Policy.model_fields)
    for model, definition in schema["$defs"].items():
        assert definition["description"], model
        for name, field in definition["properties"].items():
            assert field["title"], name
            assert field["description"].endswith("."), f"{model}.{name}"
    optional = set(policy["properties"]) - set(policy["required"])
    assert {name for name, field in policy["properties"].items() if "default" in field} == optional
    assert policy["properties"]["mode"]["enum"] == ["enforce", "shadow", "disabled"]


def test_what_only_the_check_writes_has_no_place_in_a_file() -> None:
    assert set(editor_schema()["properties"]) == {"policies", "reconcile"}
