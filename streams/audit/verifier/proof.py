"""Proofs that need no log: that one decision was sealed, and that one checkpoint goes on from another."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from streams.audit.verifier.checkpoints import Keys, NoCheckpointError, Statement, read_checkpoint
from streams.audit.verifier.findings import DECISIONS
from streams.audit.verifier.hashing import begins_with, leaf_of, root_from
from streams.log import LogRecord
from towline.errors import MisuseError

_UNLIKE_CHECKPOINT = "the text that it names is not the one that its checkpoint has"


@dataclass(frozen=True, slots=True)
class ProofVerification:
    """What a proof of one decision shows."""

    #: What is wrong with it; None when it holds.
    problem: str | None
    #: The record whose place it shows.
    partition: int
    index: int
    #: The record's value: the decision.
    value: bytes
    #: The checkpoint that covers it.
    checkpoint: Statement


@dataclass(frozen=True, slots=True)
class BetweenVerification:
    """What a proof between two checkpoints shows: all that the first sealed is the beginning of what the second did."""

    #: What is wrong with it; None when it holds.
    problem: str | None
    first: Statement
    second: Statement


def verify_proof(content: bytes, keys: Keys) -> ProofVerification | BetweenVerification:
    """Check a proof, of either kind.

    Of a decision: the record's bytes lead to the leaf, the leaf by its path to the root, and the root is signed.
    Between two checkpoints: both roots are signed, and one path leads to both.

    Raises:
        MisuseError: this is no proof.
    """
    try:
        proof = json.loads(content)
        path = [bytes.fromhex(node) for node in proof["path"]]
        return _verify_between(proof, path, keys) if "second" in proof else _verify_decision(proof, path, keys)
    except NoCheckpointError as error:
        raise MisuseError(f"its checkpoint: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
        raise MisuseError(f"this is no proof of towline audit prove ({type(error).__name__})") from None


def _verify_decision(proof: dict[str, Any], path: list[bytes], keys: Keys) -> ProofVerification:
    record, index, named = _record(proof["record"]), proof["index"], proof["leaf"]
    said, problem = _signed(proof, keys)
    if type(index) is not int:
        raise TypeError("an index")
    leaf = leaf_of(record)
    if problem is None and root_from(leaf, index, said.size, path) != said.root:
        problem = "the record and its path do not lead to the root that was signed: one of them was changed"
    if problem is None and named != leaf.hex():
        problem = "the leaf that it names is not the one that its record has"
    return ProofVerification(problem, said.partition, index, record.value or b"", said)


def _verify_between(proof: dict[str, Any], path: list[bytes], keys: Keys) -> BetweenVerification:
    (first, wrong_first), (second, wrong_second) = (_signed(proof[name], keys) for name in ("first", "second"))
    problem = wrong_first or wrong_second
    if problem is None and first.partition != second.partition:
        problem = f"its checkpoints are of two partitions, {first.partition} and {second.partition}"
    if problem is None and not begins_with((first.size, first.root), (second.size, second.root), path):
        problem = (
            "the path does not lead to both roots that were signed: it was changed, or the second checkpoint was not "
            "made over the records of the first"
        )
    return BetweenVerification(problem, first, second)


def _signed(told: dict[str, Any], keys: Keys) -> tuple[Statement, str | None]:
    """Return what a checkpoint in a proof says, and why it does not count."""
    said = read_checkpoint(_canonical(told["checkpoint"]))
    if said.key_id not in keys:
        return said, f"its checkpoint is signed with the key {said.key_id}, which was not given: name it with --key"
    if not said.is_signed(keys):
        return said, "the signature of its checkpoint is wrong"
    return said, None if told["checkpoint_text"] == said.text.decode() else _UNLIKE_CHECKPOINT


def _record(told: dict[str, Any]) -> LogRecord:
    key, value = (None if told[name] is None else _bytes(told[name]) for name in ("key_base64", "value_base64"))
    headers = tuple((str(name), _bytes(content)) for name, content in told["headers"])
    return LogRecord(DECISIONS, told["partition"], told["offset"], key, value, headers, int(told["timestamp_ms"]))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
