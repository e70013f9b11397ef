"""The pure check of a signature: who signed this very digest, and nothing else counts."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.builders import digest
from tests.support.signing import Signer, payload_for, statement_for
from towline.errors import SettingsError
from towline.registry.signatures import STATEMENT_TYPE, Signature, load_key, read_bundle, signers

OURS = digest("ours")
KEYS = {kind: Signer.make(kind) for kind in ("ecdsa", "rsa", "ed25519")}
LOADED = {name: load_key(name, signer.pem) for name, signer in KEYS.items()}


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_good_signature_names_the_key_that_made_it_and_no_other(kind: str) -> None:
    assert signers(LOADED, OURS, [KEYS[kind].sign(payload_for(OURS))]) == (kind,)


def test_all_keys_that_signed_are_named_once_in_order() -> None:
    signatures = [KEYS[kind].sign(payload_for(OURS)) for kind in ("rsa", "ecdsa", "rsa")]
    assert signers(LOADED, OURS, signatures) == ("ecdsa", "rsa")


def truncated(signature: Signature) -> Signature:
    return replace(signature, signature_base64=signature.signature_base64[:-5])


def flipped(signature: Signature) -> Signature:
    raw = bytearray(base64.b64decode(signature.signature_base64))
    raw[-1] ^= 1
    return replace(signature, signature_base64=base64.b64encode(bytes(raw)).decode())


def tampered(signature: Signature) -> Signature:
    return replace(signature, payload=signature.payload.replace(b'"optional": null', b'"optional": {}'))


@pytest.mark.parametrize("kind", sorted(KEYS))
@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        flipped,
        tampered,
        lambda signature: replace(signature, signature_base64=""),
        lambda signature: replace(signature, signature_base64="not base64!"),
        lambda signature: replace(signature, signature_base64="\u00e9" * 8),
        lambda signature: replace(signature, signature_base64=signature.signature_base64 + "\n"),
    ],
)
def test_a_signature_that_is_spoilt_is_none(kind: str, spoil: Callable[[Signature], Signature]) -> None:
    good = KEYS[kind].sign(payload_for(OURS))
    assert spoil(good) != good
    assert signers(LOADED, OURS, [spoil(good)]) == ()


@pytest.mark.parametrize(
    "payload",
    [
        payload_for(digest("another image")),
        payload_for(OURS, "atomic container signature"),
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"critical": []}',
        b'{"critical": {"type": "cosign container image signature", "image": null}}',
        json.dumps({"critical": {"type": "cosign container image signature", "image": OURS}}).encode(),
        b"\xff\xfe",
    ],
)
def test_a_good_signature_on_a_payload_that_does_not_name_the_digest_is_none(payload: bytes) -> None:
    assert signers(LOADED, OURS, [signer.sign(payload) for signer in KEYS.values()]) == ()


def test_a_good_signature_of_a_key_that_is_not_configured_is_none() -> None:
    assert signers(LOADED, OURS, [Signer.make(kind).sign(payload_for(OURS)) for kind in KEYS]) == ()


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_signature_in_a_bundle_names_the_key_that_made_it(kind: str) -> None:
    assert signers(LOADED, OURS, read_bundle(KEYS[kind].bundle(statement_for(OURS)))) == (kind,)


@pytest.mark.parametrize(
    "bundle",
    [
        KEYS["ecdsa"].bundle(statement_for(digest("another image"))),
        KEYS["ecdsa"].bundle(statement_for(OURS, "https://slsa.dev/provenance/v1")),
        KEYS["ecdsa"].bundle(statement_for(OURS), "text/plain"),
        KEYS["ecdsa"].bundle(payload_for(OURS)),
        KEYS["ecdsa"].bundle(b'{"predicateType": "https://sigstore.dev/cosign/sign/v1", "subject": [{"digest": []}]}'),
        Signer.make().bundle(statement_for(OURS)),
        KEYS["ecdsa"].bundle(statement_for(OURS)).replace(b'"payloadType": "app', b'"payloadType": "App'),
        b"",
        b"[]",
        b'{"dsseEnvelope": null}',
        b'{"dsseEnvelope": {"payload": "e30=", "payloadType": 7, "signatures": [{"sig": "e30="}]}}',
        b'{"dsseEnvelope": {"payload": "!", "payloadType": "a", "signatures": []}}',
        b'{"messageSignature": {}}',
    ],
)
def test_a_bundle_that_does_not_sign_this_digest_as_an_image_is_none(bundle: bytes) -> None:
    assert signers(LOADED, OURS, read_bundle(bundle)) == ()


def test_a_signature_on_the_bare_payload_of_a_bundle_is_none() -> None:
    bare = replace(KEYS["ecdsa"].sign(statement_for(OURS)), payload_type=STATEMENT_TYPE)
    assert signers(LOADED, OURS, [bare]) == ()


def test_a_bad_signature_does_not_hide_a_good_one() -> None:
    good = KEYS["ecdsa"].sign(payload_for(OURS))
    assert signers(LOADED, OURS, [flipped(good), good, tampered(good)]) == ("ecdsa",)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\0"])
def test_what_is_no_public_key_is_refused_with_its_name(pem: bytes) -> None:
    with pytest.raises(SettingsError, match="key 'release' is not a public key"):
        load_key("release", pem)


def test_a_key_of_another_kind_is_refused_with_its_name() -> None:
    with pytest.raises(SettingsError, match="key 'release' is neither"):
        load_key("release", Signer.make("p384").pem)
