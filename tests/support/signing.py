"""Keys, and signatures as cosign makes and stores them."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.descriptors import OCI_INDEX, Descriptor
from tests.support.images import entry, push_manifest_of
from towline.registry import RegistryClient
from towline.registry.cosign import PAYLOAD_MEDIA_TYPE, SIGNATURE_ANNOTATION
from towline.registry.images import push_blob, push_manifest
from towline.registry.referrers import fallback_tag, read_fallback
from towline.registry.signatures import PAYLOAD_TYPE, SIGN_PREDICATE, STATEMENT_TYPE, Signature

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class Signer:
    private: Any

    @classmethod
    def make(cls, kind: str = "ecdsa") -> "Signer":
        match kind:
            case "ecdsa":
                return cls(ec.generate_private_key(ec.SECP256R1()))
            case "rsa":
                return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))
            case "ed25519":
                return cls(ed25519.Ed25519PrivateKey.generate())
            case "p384":
                return cls(ec.generate_private_key(ec.SECP384R1()))
        raise AssertionError(kind)

    @property
    def pem(self) -> bytes:
        public = self.private.public_key()
        return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    @property
    def private_pem(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, payload: bytes) -> Signature:
        return Signature(payload, base64.b64encode(self._raw(payload)).decode())

    def bundle(self, payload: bytes, payload_type: str = STATEMENT_TYPE) -> bytes:
        """A Sigstore bundle as cosign 3 makes it with a key, its signature over the DSSE encoding of the payload."""
        signed = f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"sig": base64.b64encode(self._raw(signed)).decode()}],
        }
        return json.dumps({"mediaType": BUNDLE, "verificationMaterial": {}, "dsseEnvelope": envelope}).encode()

    def _raw(self, message: bytes) -> bytes:
        match self.private:
            case ec.EllipticCurvePrivateKey():
                return bytes(self.private.sign(message, ec.ECDSA(SHA256())))
            case rsa.RSAPrivateKey():
                return bytes(self.private.sign(message, padding.PKCS1v15(), SHA256()))
            case _:
                return bytes(self.private.sign(message))


def statement_for(digest: str, predicate_type: str = SIGN_PREDICATE) -> bytes:
    algorithm, _, digits = digest.partition(":")
    subject = [{"digest": {algorithm: digits}, "annotations": {}}]
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicate_type}
    return json.dumps({**statement, "predicate": {}}).encode()


def payload_for(digest: str, type_: str = PAYLOAD_TYPE) -> bytes:
    identity = {"docker-reference": "registry.example/dev/app"}
    critical = {"identity": identity, "image": {"docker-manifest-digest": digest}, "type": type_}
    return json.dumps({"critical": critical, "optional": None}).encode()


async def push_signatures(
    client: RegistryClient,
    repository: str,
    subject: Descriptor,
    /,
    *signatures: Signature,
    tag: str | None = None,
    **members: Any,
) -> Descriptor:
    """Push signatures under cosign's tag of the subject, or another one."""
    layers = []
    for signature in signatures:
        blob = await push_blob(client, repository, signature.payload, PAYLOAD_MEDIA_TYPE)
        layers.append(entry(blob, annotations={SIGNATURE_ANNOTATION: signature.signature_base64}))
    tag = tag or f"{fallback_tag(subject.digest)}.sig"
    return await push_manifest_of(client, repository, tag, [], **{"layers": layers, **members})


async def attach(
    client: RegistryClient, repository: str, subject: Descriptor, content: bytes, media_type: str, **members: Any
) -> Descriptor:
    """Push an artifact about ``subject`` as clients do: listed under the fallback tag where the registry lists none."""
    layer = await push_blob(client, repository, content, media_type)
    made = await push_manifest_of(
        client, repository, "attached", [layer], subject=entry(subject), artifactType=media_type, **members
    )
    if await client.list_referrers(repository, subject.digest) is None:
        listed = await read_fallback(client, repository, subject.digest)
        before = json.loads(listed.content)["manifests"] if listed else []
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*before, entry(made)]}
        await push_manifest(client, repository, fallback_tag(subject.digest), json.dumps(index).encode(), OCI_INDEX)
    return made
