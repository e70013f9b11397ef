"""``towline deadletters``: what could not be used, by cause; one of them; and sent through again."""

from typing import Annotated, Any, Final

import typer

from streams.cli.inputs import AsJson, Since, SliceFile, Until, actor, window
from streams.cli.output import FINDING, MISUSE, note, note_refused, print_json, print_table, progress_bar, run, say
from streams.cli.source import reading
from streams.facts import Teller
from streams.kafka_log import KafkaLog
from streams.letters.box import Letter, Wanted, find_letter, grouped, read_input, read_letters
from streams.letters.requeue import RequeuePlan, plan_requeue, requeue
from streams.log import EventLog, LogRecord
from towline.errors import MisuseError
from towline.settings import load_settings

app = typer.Typer(help="What could not be used, why, and sending it through again.", no_args_is_help=True)

_ID_LENGTH: Final = 12
#: As many bytes of an input as people look at.
_SHOWN_BYTES: Final = 4096
_SOURCE: Final = "towline/cli"

Cause = Annotated[str, typer.Option("--cause", metavar="TEXT", help="Those whose cause has this in it.")]
Topic = Annotated[str | None, typer.Option("--topic", help="Those from this topic, such as towline.inbound.")]


@app.command("list")
def list_command(
    cause: Cause = "",
    *,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    each: Annotated[bool, typer.Option("--each", help="A line for each, not for each cause.")] = False,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters by cause, the most frequent first: a cause is a reason without names and numbers."""

    async def main() -> None:
        first, end = window(since, until)
        wanted = Wanted(cause, topic, first or "", end)
        async with reading(slice_file) as log:
            letters = await read_letters(log, wanted)
        if each:
            _print_letters(letters, as_json)
        else:
            _print_groups(letters, as_json)

    run(main())


def _print_groups(letters: list[Letter], as_json: bool) -> None:
    groups = grouped(letters)
    if as_json:
        print_json({"groups": [{**_members(group), "example": str(group.example)} for group in groups]})
        return
    if not groups:
        say("no dead letters")
    print_table(
        ("COUNT", "SENT AGAIN", "FIRST", "LAST", "TOPIC", "EXAMPLE", "CAUSE"),
        [
            (g.count, g.requeued, g.first[:19] + "Z", g.last[:19] + "Z", g.topic, _place(g.example), g.cause)
            for g in groups
        ],
    )


def _members(group: Any) -> dict[str, Any]:
    return {name: getattr(group, name) for name in ("cause", "topic", "count", "requeued", "first", "last")}


def _place(position: Any) -> str:
    return f"{position.partition}/{position.offset}"


def _print_letters(letters: list[Letter], as_json: bool) -> None:
    if as_json:
        print_json({"letters": [_told(letter) for letter in letters]})
        return
    if not letters:
        say("no dead letters")
    print_table(
        ("ID", "POSITION", "TIME", "INPUT", "BYTES", "SENT AGAIN", "REASON"),
        [
            (
                letter.id[:_ID_LENGTH],
                _place(letter.position),
                letter.time[:19] + "Z",
                letter.input,
                letter.size_bytes,
                None if letter.requeued is None else f"{letter.requeued.time[:19]}Z by {letter.requeued.actor}",
                letter.reason,
            )
            for letter in letters
        ],
    )


def _told(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "position": str(letter.position),
        "input": str(letter.input),
        "time": letter.time,
        "cause": letter.cause,
        "reason": letter.reason,
        "size_bytes": letter.size_bytes,
        "requeued": letter.requeued,
    }


Name = Annotated[
    str, typer.Argument(metavar="POSITION|ID", help="PARTITION/OFFSET as listed, its input's place, or its id.")
]


@app.command("show")
def show_command(name: Name, slice_file: SliceFile = None, as_json: AsJson = False) -> None:
    """Show one dead letter: why, its key, headers and bytes, and whether it can be sent again."""

    async def main() -> None:
        async with reading(slice_file) as log:
            letter = find_letter(await read_letters(log), name)
            try:
                stored = await read_input(log, letter)
            except MisuseError:
                stored = None
            plan = await plan_requeue(log, [letter], Teller.at_present(actor(), _SOURCE))
        advice = _advice(plan)
        if as_json:
            print_json({**_told(letter), "advice": advice, **_content(stored)})
            return
        say(f"dead letter {letter.id} at {letter.position}")
        for title, value in (("input", letter.input), ("time", letter.time), ("reason", letter.reason)):
            say(f"  {title}: {value}")
        for title, value in _content(stored).items():
            say(f"  {title}: {value}")
        say(f"  what to do: {advice}")

    run(main())


def _content(stored: LogRecord | None) -> dict[str, Any]:
    """Return key, headers and the beginning of the bytes as text; bytes that are none are written as escapes."""
    if stored is None:
        return {}
    value = stored.value or b""
    shown = _readable(value[:_SHOWN_BYTES])
    more = f" and {len(value) - _SHOWN_BYTES} bytes more" if len(value) > _SHOWN_BYTES else ""
    headers = {name: _readable(content) for name, content in stored.headers}
    return {
        "key": None if stored.key is None else _readable(stored.key),
        "headers": headers,
        "value": f"{shown}{more}",
    }


def _readable(content: bytes) -> str:
    return content.decode("utf-8", errors="backslashreplace")


def _advice(plan: RequeuePlan) -> str:
    if plan.refused:
        return plan.refused[0].reason
    (planned,) = plan.planned
    if planned.instead:
        return f"it can be used now: `deadletters requeue` asks its registry what the tag has, as {planned.instead}"
    return "it can be used now: send it again with `deadletters requeue`"


@app.command("requeue")
def requeue_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="POSITION|ID", help="Which ones, as listed.")] = None,
    *,
    cause: Annotated[
        str | None, typer.Option("--cause", metavar="TEXT", help="All whose cause has this in it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters through again, each once, when what they were refused for is mended; exit 1 when none can be.

    A tag that had other events since is looked at in its registry instead. Letters that are named and cannot be sent
    are misuse, and then none is.
    """
    run(_requeue(names or [], cause, dry_run=dry_run, as_json=as_json))


async def _requeue(names: list[str], cause: str | None, *, dry_run: bool, as_json: bool) -> int:
    if bool(names) == bool(cause):
        raise MisuseError("say which dead letters: either where they are, or --cause with what they were refused for")
    by = Teller.at_present(actor(), _SOURCE)
    async with KafkaLog(load_settings().kafka) as log:
        letters = await read_letters(log, Wanted(cause or ""))
        if names:
            letters = list({letter.id: letter for letter in (find_letter(letters, name) for name in names)}.values())
        else:
            letters = [letter for letter in letters if letter.requeued is None]
        plan = await plan_requeue(log, letters, by)
        is_refused = bool(names) and bool(plan.refused)
        is_sent = not dry_run and not is_refused
        if is_sent:
            await _send(log, plan, by)
    if as_json:
        print_json(_planned(plan, is_sent=is_sent))
    else:
        _print_plan(plan, is_sent=is_sent, is_refused=is_refused)
    if is_refused:
        return MISUSE
    return 0 if plan.planned else FINDING


async def _send(log: EventLog, plan: RequeuePlan, by: Teller) -> None:
    with progress_bar() as bar:
        task = bar.add_task("sending again", total=len(plan.planned))
        await requeue(log, plan, by, lambda done: bar.update(task, completed=done))


def _planned(plan: RequeuePlan, *, is_sent: bool) -> dict[str, Any]:
    return {
        "sent": is_sent,
        "requeued": [
            {"id": one.letter.id, "position": str(one.letter.position), "told": one.told, "instead": one.instead}
            for one in plan.planned
        ],
        "refused": [{"id": one.letter.id, "reason": one.reason} for one in plan.refused],
        "more": plan.more,
    }


def _print_plan(plan: RequeuePlan, *, is_sent: bool, is_refused: bool) -> None:
    note_refused([(_place(one.letter.position), one.reason) for one in plan.refused], is_error=is_refused)
    if is_refused:
        note("nothing was sent")
        return
    print_table(
        ("POSITION", "TELLS", "SENT"),
        [
            (
                _place(one.letter.position),
                ", ".join(one.told),
                f"its registry is asked: {one.instead}" if one.instead else "itself",
            )
            for one in plan.planned
        ],
    )
    say(f"{len(plan.planned)} {'sent again' if is_sent else 'would be sent again'}")
    if plan.more:
        say(f"and {plan.more} more: requeue once again")
