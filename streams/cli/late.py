"""Groups whose commands are imported when one is run: to import all takes several times as long as to list them."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Late:
    """A command or a group of commands: where it is, and what the list of commands says of it."""

    module: str
    name: str
    help: str

    def imported(self, command: str) -> Any:
        """Return the command or group itself, to be run under the name ``command``."""
        found = getattr(import_module(self.module), self.name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False)
        alone.command(command)(found)
        return get_command(alone)


class LateGroup(TyperGroup):
    """A group with a table of its commands."""

    late: ClassVar[dict[str, Late]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, late in self.late.items():
            self.add_command(TyperCommand(name, help=late.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is to be run."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else self.late[name].imported(name), rest
