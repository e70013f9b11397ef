"""Keys for tests of sealing, the same ones at every run, and small trees."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from towline.audit.checkpoints import SealingKey


def private_pem(name: str = "example") -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def sealing_key(name: str = "example") -> SealingKey:
    return SealingKey(private_pem(name))


def public_pem(name: str = "example") -> bytes:
    return sealing_key(name).public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
