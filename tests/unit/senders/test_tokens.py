"""Senders that show a token of their platform (S07): signed by its key, for us, of that account, in time."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.senders.heads import accepts, head
from towline.senders.tokens import IdentityToken

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
ISSUER, AUDIENCE, EMAIL = "https://accounts.google.com", "towline", "towline@project.iam.gserviceaccount.com"


def jwk_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return {**jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True), "kid": key_id, "use": "sig", "alg": "RS256"}
    return {**jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True), "kid": key_id, "use": "sig", "alg": "ES256"}


KEYS = {"rsa": jwt.PyJWK.from_dict(jwk_of(RSA, "rsa")), "curve": jwt.PyJWK.from_dict(jwk_of(CURVE, "curve"))}


async def key_of(key_id: str) -> jwt.PyJWK | None:
    return KEYS.get(key_id)


SCHEME = IdentityToken(ISSUER, AUDIENCE, EMAIL, key_of, 60)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
        "sub": "1",
        **changes,
    }
    # Moments are given from now: tests are collected once and run later.
    made |= {name: now + made[name] for name in {"exp", "iat", "nbf"} & changes.keys() if isinstance(made[name], int)}
    return {name: value for name, value in made.items() if value is not None}


def token(said: Mapping[str, Any], *, key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode(dict(said), key, algorithm=algorithm, headers={"kid": "rsa", **header})


async def is_accepted(text: str) -> bool:
    return await accepts(SCHEME, head(("authorization", f"Bearer {text}")))


@pytest.mark.parametrize("changes", [{}, {"aud": ["other", AUDIENCE]}, {"exp": -20}, {"iat": 20}], ids=str)
async def test_a_token_of_the_account_for_us_counts(changes: dict[str, Any]) -> None:
    assert await is_accepted(token(claims(**changes)))
    assert await is_accepted(token(claims(**changes), key=CURVE, algorithm="ES256", kid="curve"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://accounts.google.com.evil.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"email": "other@project.iam.gserviceaccount.com"},
        {"email": EMAIL.upper()},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"exp": -600},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 600},
        {"iat": None},
        {"nbf": 600},
    ],
    ids=str,
)
async def test_a_token_that_says_anything_else_does_not(changes: dict[str, Any]) -> None:
    # Encoded by hand: the library refuses to write some of these.
    signer = jwt.PyJWS()
    text = signer.encode(json.dumps(claims(**changes)).encode(), RSA, algorithm="RS256", headers={"kid": "rsa"})
    assert not await is_accepted(text)


def unsigned(algorithm: str) -> str:
    parts = [{"alg": algorithm, "kid": "rsa", "typ": "JWT"}, claims()]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def symmetric() -> str:
    """Signed with the published key as if it were a secret."""
    published = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = unsigned("HS256").rstrip(".")
    made = base64.urlsafe_b64encode(hmac.digest(published, text.encode(), "sha256")).decode().rstrip("=")
    return f"{text}.{made}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no JSON"),
        pytest.param("..", id="only dots"),
        pytest.param("\u00e9", id="no ASCII"),
        pytest.param(unsigned("none"), id="none"),
        pytest.param(unsigned("None"), id="None"),
        pytest.param(unsigned("RS256"), id="no signature"),
        pytest.param(symmetric(), id="symmetric"),
        pytest.param(token(claims(), key=OTHER), id="another's key"),
        pytest.param(token(claims(), kid="unknown"), id="unknown key"),
        pytest.param(token(claims(), kid=""), id="no key's name"),
        pytest.param(token(claims(), kid="curve"), id="a curve's name"),
        pytest.param(token(claims(), algorithm="RS512"), id="RS512"),
        pytest.param(token(claims(), algorithm="PS256"), id="PS256"),
        pytest.param(token(claims(), key=CURVE, algorithm="ES256", kid="rsa"), id="a curve for RSA"),
        pytest.param(token(claims(), crit=["b64"], b64=True), id="critical member"),
        pytest.param(token(claims()) + "x", id="one character more"),
        pytest.param(token(claims())[:-4], id="cut"),
        pytest.param(token(claims(more="x" * 8192)), id="huge"),
        pytest.param(jwt.encode(claims(), RSA, algorithm="RS256"), id="no key id"),
    ],
)
async def test_a_token_that_is_not_signed_as_it_must_be_does_not(text: str) -> None:
    assert not await is_accepted(text)


async def test_a_token_elsewhere_does_not_count() -> None:
    text = token(claims())
    assert not await accepts(SCHEME, head())
    assert not await accepts(SCHEME, head(("authorization", text)))
    assert not await accepts(SCHEME, head(("authorization", f"Basic {text}")))
    assert not await accepts(SCHEME, head(("authorization", f"Bearer {text}"), ("authorization", f"Bearer {text}")))
