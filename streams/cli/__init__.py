"""The command line. ``main`` is the console script ``towline``."""

from typing import ClassVar

import typer

from streams.cli.late import Late, LateGroup


class Commands(LateGroup):
    """The commands of ``towline``; each says of itself what the table says of it."""

    late: ClassVar[dict[str, Late]] = {
        "demo": Late(
            "streams.cli.demo",
            "demo",
            "Show a hold, a promotion, mirrors, a denial, the audit trail and a replay. Needs nothing else; ends by "
            "itself.",
        ),
        "up": Late(
            "streams.cli.run", "up", "Everything in one go: a broker unless one is set, the gateway and the workers."
        ),
        "gateway": Late("streams.cli.run", "gateway", "Take webhooks: POST /hooks/SOURCE."),
        "worker": Late(
            "streams.cli.run",
            "worker",
            "Do the work: evaluate policies, transfer images, look at registries, send webhooks, seal, or all of it.",
        ),
        "approve": Late(
            "streams.cli.facts",
            "approve",
            "Approve an image for a policy that asks for approvals, or take an approval back.",
        ),
        "override": Late(
            "streams.cli.facts",
            "override",
            "Answer for a vulnerability, so that it does not count any more; or let it count again.",
        ),
        "promote": Late(
            "streams.cli.facts",
            "promote",
            "Promote an image by hand, whatever the policies say; the log tells who did.",
        ),
        "explain": Late(
            "streams.cli.audit",
            "explain_command",
            "Say why a tag did or did not move: each policy, each rule; exit 1 when the log knows nothing of it.",
        ),
        "topics": Late(
            "streams.cli.topics",
            "app",
            "Create the topics, compare them with what they must be, see who may do what with them.",
        ),
        "policy": Late("streams.cli.policy", "app", "Check policies, bring them into force, look at them."),
        "webhook": Late("streams.cli.webhook", "app", "Say who is told of what by webhooks, and see how that goes."),
        "event": Late("streams.cli.events", "app", "Tell Towline that something was pushed."),
        "scan": Late("streams.cli.facts", "app", "Tell Towline what scanners and SBOM tools found."),
        "registry": Late("streams.cli.registry", "app", "See what the registries of the settings let Towline do."),
        "replay": Late("streams.cli.replay", "app", "Fold the log anew. Only import writes, and only to an empty log."),
        "audit": Late("streams.cli.audit", "app", "What happened, and why."),
        "decisions": Late(
            "streams.cli.completeness", "app", "Write what workers should have written, where something is missing."
        ),
        "mirror": Late(
            "streams.cli.mirrors", "app", "Mirrors: ask a source now, see how they are and what webhooks missed."
        ),
        "rollback": Late(
            "streams.cli.rollback",
            "app",
            "Put back what tags had before something bad, with another person's approval.",
        ),
        "deadletters": Late(
            "streams.cli.deadletters", "app", "What could not be used, why, and sending it through again."
        ),
        "transfers": Late(
            "streams.cli.transfers", "app", "What was to be copied or removed, how far that is, and how it ended."
        ),
    }


app = typer.Typer(
    name="towline",
    cls=Commands,
    help="Promote and mirror container images between registries by policy, and prove afterwards why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _towline() -> None:
    """Without this Typer takes an application that defines no command itself for a mistake."""


def main() -> None:
    """Run the command line."""
    app()
