"""``towline audit key`` and ``verify``: the seals of the decisions."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from streams.audit.keeping import key_files
from streams.audit.keypair import make_key_pair
from streams.audit.sealed_slices import kept_within, problems_of
from streams.audit.verifier.checkpoints import Keys, read_keys
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.proof import verify_proof
from streams.audit.verifier.verify import SealVerification, read_kept, verify_seals
from streams.cli.inputs import AsJson, SliceFile, read_file
from streams.cli.output import FINDING, fail, note, print_json, print_table, progress_bar, run, say
from streams.cli.proving import print_shown
from streams.cli.source import reading
from streams.slices.reader import SliceLog
from towline.errors import MisuseError
from towline.settings import load_settings

KeyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="A public key in PEM that may have signed; several while one is replaced. By default audit.public_keys.",
    ),
]


def key_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the private key goes; FILE.pub is the public one.")
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave a key that is there as it is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the Ed25519 key pair that decisions are sealed with. A key that is there is never replaced."""
    public = Path(f"{file}.pub")
    if not (keep and file.exists()):
        try:
            public = make_key_pair(file)
        except MisuseError as error:
            fail(error)
    if as_json:
        print_json({"key": str(file), "public_key": str(public)})
        return
    say(f"private key: {file}")
    say(f"public key:  {public}")
    note(f"set audit.key to file:{file}, and give {public} to whoever verifies")


def verify_command(
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Checkpoints kept outside of Kafka, one a line; - for standard input."),
    ] = None,
    key: KeyFiles = None,
    proof: Annotated[
        str | None, typer.Option(metavar="FILE", help="Check a proof of audit prove instead; it needs no log.")
    ] = None,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare the decisions, record by record, with what was sealed; exit 1 when something is not as it was."""
    if proof is not None and (against is not None or slice_file is not None):
        fail(MisuseError("--proof needs neither a log nor --against: leave them out"))
    run(_verify_proof(proof, key, as_json) if proof is not None else _verify(against, key, slice_file, as_json))


async def _verify_proof(file: str, key: list[Path] | None, as_json: bool) -> int:
    return print_shown(verify_proof(read_file(file), _public_keys(key)), as_json)


async def _verify(against: str | None, key: list[Path] | None, slice_file: Path | None, as_json: bool) -> int:
    keys = _public_keys(key)
    kept = None if against is None else read_kept(against, read_file(against), keys)
    # Also a slice that was altered: what was altered is the question.
    async with reading(slice_file, insist=False) as log:
        altered: list[Finding] = []
        if isinstance(log, SliceLog):
            altered = problems_of(log, str(slice_file))
            kept = None if kept is None else kept_within(log, kept)
        with progress_bar() as bar:
            task = bar.add_task("verifying", total=None)
            result = await verify_seals(
                log, keys, kept, lambda done, total: bar.update(task, completed=done, total=total)
            )
    result = replace(result, findings=[*altered, *result.findings])
    if as_json:
        advice = {finding.kind: finding.advice for finding in result.findings}
        print_json({"seals": "intact" if result.is_intact else "broken", "details": result, "advice": advice})
    else:
        _print_seals(result)
    return 0 if result.is_intact else FINDING


def _public_keys(files: list[Path] | None) -> Keys:
    # Whoever names keys needs no settings: a machine of an auditor has none.
    keys = read_keys(key_files(files or load_settings().audit.public_keys))
    if not keys:
        raise MisuseError("no public key is known: name one with --key FILE, or in audit.public_keys")
    return keys


def _print_seals(result: SealVerification) -> None:
    print_table(
        ("PARTITION", "RECORDS", "SEALED", "NOT SEALED YET", "CHECKPOINTS", "SEALED UP TO"),
        [
            (one.partition, one.records, one.sealed, one.unsealed, one.checkpoints, one.time or "-")
            for one in result.partitions
        ],
    )
    for finding in result.findings:
        _print_finding(finding)
    if result.unlisted:
        say(f"and {result.unlisted} more")
    if result.repeated:
        say(f"{result.repeated} checkpoints stand there again after a crash, with the same bytes")
    if result.beside:
        say(f"{result.beside} checkpoints were made by a second sealer beside the first; they are true")
    if result.torn_lines:
        say(f"{result.torn_lines} lines of the checkpoints kept elsewhere are none, as a crash leaves them")
    unsealed = sum(one.unsealed for one in result.partitions)
    say(f"not sealed yet: {unsealed} records")
    say(f"seals: {'intact' if result.is_intact else 'BROKEN'}")


def _print_finding(finding: Finding) -> None:
    place = "" if finding.offset is None else f"@{finding.offset}"
    if finding.topic in (CHECKPOINTS, DECISIONS):
        where = f"{finding.topic}/{finding.partition}{place}"
    else:
        where = f"{finding.topic}, line {finding.offset}"
    say(f"{finding.kind} in {where}: {finding.text}")
    say(f"  {finding.advice}")
