"""``towline policy try``."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from streams.cli.inputs import AsJson, read_text
from streams.cli.output import FINDING, print_json, print_table, run, say
from streams.trial import Difference, Made, differences, judge, read_events, read_expected
from towline.policy.document import read_policies


def try_command(
    policies: Annotated[str, typer.Argument(metavar="POLICIES", help="A policy file.")],
    events: Annotated[str, typer.Argument(metavar="EVENTS", help="Events as JSON lines; - for standard input.")],
    expect: Annotated[
        str | None, typer.Option(metavar="FILE", help="Expected members of each decision, as JSON lines.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Take each commanded copy as completed at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a file of events by a policy file, without broker, registries or settings: unit tests for policies.

    An event is a whole envelope, or only {"type": ..., "data": ..., "time"?: ...}. With --expect, exits with 1 when a
    decision is missing, too many, or has another member than expected.
    """
    run(_try(policies, events, expect, follow=follow, as_json=as_json))


async def _try(policies: str, events: str, expect: str | None, *, follow: bool, as_json: bool) -> int:
    chosen = read_policies(read_text(policies), None, policies)
    made = judge(chosen, read_events(read_text(events), events), follow=follow)
    if expect is None:
        _print(made, as_json)
        return 0
    found = [*differences(made, read_expected(read_text(expect), expect))]
    if as_json:
        print_json({"decisions": len(made), "differences": found})
    elif found:
        for difference in found:
            say(_said(difference))
    else:
        say(f"{len(made)} decisions, as expected")
    return FINDING if found else 0


def _print(made: Sequence[Made], as_json: bool) -> None:
    if as_json:
        for item in made:
            print_json(item.decision)
        return
    print_table(
        ("#", "LINE", "SOURCE", "POLICY", "VERDICT", "TARGET", "REASON"),
        [(number, item.line or None, *_row(item)) for number, item in enumerate(made, 1)],
    )


def _row(item: Made) -> tuple[Any, ...]:
    made = item.decision
    verdict = made.verdict if made.mode == "enforce" else f"{made.verdict} ({made.mode})"
    return made.source, made.policy or "-", verdict, made.target or "-", made.reason


def _said(difference: Difference) -> str:
    place = f"decision {difference.place}"
    if difference.member is not None:
        return f"{place}: {difference.member}: expected {difference.expected!r}, got {difference.got!r}"
    if difference.got is None:
        return f"{place}: missing, expected {difference.expected!r}"
    return f"{place}: not expected: {difference.got!r}"
