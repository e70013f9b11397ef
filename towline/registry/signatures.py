"""Checking signatures of images as cosign makes them, without any I/O.

A signature signs a payload, and the payload names the digest. Both have to fit: a good signature on another image's
payload says nothing about this one. Two forms exist: *simple signing*, where the payload itself is signed, and since
cosign 3 a Sigstore bundle with a DSSE envelope around an in-toto statement.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from towline.errors import SettingsError

PAYLOAD_TYPE: Final = "cosign container image signature"

STATEMENT_TYPE: Final = "application/vnd.in-toto+json"
#: What an in-toto statement says when it is a signature on an image. Others are attestations, and sign no image.
SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as an image carries it: the payload that it signs, and itself in base64."""

    payload: bytes
    signature_base64: str
    #: The payload's type in a DSSE envelope, which is signed with it; None: simple signing.
    payload_type: str | None = None

    @property
    def signed(self) -> bytes:
        """The bytes that are signed: the payload, or DSSE's encoding of it with its type."""
        if self.payload_type is None:
            return self.payload
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


def read_bundle(content: bytes) -> list[Signature]:
    """Return the signatures in a Sigstore bundle with a DSSE envelope; none when it is not one."""
    try:
        envelope: Any = orjson.loads(content)["dsseEnvelope"]
        payload, kind = base64.b64decode(envelope["payload"], validate=True), envelope["payloadType"]
        texts = [signature["sig"] for signature in envelope["signatures"]]
    except (ValueError, KeyError, TypeError):
        return []
    if not isinstance(kind, str):
        return []
    return [Signature(payload, text, kind) for text in texts if isinstance(text, str)]


def load_key(name: str, pem: bytes) -> PublicKey:
    """Return a public key: ECDSA on P-256, RSA of at least 2048 bits, or Ed25519.

    Raises:
        SettingsError: the PEM holds none.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"key {name!r} is not a public key in PEM") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise SettingsError(f"key {name!r} is neither ECDSA on P-256, nor RSA of 2048 bits or more, nor Ed25519")


def signers(keys: Mapping[str, PublicKey], digest: str, signatures: Iterable[Signature]) -> tuple[str, ...]:
    """Return the names of the keys that signed ``digest``, sorted. A signature that is not good is none."""
    about = [signature for signature in signatures if _names(signature, digest)]
    return tuple(sorted(name for name, key in keys.items() if any(is_signed_by(key, signature) for signature in about)))


def _names(signature: Signature, digest: str) -> bool:
    try:
        document: Any = orjson.loads(signature.payload)
        if signature.payload_type is None:
            critical = document["critical"]
            return bool(critical["type"] == PAYLOAD_TYPE and critical["image"]["docker-manifest-digest"] == digest)
        if signature.payload_type != STATEMENT_TYPE or document["predicateType"] != SIGN_PREDICATE:
            return False
        algorithm, _, digits = digest.partition(":")
        return any(subject["digest"].get(algorithm) == digits for subject in document["subject"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False


def is_signed_by(key: PublicKey, signature: Signature) -> bool:
    """Tell whether a key made a signature, whatever it is about."""
    try:
        raw = base64.b64decode(signature.signature_base64, validate=True)
    except (binascii.Error, ValueError):
        return False
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(raw, signature.signed, ec.ECDSA(SHA256()))
            case rsa.RSAPublicKey():
                key.verify(raw, signature.signed, padding.PKCS1v15(), SHA256())
            case _:
                key.verify(raw, signature.signed)
    except InvalidSignature:
        return False
    return True
