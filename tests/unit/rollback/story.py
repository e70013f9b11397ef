"""The story of ``docs/rollback.md``: a bad image in two stages, and two people who type commands."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app, rollback
from tests.support.builders import policy, proposed, pushed
from tests.support.carrying import CarryingWorld
from tests.support.world import in_place_of_kafka

#: A prompt with who types, the command, and everything that it prints up to the next prompt.
_TYPED = re.compile(r"^(\w+)\$ (.+)\n((?:(?!\w+\$ ).*\n)*)", re.MULTILINE)
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def typed_in(text: str) -> list[tuple[str, str, str]]:
    """Return who types what in a document, and what it prints."""
    return [found for block in _BLOCK.findall(text) for found in _TYPED.findall(block)]


class Story:
    """A shop whose app was good at first, and then lost orders."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch, self._world = patch, CarryingWorld()
        patch.chdir(folder)
        in_place_of_kafka(patch, rollback, self._world.log)
        policies = (
            policy("app-to-qa", "local/dev/app", "local/qa/app"),
            policy("app-to-prod", "local/qa/app", "prod/app"),
        )
        events = [pushed("local/dev/app:1", "good"), pushed("local/dev/app:1", "bad"), pushed("local/dev/app:2", "bad")]
        asyncio.run(self._world.happen(proposed(*policies), *events))

    def type(self, who: str, line: str) -> str:
        """Type a command line; return what it prints, as people see it."""
        self._patch.setenv("LOGNAME", who)
        program, *arguments = shlex.split(line)
        assert program == "towline"
        result = CliRunner().invoke(app, arguments)
        asyncio.run(self._world.carry_out())
        # Where a progress bar was, an empty line is left when nobody watches.
        return "".join(f"{told.rstrip()}\n" for told in result.output.strip().splitlines())
