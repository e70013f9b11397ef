"""``towline topics``."""

import shlex

import typer

from streams.cli.inputs import AsJson
from streams.cli.output import FINDING, print_json, print_table, run, say
from streams.principals import grants
from streams.provision import create_topics, verify_topics
from streams.topics import FOREVER, TOPICS
from towline.settings import load_settings

app = typer.Typer(
    help="Create the topics, compare them with what they must be, see who may do what with them.", no_args_is_help=True
)


@app.command("create")
def create(as_json: AsJson = False) -> None:
    """Create the topics that are missing. What is there stays as it is."""
    run(_create(as_json))


async def _create(as_json: bool) -> int:
    settings = load_settings()
    report = await create_topics(settings.kafka)
    if as_json:
        print_json(report)
        return 0
    print_table(
        ("TOPIC", "STATE", "PARTITIONS", "KEPT", "FOR"),
        [
            (
                topic.name,
                "created" if topic.name in report.created else "there already",
                settings.kafka.partitions,
                "for ever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // 86_400_000} days",
                topic.description,
            )
            for topic in TOPICS.values()
        ],
    )
    return 0


@app.command("verify")
def verify(as_json: AsJson = False) -> None:
    """Compare partitions, retention and cleanup with what they must be; exit 1 when something differs."""
    run(_verify(as_json))


async def _verify(as_json: bool) -> int:
    differences = await verify_topics(load_settings().kafka)
    if as_json:
        print_json({"differences": differences})
    elif differences:
        for difference in differences:
            say(difference)
    else:
        say(f"all {len(TOPICS)} topics are as they must be")
    return FINDING if differences else 0


@app.command("acls")
def acls(as_json: AsJson = False) -> None:
    """Print the commands of Kafka that give each part the rights it needs, and no more. Changes nothing."""
    run(_acls(as_json))


async def _acls(as_json: bool) -> int:
    given = grants()
    if as_json:
        print_json({"grants": given})
        return 0
    server = load_settings().kafka.bootstrap or "HOST:PORT"
    for grant in given:
        say(shlex.join(["kafka-acls.sh", "--bootstrap-server", server, *grant.arguments()]))
    return 0
