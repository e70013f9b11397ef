"""The command line. ``main`` is the console script ``towline``."""

import typer

from streams.cli.audit import app as audit_app
from streams.cli.audit import explain_command
from streams.cli.demo import demo
from streams.cli.events import app as event_app
from streams.cli.facts import app as scan_app
from streams.cli.facts import approve, override, promote
from streams.cli.mirrors import app as mirror_app
from streams.cli.policies import app as policy_app
from streams.cli.registry import app as registry_app
from streams.cli.replay import app as replay_app
from streams.cli.run import gateway, up, worker
from streams.cli.topics import app as topics_app
from streams.cli.transfers import app as transfers_app

app = typer.Typer(
    name="towline",
    help="Promote and mirror container images between registries by policy, and prove afterwards why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("up")(up)
app.command("gateway")(gateway)
app.command("worker")(worker)
app.command("approve")(approve)
app.command("override")(override)
app.command("promote")(promote)
app.command("explain")(explain_command)
app.add_typer(topics_app, name="topics")
app.add_typer(policy_app, name="policy")
app.add_typer(event_app, name="event")
app.add_typer(scan_app, name="scan")
app.add_typer(registry_app, name="registry")
app.add_typer(replay_app, name="replay")
app.add_typer(audit_app, name="audit")
app.add_typer(mirror_app, name="mirror")
app.add_typer(transfers_app, name="transfers")


def main() -> None:
    """Run the command line."""
    app()
