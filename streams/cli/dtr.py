"""``towline policy import``."""

from typing import Annotated

import typer

from schemas.references import Repository
from streams.cli.inputs import AsJson, read_text
from streams.cli.output import FINDING, note, print_json, run, say
from towline.errors import MisuseError
from towline.policy.dtr.reading import read_exports
from towline.policy.dtr.writing import import_policies


def import_command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="JSON that the API of DTR or MSR returned; - for standard input."),
    ],
    registry: Annotated[str, typer.Option(help="The name here of the registry that they come from.")] = "local",
    as_json: AsJson = False,
) -> None:
    """Print a policy file for promotion and mirroring policies of Docker Trusted Registry (MSR).

    Notes on what has no counterpart go to standard error. Exits with 1 when a policy had to be left out.
    """
    run(_import(files, registry, as_json))


async def _import(files: list[str], registry: str, as_json: bool) -> int:
    try:
        Repository.parse(f"{registry}/any")
    except ValueError:
        raise MisuseError(f"--registry {registry}: lower-case letters, digits and hyphens are expected") from None
    found = import_policies([exported for file in files for exported in read_exports(read_text(file), file)], registry)
    if as_json:
        print_json(found)
    else:
        say(found.text.rstrip())
        for text in found.notes:
            note(f"note: {text}")
        for text in found.problems:
            note(f"problem: {text}")
    return FINDING if found.problems else 0
