"""``towline audit prove``, and ``verify --proof``: proofs that need no log."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streams.audit.prove import find_checkpoint, find_decision, prove, prove_between
from streams.audit.verifier.checkpoints import Statement
from streams.audit.verifier.proof import BetweenVerification, ProofVerification
from streams.cli.inputs import AsJson, SliceFile
from streams.cli.output import FINDING, fail, print_json, run, say
from streams.cli.source import reading
from towline.errors import MisuseError


def print_shown(result: ProofVerification | BetweenVerification, as_json: bool) -> int:
    """Print what a proof shows, or what is wrong with it; return the exit code."""
    holds = result.problem is None
    if as_json:
        print_json({"proof": "holds" if holds else "broken", "details": _plain(result)})
    else:
        say(_shown(result) if result.problem is None else result.problem)
        say(f"proof: {'holds' if holds else 'BROKEN'}")
    return 0 if holds else FINDING


def _shown(result: ProofVerification | BetweenVerification) -> str:
    if isinstance(result, BetweenVerification):
        first, second = result.first, result.second
        return (
            f"the {first.size} records of partition {first.partition} that checkpoint {first.number} sealed, the "
            f"last of which is of {first.time}, are the first of the {second.size} that checkpoint {second.number} "
            f"sealed, the last of which is of {second.time}"
        )
    said = result.checkpoint
    return (
        f"record {result.index} of partition {result.partition} was sealed by checkpoint {said.number} over "
        f"{said.size} records, the last of which is of {said.time}\n{result.value.decode(errors='replace')}"
    )


def _plain(result: ProofVerification | BetweenVerification) -> dict[str, object]:
    if isinstance(result, BetweenVerification):
        checkpoints = {"first": _plain_checkpoint(result.first), "second": _plain_checkpoint(result.second)}
        return {"problem": result.problem, "partition": result.first.partition, **checkpoints}
    return {
        "problem": result.problem,
        "partition": result.partition,
        "index": result.index,
        "decision": result.value.decode(errors="replace"),
        "checkpoint": _plain_checkpoint(result.checkpoint),
    }


def _plain_checkpoint(said: Statement) -> dict[str, object]:
    return {"number": said.number, "size": said.size, "time": said.time}


def prove_command(
    decision: Annotated[
        str | None, typer.Argument(metavar="DECISION", help="Its place, as audit trail has it, or its id.")
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="FIRST SECOND",
            help="Prove instead that the first checkpoint's records are the first of the second's. Each is named by "
            "its number in --partition, its place or its id.",
        ),
    ] = None,
    partition: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The partition in which --between counts its numbers.")
    ] = None,
    slice_file: SliceFile = None,
    as_json: AsJson = False,
) -> None:
    """Print a proof, as JSON, that a decision was sealed; whoever has the public key checks it without the log.

    With --between it proves that a checkpoint goes on from an earlier one: nothing was changed that was sealed before.

    Exit 1 when the log has no such decision or checkpoint, or no checkpoint covers the decision yet.
    """
    if between is not None and partition is None and any(name.isdecimal() for name in between):
        fail(MisuseError("numbers of checkpoints count within a partition: name it with --partition N"))
    if between is not None and decision is None:
        run(_prove_between(between, partition, slice_file, as_json))
    elif decision is not None and between is None and partition is None:
        run(_prove(decision, slice_file, as_json))
    else:
        fail(MisuseError("name a decision, or two checkpoints with --between FIRST SECOND; not both, and not neither"))


async def _prove(decision: str, slice_file: Path | None, as_json: bool) -> int:
    async with reading(slice_file) as log:
        found = await find_decision(log, decision)
        proof = None if found is None else await prove(log, found)
    if proof is not None:
        return _print_proof(proof, as_json)
    if as_json:
        print_json({"decision": decision, "problem": "unknown" if found is None else "not sealed yet"})
    elif found is None:
        say(f"the log has no decision {decision}: audit trail REF lists those of a tag")
    else:
        say(f"decision {decision} is not sealed yet: no checkpoint covers record {found.index} of its partition")
    return FINDING


async def _prove_between(
    between: tuple[str, str], partition: int | None, slice_file: Path | None, as_json: bool
) -> int:
    async with reading(slice_file) as log:
        first, second = [await find_checkpoint(log, name, partition) for name in between]
        if first is not None and second is not None:
            return _print_proof(await prove_between(log, first, second), as_json)
    unknown = between[0] if first is None else between[1]
    if as_json:
        print_json({"checkpoint": unknown, "problem": "unknown"})
    else:
        where = "the log" if partition is None else f"partition {partition}"
        say(f"{where} has no checkpoint {unknown}: audit trail --type checkpoint.sealed lists them")
    return FINDING


def _print_proof(proof: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(proof)
    else:
        say(orjson.dumps(proof, option=orjson.OPT_INDENT_2).decode())
    return 0
