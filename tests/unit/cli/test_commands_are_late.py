"""The list of commands does not import them, and says of each what it says itself."""

import pytest
from typer.testing import CliRunner

from streams.cli import Commands, app


@pytest.mark.parametrize("command", Commands.late)
def test_the_list_says_of_a_command_what_it_says_itself(command: str) -> None:
    listed = Commands.late[command]
    own, _, _ = listed.imported(command).help.partition("\n\n")
    assert " ".join(own.split()) == listed.help


@pytest.mark.parametrize("command", Commands.late)
def test_each_command_of_the_list_is_there(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"towline {command} " in shown.stdout


def test_all_commands_are_listed() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(f" {command} " in shown.stdout for command in Commands.late)


def test_a_command_that_is_not_there_is_misuse() -> None:
    asked = CliRunner().invoke(app, ["polices"])
    assert asked.exit_code == 2
    assert "policy" in asked.stderr
