"""``docs/policies.md`` is complete, and every example in it does what it says."""

import re
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from schemas.decisions import Verdict
from schemas.policies import Policy, PolicySet
from schemas.rules import Rule
from streams.cli import app
from towline.policy.template import DIRECTIVES

TEXT = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
_BLOCK = r"```{kind}\n((?:(?!```).)*)```"
FILES = re.findall(_BLOCK.format(kind="yaml"), TEXT, re.DOTALL)
EXAMPLES = re.findall(
    rf"{_BLOCK.format(kind='yaml')}(?:(?!```yaml).)*?{_BLOCK.format(kind='jsonl')}.*?{_BLOCK.format(kind='expected')}",
    TEXT,
    re.DOTALL,
)
RULES = get_args(get_args(Rule)[0])


def run(folder: Path, files: dict[str, str], *arguments: str) -> tuple[int, str]:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    places = [str(folder / argument) if argument in files else argument for argument in arguments]
    result = CliRunner().invoke(app, places)
    return result.exit_code, result.output


def test_every_block_of_events_belongs_to_an_example() -> None:
    assert len(EXAMPLES) == TEXT.count("```jsonl") == TEXT.count("```expected") >= 3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: re.findall(r"name: (\S+)", example[0])[0])
def test_an_example_decides_as_it_says(example: tuple[str, str, str], tmp_path: Path) -> None:
    policies, events, expected = example
    files = {"policies.yaml": policies, "events.jsonl": events, "expected.jsonl": expected}
    code, said = run(tmp_path, files, "policy", "try", "policies.yaml", "events.jsonl", "--expect", "expected.jsonl")
    assert code == 0, said


def test_an_example_that_says_otherwise_is_found_out(tmp_path: Path) -> None:
    policies, events, expected = EXAMPLES[0]
    wrong = expected.replace('"verdict": "deny"', '"verdict": "promote"')
    files = {"policies.yaml": policies, "events.jsonl": events, "expected.jsonl": wrong}
    code, said = run(tmp_path, files, "policy", "try", "policies.yaml", "events.jsonl", "--expect", "expected.jsonl")
    assert code == 1
    assert "deny" in said


def test_the_import_of_the_reference_is_read(tmp_path: Path) -> None:
    (exported,) = re.findall(_BLOCK.format(kind="json"), TEXT, re.DOTALL)
    code, said = run(tmp_path, {"export.json": exported}, "policy", "import", "export.json")
    assert code == 0, said
    assert "operator: ends-with" in said


@pytest.mark.parametrize("model", RULES, ids=lambda model: model.__name__)
def test_every_field_and_operator_of_a_rule_is_in_the_reference(model: type) -> None:
    fields = model.model_fields  # type: ignore[attr-defined]
    for name in ("field", "operator"):
        for value in get_args(fields[name].annotation):
            assert f"`{value}`" in TEXT, f"{name} {value}"


def test_every_member_of_a_policy_verdict_and_directive_is_in_the_reference() -> None:
    for name in (*Policy.model_fields, *(PolicySet.model_fields.keys() - {"policies", "tzdata"})):
        assert f"| `{name}` |" in TEXT
    for verdict in get_args(Verdict):
        assert f"`{verdict}`" in TEXT
    for directive in DIRECTIVES:
        assert f"`%{directive}`" in TEXT
