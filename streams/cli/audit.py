"""``towline explain`` and ``towline audit``."""

from pathlib import Path
from typing import Annotated, NamedTuple, get_args

import typer

from schemas.decisions import Verdict
from streams.audit.explain import explain
from streams.audit.lineage import Lineage, lineage
from streams.audit.origin import origin
from streams.audit.trail import TrailEntry, entry_of, trail
from streams.cli.audit_blast import blast_command
from streams.cli.completeness import completeness_command
from streams.cli.explaining import print_explanation, print_lineage, print_origin
from streams.cli.export import export_command
from streams.cli.inputs import AsJson, Since, SliceFile, Until, reference
from streams.cli.output import FINDING, note, print_json, print_table, run, say
from streams.cli.projected import projected
from streams.cli.proving import prove_command
from streams.cli.sealing import key_command, verify_command
from streams.projection.asking import digest, filter_of
from streams.projection.paging import Order, read_page
from streams.transfers.transfer import Ended
from towline import limits

app = typer.Typer(help="What happened, and why.", no_args_is_help=True)
app.command("key")(key_command)
app.command("blast")(blast_command)
app.command("verify")(verify_command)
app.command("prove")(prove_command)
app.command("export")(export_command)
app.command("completeness")(completeness_command)

Ref = Annotated[str, typer.Argument(metavar="REF", help="REGISTRY/REPOSITORY:TAG")]


Actor = Annotated[str | None, typer.Option("--actor", help="What this person or account did.")]
Policy = Annotated[str | None, typer.Option("--policy", help="What is about this policy.")]
VerdictName = Annotated[str | None, typer.Option("--verdict", help=f"Decisions: {', '.join(get_args(Verdict))}.")]
OutcomeName = Annotated[str | None, typer.Option("--outcome", help=f"Ends of commands: {', '.join(get_args(Ended))}.")]
Type = Annotated[str | None, typer.Option("--type", help="Records of this type, such as approval.granted.")]
Place = Annotated[
    str | None,
    typer.Option("--repository", metavar="REGISTRY/REPOSITORY", help="As source or target; or a glob, local/dev/*."),
]
DigestText = Annotated[str | None, typer.Option("--digest", help="What names this digest.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=limits.page_max_count, help="How many at once.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where to go on: the page before tells it.")]
Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first.")]


@app.command("trail")
def trail_command(
    ref: Annotated[
        str | None, typer.Argument(metavar="[REF]", help="REGISTRY/REPOSITORY:TAG: the whole story of this tag.")
    ] = None,
    *,
    since: Since = None,
    until: Until = None,
    actor: Actor = None,
    policy: Policy = None,
    verdict: VerdictName = None,
    outcome: OutcomeName = None,
    type_: Type = None,
    place: Place = None,
    image: DigestText = None,
    limit: Limit = limits.page_count,
    cursor: Cursor = None,
    oldest: Oldest = False,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """List what happened, the newest first; with REF alone everything about a tag, from its push to the outcomes.

    With REF and options it lists the records that name the tag and match. Exit 1 when the log knows nothing of REF.
    """
    asked = {"from": since, "to": until, "actor": actor, "policy": policy, "verdict": verdict, "outcome": outcome}
    asked |= {"type": type_, "repository": place, "digest": image}
    if ref is not None and cursor is None and not oldest and not any(asked.values()):
        run(_trail(ref, slice_file, as_json))
    else:
        paging = _Paging(limit, "oldest" if oldest else "newest", cursor)
        run(_page(asked | {"reference": ref}, paging, slice_file, as_json))


class _Paging(NamedTuple):
    limit: int
    order: Order
    cursor: str | None


async def _page(asked: dict[str, str | None], paging: _Paging, slice_file: Path | None, as_json: bool) -> None:
    wanted = filter_of(asked)
    async with projected(slice_file) as projection:
        page = await projection.ask(read_page, wanted, paging.limit, order=paging.order, cursor=paging.cursor)
    entries = [entry_of(item) for item in page.records]
    if as_json:
        print_json({"trail": entries, "cursor": page.cursor})
        return
    print_trail(entries)
    if not entries:
        say("nothing matches")
    if page.cursor is not None:
        note(f"there is more: go on with --cursor {page.cursor}")


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
        print_json(explanation)
    else:
        print_explanation(explanation)
    return 0 if explanation.is_known else FINDING


@app.command("lineage")
def lineage_command(
    what: Annotated[str, typer.Argument(metavar="DIGEST|REF", help="An image, or a tag: REGISTRY/REPOSITORY:TAG.")],
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Show everywhere that a digest came to, from its first push on; of a tag, from where it has what it has.

    Exit 1 when the log knows nothing of it.
    """
    run(_lineage(what, slice_file, as_json))


async def _lineage(what: str, slice_file: Path | None, as_json: bool) -> int:
    asked = digest(what) if what.startswith(("sha256:", "sha512:")) else reference(what)
    async with projected(slice_file) as projection:
        found = await (projection.ask(lineage, asked) if isinstance(asked, str) else projection.ask(origin, asked))
    if as_json:
        print_json(found)
    elif isinstance(found, Lineage):
        print_lineage(found)
    else:
        print_origin(found)
    is_known = bool(found.places) if isinstance(found, Lineage) else found.digest is not None
    return 0 if is_known else FINDING
