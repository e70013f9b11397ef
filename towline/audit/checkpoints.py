"""Checkpoints made and read: the text that stands for one, and the Ed25519 signature under it.

The text has the form in which transparency logs publish theirs (C2SP tlog-checkpoint): origin, size, root in base64,
then lines of our own. It is signed as it is (RFC 8032), so that tools for signed notes can check the signature too.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from schemas.canonical import sha256_hex
from schemas.checkpoints import Checkpoint
from schemas.envelope import Envelope
from towline.errors import SettingsError
from towline.private_keys import load_private_key

SOURCE: Final = "towline/sealer"
TOPIC: Final = "towline.decisions"

PublicKeys = Mapping[str, Ed25519PublicKey]
"""The keys that count, by their ids."""


class SealingKey:
    """The key that checkpoints are signed with.

    Raises:
        SettingsError: the PEM holds no Ed25519 private key without a passphrase. The text never has the PEM.
    """

    def __init__(self, pem: bytes) -> None:
        key = load_private_key(pem, "audit.key")
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError("audit.key is not an Ed25519 key")
        self._key = key
        self.public = key.public_key()
        self.id = key_id(self.public)

    def sign(self, members: Mapping[str, Any], time: str) -> Envelope[Checkpoint]:
        """Return a checkpoint, signed, from all of its members but those that name the key and have the signature.

        Equal members have equal bytes: nothing about an Ed25519 signature is random.
        """
        named = {**members, "key_id": self.id}
        text = text_of(named, time)
        signature = base64.b64encode(self._key.sign(text)).decode()
        data = Checkpoint(**named, signature_base64=signature)
        return Envelope(sha256_hex(text), SOURCE, subject_of(data), time, data)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a key: the SHA-256 of its 32 bytes."""
    return sha256_hex(key.public_bytes_raw())


def load_public_keys(files: Iterable[tuple[str, bytes]]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 public keys in PEM files, given with their names, by their ids.

    Raises:
        SettingsError: a file holds none.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    for name, pem in files:
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise SettingsError(f"{name}: no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError(f"{name}: not an Ed25519 key")
        keys[key_id(key)] = key
    return keys


def subject_of(checkpoint: Checkpoint) -> str:
    """Return what a checkpoint is about, for people."""
    return f"{checkpoint.topic}/{checkpoint.partition}"


def text_of(members: Mapping[str, Any], time: str) -> bytes:
    """Return the text that is signed, from the members of a checkpoint and the time of its envelope."""
    leaves = sha256_hex(b"".join(bytes.fromhex(leaf) for leaf in members["leaves"]))
    lines = (
        f"{members['topic']}/{members['partition']}",
        str(members["size"]),
        base64.b64encode(bytes.fromhex(members["root"])).decode(),
        f"number {members['number']}",
        f"previous {members['previous'] or '-'}",
        f"last-offset {members['last_offset']}",
        f"leaves {len(members['leaves'])} {leaves}",
        f"time {time}",
        f"key {members['key_id']}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def is_genuine(checkpoint: Envelope[Checkpoint], keys: PublicKeys) -> bool:
    """Tell whether one of these keys signed a checkpoint."""
    data = checkpoint.data
    text = text_of(data.model_dump(), checkpoint.time)
    key = keys.get(data.key_id)
    if key is None or checkpoint.id != sha256_hex(text):
        return False
    try:
        key.verify(base64.b64decode(data.signature_base64), text)
    except InvalidSignature:
        return False
    return True
