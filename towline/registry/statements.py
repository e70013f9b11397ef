"""What an attestation says, and the signature under it; without any I/O.

The statement is in-toto's (attestation framework, Statement v1) with a predicate of our own. It is signed in a DSSE
envelope, which is kept as a Sigstore bundle (v0.3) with a key instead of a certificate, as cosign reads it. The same
command makes the same bytes: nothing of it is the moment or chance.
"""

import base64
import hashlib
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.canonical import canonical_bytes
from schemas.commands import CopyImage
from towline.errors import SettingsError
from towline.private_keys import load_private_key
from towline.registry.signatures import STATEMENT_TYPE, Signature

PREDICATE_TYPE: Final = "urn:towline:decision:v1"
"""What our statements tell: which decision put an image where."""

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"

_OTHER_KEY: Final = "attestation.key is neither ECDSA on P-256 nor Ed25519"


class AttestingKey:
    """The key that attestations are signed with: ECDSA on P-256, or Ed25519.

    Raises:
        SettingsError: the PEM holds no such private key without a passphrase. The text never has the PEM.
    """

    def __init__(self, pem: bytes) -> None:
        key = load_private_key(pem, "attestation.key")
        if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, ec.SECP256R1):
            raise SettingsError(_OTHER_KEY)
        if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise SettingsError(_OTHER_KEY)
        self._key = key
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        #: By which a verifier knows the key: the SHA-256 of its DER, in base64.
        self.hint = base64.b64encode(hashlib.sha256(public).digest()).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message; equal messages have equal ones (RFC 6979, RFC 8032)."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
        return self._key.sign(message)


def statement(command: CopyImage, digest: str) -> bytes:
    """Return what is attested of a command, about what its target tag is to have.

    ``digest`` differs from the commanded one where the registry takes only the wanted platforms of an index.
    """
    algorithm, _, digits = digest.partition(":")
    predicate: dict[str, Any] = {
        "decision": command.decision_id,
        "policy": command.policy,
        "source": str(command.source),
        "sourceDigest": command.digest,
        "target": str(command.target),
        "hops": command.hops,
        "pushedBy": command.pushed_by,
    }
    return canonical_bytes(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": str(command.target.repository), "digest": {algorithm: digits}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
    )


def bundle(key: AttestingKey, payload: bytes) -> bytes:
    """Return a statement with its signature, as it is kept."""
    signed = Signature(payload, "", STATEMENT_TYPE).signed
    return canonical_bytes(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": STATEMENT_TYPE,
                "signatures": [{"sig": base64.b64encode(key.sign(signed)).decode()}],
            },
        }
    )
