"""The list of commands does not import them, and says of each what it says itself."""

import pytest
from typer.testing import CliRunner

from streams.cli import Commands, app
from streams.cli.late import Late
from streams.cli.policy import PolicyCommands

EVERY = [
    *(pytest.param((), command, late, id=command) for command, late in Commands.late.items()),
    *(
        pytest.param(("policy",), command, late, id=f"policy {command}")
        for command, late in PolicyCommands.late.items()
    ),
]


@pytest.mark.parametrize(("group", "command", "late"), EVERY)
def test_the_list_says_of_a_command_what_it_says_itself(group: tuple[str, ...], command: str, late: Late) -> None:
    own, _, _ = late.imported(command).help.partition("\n\n")
    assert " ".join(own.split()) == late.help


@pytest.mark.parametrize(("group", "command", "late"), EVERY)
def test_each_command_of_the_list_is_there(group: tuple[str, ...], command: str, late: Late) -> None:
    shown = CliRunner().invoke(app, [*group, command, "--help"])
    assert shown.exit_code == 0
    assert f" {' '.join([*group, command])} " in shown.stdout


def test_all_commands_are_listed() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(f" {command} " in shown.stdout for command in Commands.late)


def test_a_command_that_is_not_there_is_misuse() -> None:
    asked = CliRunner().invoke(app, ["polices"])
    assert asked.exit_code == 2
    assert "policy" in asked.stderr
