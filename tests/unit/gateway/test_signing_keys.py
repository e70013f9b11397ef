"""The keys of an issuer are kept, refreshed for an unknown one rarely, and outlive an outage of the issuer."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.gateway.signing_keys import KeysUnavailableError, SigningKeys, fetch_from
from streams.serving import serving
from tests.unit.senders.test_tokens import jwk_of
from towline import limits
from towline.errors import InfrastructureError
from towline.net.egress.guard import Egress

ONE = jwk_of(ec.generate_private_key(ec.SECP256R1()), "one")
TWO = jwk_of(rsa.generate_private_key(public_exponent=65537, key_size=2048), "two")


class Issuer:
    """An issuer that counts how often it is asked, and a clock."""

    def __init__(self, *keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()
        self.is_away = False
        self.asked = 0
        self.now = 1000.0
        self.keys = SigningKeys(self.fetch, lambda: self.now)

    async def fetch(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise InfrastructureError("away")
        return self.body

    def publish(self, *keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()


async def test_keys_are_asked_for_once_and_kept() -> None:
    issuer = Issuer(ONE, TWO)
    assert issuer.asked == 0
    found = await asyncio.gather(*(issuer.keys.key_of(name) for name in ("one", "two") * 20))
    assert {key.key_id for key in found if key is not None} == {"one", "two"}
    issuer.now += limits.signing_keys_fresh_seconds
    assert await issuer.keys.key_of("one") is not None
    assert issuer.asked == 1


async def test_an_unknown_key_is_asked_for_once_a_minute_at_most() -> None:
    issuer = Issuer(ONE)
    await issuer.keys.key_of("one")
    for number in range(1000):
        assert await issuer.keys.key_of(f"made up {number}") is None
    assert issuer.asked == 1
    issuer.publish(ONE, TWO)
    issuer.now += limits.signing_keys_pause_seconds
    assert await issuer.keys.key_of("two") is not None
    assert issuer.asked == 2


async def test_a_key_that_was_taken_back_does_not_count_for_long() -> None:
    issuer = Issuer(ONE, TWO)
    await issuer.keys.key_of("one")
    issuer.publish(TWO)
    issuer.now += limits.signing_keys_fresh_seconds + 1
    assert await issuer.keys.key_of("one") is None


async def test_an_issuer_that_is_away_is_bridged_for_a_day() -> None:
    issuer = Issuer(ONE)
    await issuer.keys.key_of("one")
    issuer.is_away = True
    issuer.now += limits.signing_keys_kept_seconds
    assert await issuer.keys.key_of("one") is not None
    issuer.now += 1
    with pytest.raises(KeysUnavailableError):
        await issuer.keys.key_of("one")
    issuer.is_away = False
    issuer.now += limits.signing_keys_retry_seconds
    assert await issuer.keys.key_of("one") is not None


async def test_an_issuer_that_is_away_is_not_asked_all_the_time() -> None:
    issuer = Issuer(ONE)
    issuer.is_away = True
    for _ in range(100):
        with pytest.raises(KeysUnavailableError):
            await issuer.keys.key_of("one")
    assert issuer.asked == 1
    issuer.now += limits.signing_keys_retry_seconds
    issuer.is_away = False
    assert await issuer.keys.key_of("one") is not None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b'{"keys": [], "keys": []}', b"[" * 100_000]
)
async def test_what_is_no_set_of_keys_is_no_answer(body: bytes) -> None:
    issuer = Issuer()
    issuer.body = body
    with pytest.raises(KeysUnavailableError):
        await issuer.keys.key_of("one")


async def test_keys_that_are_not_for_signatures_of_ours_are_left_out() -> None:
    symmetric = {"kty": "oct", "k": "AAAA", "kid": "secret", "alg": "HS256"}
    others = [symmetric, {**TWO, "kid": "use", "use": "enc"}, {**TWO, "kid": "cut", "n": "!"}, {"kty": "RSA"}, 5, None]
    nameless = {name: value for name, value in TWO.items() if name != "kid"}
    issuer = Issuer(*others, nameless, ONE)
    for name in ("secret", "use", "cut"):
        assert await issuer.keys.key_of(name) is None
    assert await issuer.keys.key_of("one") is not None


async def test_a_flood_of_keys_is_cut_off() -> None:
    issuer = Issuer(*[{**ONE, "kid": str(number)} for number in range(100)])
    assert await issuer.keys.key_of("0") is not None
    assert await issuer.keys.key_of("99") is None


@pytest.fixture
def answering() -> Callable[[int, bytes], Starlette]:
    def app(status: int, body: bytes) -> Starlette:
        async def answer(_: Request) -> Response:
            return Response(body, status_code=status, headers={"Location": "/keys"})

        return Starlette(routes=[Route("/keys", answer)])

    return app


async def test_keys_come_from_the_address_of_the_settings(answering: Callable[[int, bytes], Starlette]) -> None:
    body = json.dumps({"keys": [ONE]}).encode()
    async with serving(answering(200, body)) as url:
        keys = SigningKeys(fetch_from(f"{url}/keys", Egress()), lambda: 0.0)
        assert await keys.key_of("one") is not None


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"{}"), (404, b"{}"), (302, b"{}"), (200, b" " * (limits.reply_bytes + 1))]
)
async def test_any_other_answer_has_no_keys(
    answering: Callable[[int, bytes], Starlette], status: int, body: bytes
) -> None:
    async with serving(answering(status, body)) as url:
        with pytest.raises(InfrastructureError):
            await fetch_from(f"{url}/keys", Egress())()
