"""Checkpoints, read from their bytes alone.

A sealer writes canonical JSON (RFC 8785) of a fixed shape. The shape is built anew here from what was read: equal bytes
mean that not a bit is other than what the signature and the shape allow.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.audit.verifier.findings import DECISIONS
from streams.audit.verifier.hashing import HASH_BYTES
from towline.errors import MisuseError

Keys = Mapping[str, Ed25519PublicKey]
"""The public keys that count, by the SHA-256 of their 32 bytes."""

_NUMBERS: Final = ("partition", "number", "size", "last_offset")
_HASHES: Final = ("root", "key_id")
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint says. Whether its signature is right is another question."""

    id: str
    text: bytes
    signature: bytes
    key_id: str
    time: str
    partition: int
    number: int
    previous: str | None
    size: int
    root: bytes
    #: Where the last record that it covers stood when it was sealed.
    last_offset: int
    #: The leaf hashes of the records that the checkpoints before it do not cover, one after the other: 32 bytes each.
    leaves: bytes

    @property
    def first(self) -> int:
        """The index of the first of these records."""
        return self.size - len(self.leaves) // HASH_BYTES

    def is_signed(self, keys: Keys) -> bool:
        """Tell whether the key that it names, one of these, signed it."""
        try:
            keys[self.key_id].verify(self.signature, self.text)
        except (KeyError, InvalidSignature):
            return False
        return True


class NoCheckpointError(ValueError):
    """Bytes that no sealer wrote; the text says why."""


def read_keys(files: Iterable[tuple[str, bytes]]) -> dict[str, Ed25519PublicKey]:
    """Return the public keys in PEM files, given with their names, by their ids.

    Raises:
        MisuseError: a file has no Ed25519 public key.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    for name, pem in files:
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise MisuseError(f"{name}: no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise MisuseError(f"{name}: the key is not of the kind Ed25519")
        keys[sha256(key.public_bytes_raw()).hexdigest()] = key
    return keys


def read_checkpoint(value: bytes) -> Statement:
    """Return what the bytes of a checkpoint say.

    Raises:
        NoCheckpointError: no sealer wrote these bytes.
    """
    try:
        envelope = json.loads(value)
        data, time = envelope["data"], envelope["time"]
        _check_shape(data, time)
        statement = _statement(data, time)
        spelled = _spelled(data, statement)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise NoCheckpointError(f"it is no checkpoint ({type(error).__name__})") from None
    if spelled != value:
        raise NoCheckpointError("its bytes are not those that a sealer writes")
    return statement


def _check_shape(data: Any, time: Any) -> None:
    numbers = [data[name] for name in _NUMBERS]
    hashes = [data[name] for name in _HASHES] + data["leaves"] + [data["previous"] or "0" * 64]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a number")
    if any(type(text) is not str or len(text) != 64 or not _HEX.issuperset(text) for text in hashes):
        raise ValueError("a hash")
    if type(time) is not str or "\n" in time or not 0 < len(data["leaves"]) <= data["size"]:
        raise ValueError("a shape")


def _statement(data: dict[str, Any], time: str) -> Statement:
    leaves = bytes.fromhex("".join(data["leaves"]))
    root = bytes.fromhex(data["root"])
    lines = [
        f"{DECISIONS}/{data['partition']}",
        str(data["size"]),
        base64.b64encode(root).decode(),
        f"number {data['number']}",
        f"previous {data['previous'] or '-'}",
        f"last-offset {data['last_offset']}",
        f"leaves {len(data['leaves'])} {sha256(leaves).hexdigest()}",
        f"time {time}",
        f"key {data['key_id']}",
    ]
    text = ("\n".join(lines) + "\n").encode()
    return Statement(
        id=sha256(text).hexdigest(),
        text=text,
        signature=base64.b64decode(data["signature_base64"], validate=True),
        key_id=data["key_id"],
        time=time,
        partition=data["partition"],
        number=data["number"],
        previous=data["previous"],
        size=data["size"],
        root=root,
        last_offset=data["last_offset"],
        leaves=leaves,
    )


def _spelled(data: dict[str, Any], said: Statement) -> bytes:
    members = ("partition", "number", "previous", "size", "root", "last_offset", "leaves", "key_id")
    document = {
        "specversion": "1.0",
        "id": said.id,
        "source": "towline/sealer",
        "type": "checkpoint.sealed",
        "version": 1,
        "subject": f"{DECISIONS}/{said.partition}",
        "time": said.time,
        "datacontenttype": "application/json",
        "data": {
            **{name: data[name] for name in members},
            "topic": DECISIONS,
            "signature_base64": base64.b64encode(said.signature).decode(),
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
