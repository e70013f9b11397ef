"""``towline mirror``: asking a source now, how the mirrors are, and what webhooks missed."""

from typing import Annotated

import typer

from streams import facts
from streams.cli.inputs import AsJson, actor
from streams.cli.output import FINDING, print_json, print_table, progress_bar, run, say
from streams.facts import Teller
from streams.kafka_log import KafkaLog
from streams.publication import policies_in_force
from streams.transfers.mirrors import FINE, NEVER, MirrorStatus, mirror_status, sync_request
from streams.transfers.reconciliation import Reconciliation, reconciliations
from towline.settings import load_settings

app = typer.Typer(help="Mirrors: ask a source now, see how they are and what webhooks missed.", no_args_is_help=True)


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


@app.command("reconciliation")
def reconciliation_command(as_json: AsJson = False) -> None:
    """Show for each source what webhooks told of it, and what only a comparison with the registry found."""
    run(_reconciliation(as_json))


async def _reconciliation(as_json: bool) -> None:
    async with KafkaLog(load_settings().kafka) as log:
        with progress_bar() as bar:
            task = bar.add_task("reading the log", total=None)
            found = await reconciliations(
                log, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    if as_json:
        print_json({"repositories": found})
    else:
        print_reconciliations(found)


def print_reconciliations(found: list[Reconciliation]) -> None:
    """Print the repositories as a table."""
    if not found:
        say("nothing is known of any source yet")
    print_table(
        ("REPOSITORY", "LAST COMPARED", "PUSHES TOLD", "MISSED", "SHARE MISSED", "DELETIONS TOLD", "MISSED"),
        [
            (
                one.repository,
                _moment(one.last_compared),
                one.pushes_told,
                one.pushes_missed,
                "" if one.share_missed is None else f"{one.share_missed:.1%}",
                one.deletions_told,
                one.deletions_missed,
            )
            for one in found
        ],
    )


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
    if one.poll is None and one.reconcile is None and one.next_run is None:
        return "by pushes"
    moment = "next tick" if one.next_run is None or one.is_due else _moment(one.next_run)
    return moment if one.poll is not None else f"by pushes, compared {moment}"
