"""``towline audit key``, ``verify`` and ``prove``: the seals of the decisions."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from streams.audit.keeping import key_files
from streams.audit.keypair import make_key_pair
from streams.audit.prove import find_decision, prove
from streams.audit.sealed_slices import kept_within, problems_of
from streams.audit.verifier.checkpoints import Keys, read_keys
from streams.audit.verifier.findings import CHECKPOINTS, DECISIONS, Finding
from streams.audit.verifier.proof import ProofVerification, verify_proof
from streams.audit.verifier.verify import SealVerification, read_kept, verify_seals
from streams.cli.inputs import AsJson, SliceFile, read_file
from streams.cli.output import FINDING, fail, note, print_json, print_table, progress_bar, run, say
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


async def _verify(against: str | None, key: list[Path] | None, slice_file: Path | None, as_json: bool) -> int:
    keys = _keys(key)
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


def _keys(files: list[Path] | None) -> Keys:
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


async def _verify_proof(file: str, key: list[Path] | None, as_json: bool) -> int:
    result = verify_proof(read_file(file), _keys(key))
    if as_json:
        print_json({"proof": "holds" if result.problem is None else "broken", "details": _plain(result)})
    elif result.problem is None:
        say(
            f"record {result.index} of partition {result.partition} was sealed by checkpoint {result.number} over "
            f"{result.size} records, the last of which is of {result.time}"
        )
        say(result.value.decode(errors="replace"))
        say("proof: holds")
    else:
        say(result.problem)
        say("proof: BROKEN")
    return 0 if result.problem is None else FINDING


def _plain(result: ProofVerification) -> dict[str, object]:
    return {
        "problem": result.problem,
        "partition": result.partition,
        "index": result.index,
        "decision": result.value.decode(errors="replace"),
        "checkpoint": {"number": result.number, "size": result.size, "time": result.time},
    }


def prove_command(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="Its place, as audit trail has it, or its id.")],
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Print a proof that a decision was sealed, as JSON; whoever has the public key checks it without the log.

    Exit 1 when the log has no such decision, or no checkpoint covers it yet.
    """
    run(_prove(decision, slice_file, as_json))


async def _prove(decision: str, slice_file: Path | None, as_json: bool) -> int:
    async with reading(slice_file) as log:
        found = await find_decision(log, decision)
        proof = None if found is None else await prove(log, found)
    if proof is not None:
        if as_json:
            print_json(proof)
        else:
            say(orjson.dumps(proof, option=orjson.OPT_INDENT_2).decode())
        return 0
    if as_json:
        print_json({"decision": decision, "problem": "unknown" if found is None else "not sealed yet"})
    elif found is None:
        say(f"the log has no decision {decision}: audit trail REF lists those of a tag")
    else:
        say(f"decision {decision} is not sealed yet: no checkpoint covers record {found.index} of its partition")
    return FINDING
