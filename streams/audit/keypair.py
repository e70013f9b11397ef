"""Making the key pair that checkpoints are signed with."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from towline.errors import MisuseError


def make_key_pair(file: Path) -> Path:
    """Write a new Ed25519 key as PEM into ``file``, which only its owner may read, and its public key beside it.

    Returns:
        The file of the public key: the same name with ``.pub`` after it.

    Raises:
        MisuseError: one of the files is there already, or cannot be written. A key that is there is never replaced:
            what it signed could not be verified any more.
    """
    key, public = Ed25519PrivateKey.generate(), Path(f"{file}.pub")
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for there in (file, public):
        if there.exists():
            raise _is_there(there)
    # The public key first: a private one that is there is then never without it.
    _write_new(public, public_pem, 0o644)
    _write_new(file, private_pem, 0o600)
    return public


def _is_there(file: Path) -> MisuseError:
    return MisuseError(f"{file} is there already: choose another name")


def _write_new(file: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise _is_there(file) from None
    except OSError as error:
        raise MisuseError(f"cannot write {file}: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
