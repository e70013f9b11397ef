"""``towline explain`` and ``towline audit``."""

from pathlib import Path
from typing import Annotated

import typer

from streams.audit.explain import Explanation, explain
from streams.audit.trail import TrailEntry, trail
from streams.cli.audit_blast import blast_command
from streams.cli.inputs import AsJson, SliceFile, reference
from streams.cli.output import FINDING, print_json, print_table, run, say
from streams.cli.projected import projected
from streams.cli.sealing import key_command, prove_command, verify_command
from towline.policy.rules.find import describe_finding

app = typer.Typer(help="What happened, and why.", no_args_is_help=True)
app.command("key")(key_command)
app.command("blast")(blast_command)
app.command("verify")(verify_command)
app.command("prove")(prove_command)

Ref = Annotated[str, typer.Argument(metavar="REF", help="REGISTRY/REPOSITORY:TAG")]


@app.command("trail")
def trail_command(ref: Ref, slice_file: SliceFile = None, as_json: AsJson = False) -> None:
    """List everything about a tag, from its push to the outcomes; exit 1 when the log knows nothing of it."""
    run(_trail(ref, slice_file, as_json))


async def _trail(ref: str, slice_file: Path | None, as_json: bool) -> int:
    asked = reference(ref)
    async with projected(slice_file) as projection:
        entries = await projection.ask(trail, asked)
    if as_json:
        print_json({"reference": str(asked), "trail": entries})
    elif entries:
        print_trail(entries)
    else:
        say(f"the log knows nothing of {asked}")
    return 0 if entries else FINDING


def print_trail(entries: list[TrailEntry]) -> None:
    """Print a trail as a table."""
    print_table(("TIME", "WHAT", "WHERE", "DETAIL"), [(e.time, e.type, e.position, e.text) for e in entries])


def explain_command(ref: Ref, slice_file: SliceFile = None, as_json: AsJson = False) -> None:
    """Say why a tag did or did not move: each policy, each rule; exit 1 when the log knows nothing of it."""
    run(_explain(ref, slice_file, as_json))


async def _explain(ref: str, slice_file: Path | None, as_json: bool) -> int:
    asked = reference(ref)
    async with projected(slice_file) as projection:
        explanation = await projection.ask(explain, asked)
    if as_json:
        print_json(explanation or {"reference": str(asked), "digest": None, "policies": []})
    elif explanation is None:
        say(f"the log knows nothing of {asked}: was it pushed while the registry's webhook was set up?")
    else:
        print_explanation(explanation)
    return 0 if explanation else FINDING


def print_explanation(explanation: Explanation) -> None:
    """Print an explanation for people."""
    say(f"{explanation.reference} -> {explanation.digest or 'nothing'}")
    say(f"  {explanation.came_by}")
    if not explanation.policies:
        say("  not judged yet; is a worker running?" if explanation.digest else "  nothing to judge")
    for policy in explanation.policies:
        name = f"policy {policy.policy}" if policy.policy else "no policy"
        shadow = " in shadow: recorded only" if policy.mode == "shadow" else ""
        due = f", until {policy.due_at} at least" if policy.due_at else ""
        say(f"  {name} (revision {policy.revision}): {policy.verdict}{due}{shadow}")
        if not policy.rules:
            say(f"    {policy.reason}")
        for rule in policy.rules:
            say(f"    {rule.result}: {describe_finding(rule)}")
        if policy.outcome is not None:
            detail = f": {policy.outcome_detail}" if policy.outcome_detail else ""
            say(f"    to {policy.target}: {policy.outcome}{detail}")
