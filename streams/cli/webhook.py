"""``towline webhook``: the group."""

from typing import ClassVar

import typer

from streams.cli.late import Late, LateGroup


class WebhookCommands(LateGroup):
    """The commands of ``towline webhook``; each says of itself what the table says of it."""

    late: ClassVar[dict[str, Late]] = {
        "check": Late(
            "streams.cli.webhook_check",
            "check",
            "Check a file of subscriptions as `apply` does, without applying it; exit 1 when it must not be applied.",
        ),
        "apply": Late(
            "streams.cli.webhooks",
            "apply",
            "Bring a file of subscriptions into force, in place of all before. Returns when every partition has it.",
        ),
        "list": Late(
            "streams.cli.webhooks", "list_", "List the subscriptions in force, and how telling their receivers goes."
        ),
        "show": Late("streams.cli.webhooks", "show", "Print the subscriptions in force, as a file to apply."),
        "test": Late(
            "streams.cli.webhook_test",
            "send_sample",
            "Send one signed sample to a receiver now, and show what it answers.",
        ),
    }


app = typer.Typer(
    cls=WebhookCommands, help="Say who is told of what by webhooks, and see how that goes.", no_args_is_help=True
)


@app.callback()
def _webhook() -> None:
    """Without this Typer takes a group that defines no command itself for a mistake."""
