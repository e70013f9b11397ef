"""``towline policy``: the group."""

from typing import ClassVar

import typer

from streams.cli.late import Late, LateGroup


class PolicyCommands(LateGroup):
    """The commands of ``towline policy``; each says of itself what the table says of it."""

    late: ClassVar[dict[str, Late]] = {
        "try": Late(
            "streams.cli.trial",
            "try_command",
            "Judge a file of events by a policy file, without broker, registries or settings: unit tests for policies.",
        ),
        "import": Late(
            "streams.cli.dtr",
            "import_command",
            "Print a policy file for promotion and mirroring policies of Docker Trusted Registry (MSR).",
        ),
        "check": Late(
            "streams.cli.policy_check",
            "check",
            "Check a policy file as `apply` does, without applying it; exit 1 when it must not be applied.",
        ),
        "apply": Late(
            "streams.cli.policies",
            "apply",
            "Bring a policy file into force, in place of all policies before. Returns when every partition has it.",
        ),
        "remove": Late(
            "streams.cli.policies",
            "remove",
            "Take one policy out of force: a new revision without it. What it has promoted stays where it is.",
        ),
        "list": Late("streams.cli.policies", "list_", "List the policies in force."),
        "show": Late("streams.cli.policies", "show", "Print the policies in force."),
    }


app = typer.Typer(cls=PolicyCommands, help="Check policies, bring them into force, look at them.", no_args_is_help=True)


@app.callback()
def _policy() -> None:
    """Without this Typer takes a group that defines no command itself for a mistake."""
