"""``towline mirror``: asking a source now, and how the mirrors are."""

from typing import Annotated

import typer

from streams import facts
from streams.cli.inputs import AsJson, actor
from streams.cli.output import FINDING, print_json, print_table, run, say
from streams.facts import Teller
from streams.kafka_log import KafkaLog
from streams.publication import policies_in_force
from streams.transfers.mirrors import FINE, NEVER, MirrorStatus, mirror_status, sync_request
from towline.settings import load_settings

app = typer.Typer(help="Mirrors: ask a source now, see how they are.", no_args_is_help=True)


@app.command("sync")
def sync_command(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="A policy that is in force.")],
    as_json: AsJson = False,
) -> None:
    """Have the source of a policy asked now what it has; what is new or changed is judged and copied."""
    run(_sync(policy, as_json))


async def _sync(name: str, as_json: bool) -> None:
    by = Teller.at_present(actor(), "towline/cli")
    async with KafkaLog(load_settings().kafka) as log:
        event = sync_request((await policies_in_force(log)).policies.policies, name, by)
        place = await facts.record(log, event)
    position = str(place)
    if as_json:
        print_json({"id": event.id, "policy": name, "source": str(event.data.source), "position": position})
        return
    say(f"{event.data.source} is asked now; recorded at {position}")
    say("see how it went with `towline mirror status`")


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show each mirror's last run, last success, next run and what is wrong; exit 1 when something is."""
    run(_status(as_json))


async def _status(as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await mirror_status(log)
    if as_json:
        print_json({"mirrors": found})
    else:
        print_status(found)
    return 0 if all(one.code in {FINE, NEVER} for one in found) else FINDING


def print_status(found: list[MirrorStatus]) -> None:
    """Print the mirrors as a table, and below it what is wrong with them."""
    if not found:
        say("no policy in force has its target in another registry, or an interval")
    print_table(
        ("POLICY", "SOURCE", "TARGET", "LAST RUN", "LAST SUCCESS", "NEXT RUN", "FAILED", "PENDING", "CODE"),
        [
            (
                one.policy,
                one.source,
                one.target,
                _moment(one.last_run),
                _moment(one.last_success),
                _next(one),
                one.failed,
                one.pending,
                one.code,
            )
            for one in found
        ],
    )
    for one in found:
        if one.detail is not None:
            say(f"{one.policy}: {one.code}: {one.detail}")


def _moment(instant: str | None) -> str:
    return "never" if instant is None else f"{instant[:19]}Z"


def _next(one: MirrorStatus) -> str:
    if one.mode == "disabled":
        return "disabled"
    if one.poll is None:
        return "by pushes"
    if one.next_run is None or one.is_due:
        return "next tick"
    return _moment(one.next_run)
