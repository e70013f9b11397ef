"""``towline audit blast``, and how commands read what is bad."""

import re
from typing import Annotated, Final

import typer

from streams.audit.blast import Blast, Question, Traced, trace
from streams.cli.inputs import AsJson, SliceFile
from streams.cli.output import FINDING, print_json, print_table, progress_bar, run, say
from streams.cli.source import reading
from streams.log import ReadableLog
from streams.projection.asking import digest
from towline.errors import MisuseError

_VULNERABILITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9._:-]{1,120}")

Bad = Annotated[
    str | None,
    typer.Argument(metavar="DIGEST|VULNERABILITY", help="A digest, or a vulnerability as scanners name it."),
]
OfRevision = Annotated[int | None, typer.Option("--revision", min=1, help="What decisions of this revision moved.")]
OfPolicy = Annotated[str | None, typer.Option("--policy", help="What decisions of this policy moved.")]


def question(bad: str | None, revision: int | None, policy: str | None) -> Question:
    """Return what is asked about.

    Raises:
        MisuseError: it is nothing, two things, or neither a digest nor a vulnerability.
    """
    if bad is None:
        return Question(revision=revision, policy=policy)
    if bad.startswith(("sha256:", "sha512:")):
        return Question(digest=digest(bad), revision=revision, policy=policy)
    if _VULNERABILITY.fullmatch(bad):
        return Question(vulnerability=bad, revision=revision, policy=policy)
    raise MisuseError(f"{bad!r} is neither a digest nor the name of a vulnerability, such as CVE-2024-3094")


async def traced(log: ReadableLog, asked: Question) -> Traced:
    """Trace it with a bar on standard error that says what is read."""
    with progress_bar() as bar:
        task = bar.add_task("reading the log", total=None)
        return await trace(log, asked, lambda what: bar.update(task, description=what))


def blast_command(
    bad: Bad = None,
    *,
    revision: OfRevision = None,
    policy: OfPolicy = None,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """List every copy of something bad, over all hops; exit 1 when the log knows none.

    A vulnerability is in what the last scan of it says, and in the indexes that have such an image.
    """

    async def main() -> int:
        asked = question(bad, revision, policy)
        async with reading(slice_file) as log:
            blast = (await traced(log, asked)).blast
        if as_json:
            print_json(
                {"question": str(asked), "digests": blast.digests, "copies": blast.copies, "pushed": blast.origins}
            )
        else:
            print_blast(blast)
        return 0 if blast.copies or blast.origins else FINDING

    run(main())


def print_blast(blast: Blast) -> None:
    """Print every copy as a table, and where it was pushed."""
    if blast.question.vulnerability is not None:
        say(f"{blast.question}: in {len(blast.digests)} digests by their last scans")
    if not blast.copies and not blast.origins:
        say(f"the log knows no copy of {blast.question}")
        return
    print_table(
        ("TARGET", "DIGEST", "IS THERE", "POLICY", "REVISION", "HOPS", "SINCE", "FROM", "OVERRIDDEN"),
        [
            (
                one.target,
                one.digest,
                "yes" if one.is_present else "no",
                one.policy,
                one.revision,
                one.hops,
                one.since[:19] + "Z",
                one.source,
                one.overridden,
            )
            for one in blast.copies
        ],
    )
    for origin in blast.origins:
        say(f"pushed to {origin.reference} at {origin.since}{'' if origin.is_present else ', and not there any more'}")
    there = sum(one.is_present for one in blast.copies)
    say(f"{len(blast.copies)} copies, {there} of them there now as far as the log knows")
