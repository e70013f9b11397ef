"""``towline transfers``: what was to be copied, and how it ended."""

from typing import Annotated, Any, Final

import typer

from streams.cli.inputs import AsJson, repository
from streams.cli.output import print_json, print_table, run, say
from streams.kafka_log import KafkaLog
from streams.transfers.ledger import Entry, Page, newest
from streams.transfers.story import Cause, TransferStory, read_transfer_story
from streams.transfers.transfer import Transfer
from towline.settings import load_settings

app = typer.Typer(help="What was to be copied, and how it ended.", no_args_is_help=True)

#: As much of an id as a table shows, which is as much as people need to type.
_ID_LENGTH: Final = 12


@app.command("list")
def list_command(
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Those that have not ended.")] = False,
    policy: Annotated[str | None, typer.Option(help="Those of this policy.")] = None,
    of: Annotated[
        str | None, typer.Option("--repository", metavar="REGISTRY/REPOSITORY", help="From or to this repository.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List transfers, the newest first."""
    states = {state for state, is_asked in (("failed", failed), ("pending", pending)) if is_asked}
    run(_list(states, policy, of, limit, as_json))


async def _list(states: set[str], policy: str | None, of: str | None, limit: int, as_json: bool) -> None:
    place = None if of is None else repository(of)

    def is_wanted(entry: Entry) -> bool:
        command = entry.command
        is_there = place is None or place in {command.source.repository, command.target.repository}
        return is_there and policy in {None, command.policy} and (not states or entry.state in states)

    async with KafkaLog(load_settings().kafka) as log:
        page = await newest(log, is_wanted, limit)
    if as_json:
        print_json({"transfers": page.transfers, "more": page.more})
    else:
        print_page(page)


def print_page(page: Page) -> None:
    """Print transfers as a table, and how many more there are."""
    if not page.transfers:
        say("no such transfers")
    print_table(
        ("ID", "TIME", "POLICY", "SOURCE", "TARGET", "STATE", "CAUSE"),
        [
            (one.id[:_ID_LENGTH], one.time[:19] + "Z", one.policy, one.source, one.target, one.state, one.cause)
            for one in page.transfers
        ],
    )
    if page.more:
        say(f"and {page.more} older ones: see more of them with --limit")


@app.command("show")
def show_command(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id of its command, or the beginning of it.")],
    as_json: AsJson = False,
) -> None:
    """Show one transfer with the event and the decision that led to it, and how it ended."""
    run(_show(id_, as_json))


async def _show(prefix: str, as_json: bool) -> None:
    async with KafkaLog(load_settings().kafka) as log:
        story = await read_transfer_story(log, prefix)
    if as_json:
        print_json(story)
        return
    say(f"transfer {story.transfer.id}")
    for name, value in _lines(story):
        if value is not None:
            say(f"  {name}: {value}")


def _lines(story: TransferStory) -> list[tuple[str, Any]]:
    transfer = story.transfer
    return [
        ("state", transfer.state),
        ("source", f"{transfer.source}@{transfer.digest}"),
        ("target", transfer.target),
        ("policy", transfer.policy),
        ("event", _cause(story.event)),
        ("decision", _cause(story.decision)),
        ("verdict", None if story.verdict is None else f"{story.verdict}: {story.reason}"),
        ("command", f"{story.position} of {transfer.time}"),
        ("ended", transfer.ended_at),
        ("target had", transfer.previous_digest),
        ("copied", _copied(transfer)),
        ("cause", transfer.cause),
        ("detail", transfer.detail),
        ("attempts", transfer.attempts),
        ("a retry", None if transfer.retryable is None else "may help" if transfer.retryable else "cannot help alone"),
    ]


def _cause(cause: Cause | None) -> str:
    return "not in the log" if cause is None else f"{cause.type} {cause.subject} at {cause.position}, {cause.id}"


def _copied(transfer: Transfer) -> str | None:
    if transfer.bytes_copied is None:
        return None
    blobs = f"{transfer.blobs_copied} copied, {transfer.blobs_mounted} mounted, {transfer.blobs_skipped} there already"
    return f"{transfer.bytes_copied} bytes; blobs: {blobs}"
