"""``towline audit key``."""

from pathlib import Path
from typing import Annotated

import typer

from streams.audit.keypair import make_key_pair
from streams.cli.inputs import AsJson
from streams.cli.output import fail, note, print_json, say
from towline.errors import MisuseError


def key_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the private key goes; FILE.pub is the public one.")
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave a key that is there as it is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the Ed25519 key pair that decisions are sealed with. A key that is there is never replaced."""
    public = Path(f"{file}.pub")
    if not (keep and file.exists()):
        try:
            public = make_key_pair(file)
        except MisuseError as error:
            fail(error)
    if as_json:
        print_json({"key": str(file), "public_key": str(public)})
        return
    say(f"private key: {file}")
    say(f"public key:  {public}")
    note(f"set audit.key to file:{file}, and give {public} to whoever verifies")
