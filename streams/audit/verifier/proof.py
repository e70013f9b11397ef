"""A proof that one decision was sealed, checked without any log."""

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from streams.audit.verifier.checkpoints import Keys, NoCheckpointError, Statement, read_checkpoint
from streams.audit.verifier.findings import DECISIONS
from streams.audit.verifier.hashing import leaf_of, root_from
from streams.log import LogRecord
from towline.errors import MisuseError


@dataclass(frozen=True, slots=True)
class ProofVerification:
    """What a proof shows."""

    #: What is wrong with it; None when it holds.
    problem: str | None
    #: The record whose place it shows.
    partition: int
    index: int
    #: The record's value: the decision.
    value: bytes
    #: The checkpoint that covers it.
    number: int
    size: int
    time: str


def verify_proof(content: bytes, keys: Keys) -> ProofVerification:
    """Check a proof: the record's bytes lead to the leaf, the leaf by its path to the root, and the root is signed.

    Raises:
        MisuseError: this is no proof.
    """
    try:
        proof = json.loads(content)
        record, index = _record(proof["record"]), proof["index"]
        path = [bytes.fromhex(node) for node in proof["path"]]
        said = read_checkpoint(_canonical(proof["checkpoint"]))
        named = proof["leaf"], proof["checkpoint_text"], proof["checkpoint"]["id"]
        if type(index) is not int:
            raise TypeError("an index")
    except NoCheckpointError as error:
        raise MisuseError(f"its checkpoint: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
        raise MisuseError(f"this is no proof of towline audit prove ({type(error).__name__})") from None
    leaf = leaf_of(record)
    problem = _problem(leaf, index, path, said, keys)
    if problem is None and named != (leaf.hex(), said.text.decode(), sha256(said.text).hexdigest()):
        problem = "the leaf or the text that it names is not the one that its record and its checkpoint have"
    return ProofVerification(problem, said.partition, index, record.value or b"", said.number, said.size, said.time)


def _problem(leaf: bytes, index: int, path: list[bytes], said: Statement, keys: Keys) -> str | None:
    if said.key_id not in keys:
        return f"its checkpoint is signed with the key {said.key_id}, which was not given: name it with --key"
    if not said.is_signed(keys):
        return "the signature of its checkpoint is wrong"
    if root_from(leaf, index, said.size, path) != said.root:
        return "the record and its path do not lead to the root that was signed: one of them was changed"
    return None


def _record(told: dict[str, Any]) -> LogRecord:
    key, value = (None if told[name] is None else _bytes(told[name]) for name in ("key_base64", "value_base64"))
    headers = tuple((str(name), _bytes(content)) for name, content in told["headers"])
    return LogRecord(DECISIONS, told["partition"], told["offset"], key, value, headers, int(told["timestamp_ms"]))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
