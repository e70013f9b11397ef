"""``towline replay state``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.decisions import MANUAL, ROLLBACK
from schemas.references import Reference, Repository
from streams.cli.inputs import AsJson, SliceFile, reference, repository
from streams.cli.output import FINDING, note, print_json, print_table, progress_bar, run, say
from streams.cli.source import quarantined, reading
from streams.moments import instant
from streams.replay.state import StateAt, TagAt, state_at
from towline.settings import load_settings

Places = Annotated[
    list[str] | None, typer.Argument(metavar="[REPOSITORY...]", help="REGISTRY/REPOSITORY, or one of its tags.")
]


def state_command(
    places: Places = None,
    *,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="The moment.")],
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what repositories had at a moment: each tag, since when, by whom, by which revision, and what waited.

    TIME is 2026-11-24T14:00Z, 2026-11-24 (its beginning in UTC) or now. Without a repository, all are told. Reads
    only; exits with 1 when the log knew nothing of a repository then.
    """
    run(_state(places or [], at, slice_file, as_json))


async def _state(places: list[str], at: str, slice_file: Path | None, as_json: bool) -> int:
    settings, then = load_settings(), instant(at)
    tags = {reference(place) for place in places if _names_a_tag(place)}
    repositories = {repository(place) for place in places if not _names_a_tag(place)}
    asked = repositories | {tag.repository for tag in tags}
    async with reading(slice_file) as log:
        with progress_bar() as bar:
            task = bar.add_task("replaying", total=None)
            found = await state_at(
                log,
                then,
                asked,
                quarantined=quarantined(log, settings),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    told = [one for one in found.tags if _is_asked(one, tags, repositories)]
    missing = sorted({str(tag) for tag in tags} - {one.reference for one in told} | {*found.unknown})
    if as_json:
        print_json(_json(found, told, missing, asked))
    else:
        _print(found, told, asked)
    for name in missing:
        note(
            f"the log knew nothing of {name} at {then}: `towline replay state --at {at}` lists all that it knew; was "
            "it pushed while the registry's webhook was set up?"
        )
    return FINDING if missing else 0


def _names_a_tag(place: str) -> bool:
    return ":" in place.rpartition("/")[2]


def _is_asked(one: TagAt, tags: set[Reference], repositories: set[Repository]) -> bool:
    """Tell whether a tag is told; one that is gone only when it is asked for by its name."""
    named = Reference.parse(one.reference)
    if named in tags:
        return True
    return one.digest is not None and (named.repository in repositories or not (tags or repositories))


def _json(found: StateAt, told: list[TagAt], missing: list[str], asked: set[Repository]) -> dict[str, Any]:
    return {
        "at": found.at,
        "revision": found.revision,
        "policies_digest": found.policies_digest,
        "policies": found.policies_about(asked) if asked else found.policies,
        "partitions": found.partitions,
        "tags": told,
        "unknown": missing,
    }


def _print(found: StateAt, told: list[TagAt], asked: set[Repository]) -> None:
    places = ", ".join(f"{one.partition}@{'-' if one.offset is None else one.offset}" for one in found.partitions)
    say(f"at {found.at}: up to {places} of the log")
    revisions = {one.revision for one in found.partitions}
    apart = f" ({', '.join(map(str, sorted(revisions)))} in its partitions)" if len(revisions) > 1 else ""
    say(f"revision {found.revision}{apart}, {len(found.policies)} policies in force")
    for policy in found.policies_about(asked):
        mode = "" if policy.mode == "enforce" else f" ({policy.mode})"
        say(f"  {policy.name}: {policy.source} -> {policy.target}{mode}")
    if told:
        say()
    print_table(
        ("TAG", "DIGEST", "SINCE", "BY", "REVISION", "FROM", "EVENT"),
        [
            (one.reference, one.digest or one.how, one.since, by(one), one.revision, one.source or "-", one.position)
            for one in told
        ],
    )
    holds = [(one.reference, hold) for one in told for hold in one.holds]
    if holds:
        say()
        print_table(
            ("TAG", "POLICY", "HELD SINCE", "TARGET", "WAITS FOR", "AT LEAST UNTIL"),
            [(name, one.policy, one.since, one.target or "-", one.reason, one.due_at) for name, one in holds],
        )


def by(one: TagAt) -> str:
    """Return who put an image under a tag, or took it away, for people."""
    pusher = f", pushed by {one.pushed_by}" if one.pushed_by else ""
    if one.policy == MANUAL:
        return f"{one.actor or 'somebody'} by hand{pusher}"
    if one.policy == ROLLBACK:
        return f"a rollback of {one.actor or 'somebody'}{pusher}"
    if one.policy is not None:
        return f"policy {one.policy}{pusher}"
    return one.actor or {"found": "found by a look"}.get(one.how, "nobody told")
