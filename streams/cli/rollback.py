"""``towline rollback``: planned, proposed by one person, approved by another, and looked at."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from schemas.canonical import canonical_bytes
from schemas.catalogue import describe
from schemas.rollbacks import RollbackPlan
from streams.cli.audit_blast import Bad, OfPolicy, OfRevision, question, traced
from streams.cli.inputs import AsJson, SliceFile, actor, read_file
from streams.cli.output import FINDING, note, print_json, print_table, run, say
from streams.cli.source import reading
from streams.facts import Teller
from streams.kafka_log import KafkaLog
from streams.rollback.plan import DrawnPlan, draw_plan
from streams.rollback.propose import approve, propose
from streams.rollback.story import RollbackStory, find_rollback, present_digests, read_rollbacks
from towline.errors import MisuseError
from towline.settings import load_settings

app = typer.Typer(
    help="Put back what tags had before something bad, with another person's approval.", no_args_is_help=True
)

#: As much of a plan's id as people need to type.
_ID_LENGTH: Final = 12
_SOURCE: Final = "towline/cli"

PlanId = Annotated[str, typer.Argument(metavar="PLAN_ID", help="The id of a plan, or the beginning of it.")]


@app.command("plan")
def plan_command(
    bad: Bad = None,
    *,
    revision: OfRevision = None,
    policy: OfPolicy = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Keep the plan in this file.")] = None,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what each tag that has something bad would get instead; nothing is done. Exit 1 when nothing is to be done.

    A tag gets what it had before, or is removed when it was not there before.
    """

    async def main() -> int:
        asked = question(bad, revision, policy)
        async with reading(slice_file) as log:
            drawn = draw_plan(await traced(log, asked))
        if out is not None and drawn.plan is not None:
            _keep(drawn, out)
        if as_json:
            print_json(drawn)
        else:
            _print_plan(drawn, out)
        return 0 if drawn.plan is not None else FINDING

    run(main())


def _keep(drawn: DrawnPlan, out: Path) -> None:
    try:
        out.write_bytes(canonical_bytes(drawn.model_dump(mode="json")) + b"\n")
    except OSError as error:
        raise MisuseError(f"cannot write {out}: {error.strerror}") from None


def _print_plan(drawn: DrawnPlan, out: Path | None) -> None:
    if drawn.plan is None:
        say("nothing is to be rolled back")
    else:
        print_table(
            ("TARGET", "HAS", "GETS"),
            [(step.target, step.expected_digest, step.digest or "(removed)") for step in drawn.plan.steps],
        )
    for one in drawn.left_out:
        say(f"left out: {one.reference} ({one.digest}): {one.reason}")
    if drawn.plan is not None:
        say(f"plan {drawn.plan_id}: {len(drawn.plan.steps)} tags")
        keep = "" if out else "; --out FILE keeps it"
        say(f"propose it with `towline rollback propose {out or 'FILE'} --reason TEXT`{keep}")


@app.command("propose")
def propose_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A plan as `rollback plan --out` kept it; - for input.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; for those who approve, and who read the log.")],
    as_json: AsJson = False,
) -> None:
    """Propose a plan. Nothing moves before another person approves it; proposing it again only completes it."""
    run(_propose(file, reason, as_json))


async def _propose(file: str, reason: str, as_json: bool) -> None:
    plan = _read_plan(file)
    settings = load_settings()
    approvals = settings.rollback.approvals
    async with KafkaLog(settings.kafka) as log:
        made = await propose(log, plan, Teller.at_present(actor(), _SOURCE), reason=reason, approvals=approvals)
    if as_json:
        print_json({"plan_id": plan.plan_id, "proposed": [request.id for request in made], "approvals": approvals})
        return
    waiting = len(plan.steps) - len(made)
    say(f"plan {plan.plan_id}: {len(made)} tags proposed{f', and {waiting} wait already' if waiting else ''}")
    others = "another person types" if approvals == 1 else f"{approvals} other people type"
    say(f"it is carried out once {others} `towline rollback approve {plan.plan_id[:_ID_LENGTH]}`")


def _read_plan(file: str) -> RollbackPlan:
    try:
        drawn = DrawnPlan.model_validate_json(read_file(file))
    except ValidationError as error:
        raise MisuseError(f"{file} is no plan: {describe(error)}") from None
    if drawn.plan is None:
        raise MisuseError(f"{file}: there is nothing to be rolled back")
    if drawn.plan.plan_id != drawn.plan_id:
        raise MisuseError(f"{file} was changed: its plan has the id {drawn.plan.plan_id}. Make it anew with --out")
    return drawn.plan


@app.command("approve")
def approve_command(plan_id: PlanId, as_json: AsJson = False) -> None:
    """Approve a plan that somebody else proposed; with the last approval that it needs it is carried out."""
    run(_approve(plan_id, as_json))


async def _approve(prefix: str, as_json: bool) -> None:
    async with KafkaLog(load_settings().kafka) as log:
        story = await find_rollback(log, prefix)
        made = await approve(log, story, Teller.at_present(actor(), _SOURCE))
    if as_json:
        print_json({"plan_id": story.plan_id, "approved": [approval.id for approval in made]})
        return
    for step in story.steps:
        note(f"{step.request.target} gets {step.request.step.digest or '(removed)'}")
    say(f"{len(made)} of {story.count} tags approved" if made else f"{actor()} approved all of it before")
    say(f"see what becomes of it with `towline rollback show {story.plan_id[:_ID_LENGTH]}`")


@app.command("show")
def show_command(plan_id: PlanId, slice_file: SliceFile = None, as_json: AsJson = False) -> None:
    """Show how far a plan is, tag by tag; exit 1 when a tag could not be rolled back, or has the bad image again."""
    run(_show(plan_id, slice_file, as_json))


async def _show(prefix: str, slice_file: Path | None, as_json: bool) -> int:
    async with reading(slice_file) as log:
        story = await find_rollback(log, prefix)
        present = await present_digests(log, story)
    steps = [_told(story, number, present) for number in range(len(story.steps))]
    if as_json:
        print_json({"plan_id": story.plan_id, "cause": story.cause, "count": story.count, "steps": steps})
    else:
        first = story.steps[0].request
        say(f"plan {story.plan_id} because of {story.cause}: proposed by {first.actor}: {first.reason}")
        rows = [(one["target"], one["state"], one["gets"] or "(removed)", one["has"] or "nothing") for one in steps]
        print_table(("TARGET", "STATE", "GETS", "HAS NOW"), rows)
        for one in steps:
            if one["detail"] and one["state"] not in {"completed", "waiting"}:
                say(f"{one['target']}: {one['state']}: {one['detail']}")
        if any(one["is_back"] for one in steps):
            say("a tag has the bad image again: make another plan")
    return FINDING if any(one["is_back"] or one["state"] in {"failed", "denied"} for one in steps) else 0


def _told(story: RollbackStory, number: int, present: Any) -> dict[str, Any]:
    step = story.steps[number]
    request = step.request
    has = present[str(request.target)]
    return {
        "target": str(request.target),
        "state": step.state,
        "detail": step.detail,
        "gets": request.step.digest,
        "had": request.step.expected_digest,
        "has": has,
        "is_back": step.state in {"completed", "left"} and has == request.step.expected_digest,
        "proposed_by": request.actor,
        "approved_by": list(step.approved_by),
        "decision_id": step.decision_id,
    }


@app.command("list")
def list_command(slice_file: SliceFile = None, as_json: AsJson = False) -> None:
    """List the plans that were proposed, the oldest first."""

    async def main() -> None:
        async with reading(slice_file) as log:
            stories = [*(await read_rollbacks(log)).values()]
        if as_json:
            print_json({"rollbacks": [{"plan_id": one.plan_id, "cause": one.cause, **_counts(one)} for one in stories]})
            return
        if not stories:
            say("no rollback was proposed")
        rows = []
        for one in stories:
            states = ", ".join(f"{count} {state}" for state, count in _counts(one)["states"].items())
            rows.append((one.plan_id[:_ID_LENGTH], one.steps[0].request.actor, one.cause, states))
        print_table(("PLAN", "PROPOSED BY", "CAUSE", "TAGS"), rows)

    run(main())


def _counts(story: RollbackStory) -> dict[str, Any]:
    states: dict[str, int] = {}
    for step in story.steps:
        states[step.state] = states.get(step.state, 0) + 1
    return {"states": states, "count": story.count}
