"""``towline transfers``: what was to be copied or removed, how far that is, and how it ended."""

from typing import Annotated, Any, Final

import typer

from streams.audit.wording import REDUCED
from streams.cli.inputs import AsJson, actor, repository
from streams.cli.output import FINDING, MISUSE, note, note_refused, print_json, print_table, run, say
from streams.facts import Teller
from streams.kafka_log import KafkaLog
from streams.transfers.causes import FailedFor, read_causes
from streams.transfers.ledger import Entry, Page, newest
from streams.transfers.retry import RetryPlan, ask, plan_retry_by_cause, plan_retry_of
from streams.transfers.story import Cause, TransferStory, read_transfer_story
from streams.transfers.transfer import Transfer
from towline.errors import MisuseError
from towline.settings import load_settings

app = typer.Typer(help="What was to be copied or removed, how far that is, and how it ended.", no_args_is_help=True)

#: As much of an id as a table shows, which is as much as people need to type.
_ID_LENGTH: Final = 12
_MIB: Final = 1024 * 1024


@app.command("list")
def list_command(
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Those that have not begun.")] = False,
    running: Annotated[bool, typer.Option("--running", help="Those that are under way.")] = False,
    policy: Annotated[str | None, typer.Option(help="Those of this policy.")] = None,
    of: Annotated[
        str | None, typer.Option("--repository", metavar="REGISTRY/REPOSITORY", help="From or to this repository.")
    ] = None,
    cause: Annotated[str | None, typer.Option(help="Those that failed for this, such as unreachable.")] = None,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="A line for each cause of failures.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List transfers, the newest first; or what they failed for, the most frequent first."""
    asked = (("failed", failed), ("pending", pending), ("running", running))
    states = {state for state, is_asked in asked if is_asked}

    async def main() -> None:
        place = None if of is None else repository(of)

        def is_wanted(entry: Entry) -> bool:
            command = entry.command
            is_there = place is None or place in {command.source.repository, command.target.repository}
            is_meant = cause is None or (entry.end is not None and entry.end.cause == cause)
            return is_there and is_meant and policy in {None, command.policy} and (not states or entry.state in states)

        async with KafkaLog(load_settings().kafka) as log:
            if by_cause:
                _print_causes(await read_causes(log, is_wanted), as_json)
            else:
                _print_newest(await newest(log, is_wanted, limit), as_json)

    run(main())


def _print_newest(page: Page, as_json: bool) -> None:
    if as_json:
        print_json({"transfers": page.transfers, "more": page.more})
    else:
        print_page(page)


def _print_causes(causes: list[FailedFor], as_json: bool) -> None:
    if as_json:
        print_json({"causes": causes})
        return
    if not causes:
        say("no failed transfers")
    print_table(
        ("COUNT", "RETRIED", "FIRST", "LAST", "EXAMPLE", "CAUSE"),
        [
            (one.count, one.retried, one.first[:19] + "Z", one.last[:19] + "Z", one.example[:_ID_LENGTH], one.cause)
            for one in causes
        ],
    )
    if causes:
        say("make those of one cause again with `towline transfers retry --cause CAUSE`")


def print_page(page: Page) -> None:
    """Print transfers as a table, and how many more there are."""
    if not page.transfers:
        say("no such transfers")
    print_table(
        ("ID", "TIME", "WORK", "POLICY", "SOURCE", "TARGET", "STATE", "CAUSE"),
        [
            (
                one.id[:_ID_LENGTH],
                one.time[:19] + "Z",
                one.work,
                one.policy,
                one.source,
                one.target,
                one.state if one.share is None else f"{one.state} {one.share:.0%}",
                one.cause,
            )
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
        ("work", transfer.work),
        ("state", transfer.state),
        ("source", f"{transfer.source}@{transfer.digest}"),
        ("target", transfer.target),
        ("policy", transfer.policy),
        ("event", _cause(story.event)),
        ("decision", _cause(story.decision)),
        ("verdict", None if story.verdict is None else f"{story.verdict}: {story.reason}"),
        ("command", f"{story.position} of {transfer.time}"),
        ("began", transfer.started_at),
        ("progress", _progress(transfer)),
        ("ended", transfer.ended_at),
        ("target had", transfer.previous_digest),
        ("target has", _reduced(transfer)),
        ("copied", _copied(transfer)),
        ("cause", transfer.cause),
        ("detail", transfer.detail),
        ("attempts", transfer.attempts),
        ("retry", None if transfer.retryable is None else "may help" if transfer.retryable else "cannot help alone"),
        ("retried by", None if story.retry is None else _cause(story.retry)),
        ("retried as", story.retried_as),
    ]


def _reduced(transfer: Transfer) -> str | None:
    if transfer.reduced_digest is None:
        return None
    return f"{transfer.reduced_digest}, {REDUCED.format(digest=transfer.digest)}"


def _cause(cause: Cause | None) -> str:
    return "not in the log" if cause is None else f"{cause.type} {cause.subject} at {cause.position}, {cause.id}"


def _progress(transfer: Transfer) -> str | None:
    if transfer.state != "running":
        return None
    done = sum(count or 0 for count in (transfer.blobs_copied, transfer.blobs_mounted, transfer.blobs_skipped))
    parts = [
        f"{transfer.bytes_copied} of {_known(transfer.bytes)} bytes, {done} of {_known(transfer.blobs)} blobs",
        None if transfer.share is None else f"{transfer.share:.0%}",
        None if transfer.bytes_per_second is None else f"{transfer.bytes_per_second / _MIB:.1f} MiB/s",
    ]
    return f"{', '.join(part for part in parts if part)} at {transfer.reported_at}"


def _known(count: int | None) -> str:
    return "an unknown number of" if count is None else str(count)


def _copied(transfer: Transfer) -> str | None:
    if transfer.bytes_copied is None or transfer.state == "running":
        return None
    blobs = f"{transfer.blobs_copied} copied, {transfer.blobs_mounted} mounted, {transfer.blobs_skipped} there already"
    return f"{transfer.bytes_copied} bytes; blobs: {blobs}"


@app.command("retry")
def retry_command(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The ids of commands, or the beginnings of them.")
    ] = None,
    *,
    cause: Annotated[str | None, typer.Option(help="Everything that failed for this, such as unreachable.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make failed transfers again, each once, as new commands; exit 1 when there is nothing to make again.

    Transfers that are named and cannot be made again are misuse, and then none is.
    """
    run(_retry(ids or [], cause, dry_run=dry_run, as_json=as_json))


async def _retry(ids: list[str], cause: str | None, *, dry_run: bool, as_json: bool) -> int:
    if bool(ids) == (cause is not None):
        raise MisuseError("say which transfers: either their ids, or --cause with what they failed for")
    by = Teller.at_present(actor(), "towline/cli")
    async with KafkaLog(load_settings().kafka) as log:
        plan = await (plan_retry_of(log, ids, by) if cause is None else plan_retry_by_cause(log, cause, by))
        is_refused = cause is None and bool(plan.refused)
        is_asked = not dry_run and not is_refused
        if is_asked:
            await ask(log, plan)
    if as_json:
        print_json(_told(plan, is_asked=is_asked))
    else:
        _print_plan(plan, is_asked=is_asked, is_refused=is_refused)
    if is_refused:
        return MISUSE
    return 0 if plan.requests else FINDING


def _told(plan: RetryPlan, *, is_asked: bool) -> dict[str, Any]:
    retried = [
        {"event": request.id, "transfer": request.data.retries and request.data.retries.command_id}
        for request in plan.requests
    ]
    return {"asked": is_asked, "retried": retried, "refused": plan.refused, "more": plan.more}


def _print_plan(plan: RetryPlan, *, is_asked: bool, is_refused: bool) -> None:
    note_refused([(one.id, one.reason) for one in plan.refused], is_error=is_refused)
    if is_refused:
        note("nothing was asked for")
        return
    print_table(
        ("TRANSFER", "SOURCE", "TARGET", "POLICY"),
        [
            (one.retries.command_id[:_ID_LENGTH], f"{one.repository}:{one.tag}", one.target, one.retries.policy)
            for one in (request.data for request in plan.requests)
            if one.retries is not None
        ],
    )
    count = len(plan.requests)
    say(f"{count} asked for again" if is_asked else f"{count} would be asked for again")
    if plan.more:
        say(f"and {plan.more} more: retry once again when these have gone")
    if is_asked and count:
        say("see what becomes of one with `towline transfers show TRANSFER`")
