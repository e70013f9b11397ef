"""The keys that an issuer of tokens publishes, asked for when they are needed and kept for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import jwt

from towline import limits
from towline.dialects.jsonbytes import read_object
from towline.errors import InfrastructureError, UnusableInputError
from towline.net.egress.client import GuardedClient
from towline.net.egress.guard import Egress

#: Keys of a set; issuers have two or three.
_KEY_COUNT: Final = 64

Fetch = Callable[[], Awaitable[bytes]]
"""Returns a JWK set. Raises InfrastructureError when it cannot be had."""


class KeysUnavailableError(InfrastructureError):
    """The issuer's keys cannot be had, so that nobody can tell whether a token is its own."""

    retryable = True


def fetch_from(url: str, egress: Egress) -> Fetch:
    """Return what fetches the keys at ``url``, to which the settings send us, whatever its address."""
    allowed = egress.with_server(url)

    async def fetch() -> bytes:
        async with GuardedClient(allowed) as client:
            reply = await client.send("GET", url, deadline_seconds=limits.connect_timeout_seconds)
        if reply.status != 200:
            raise KeysUnavailableError(f"the keys are answered with {reply.status}")
        return reply.body

    return fetch


class SigningKeys:
    """Keys by their ids. ``monotonic`` returns seconds that never go back."""

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._quiet_until = float("-inf")
        self._fetching = asyncio.Lock()

    async def key_of(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of that id, None when the issuer has none.

        Raises:
            KeysUnavailableError: the issuer cannot be asked, and was not for long.
        """
        if not self._is_fresh() or key_id not in self._keys:
            async with self._fetching:
                # Another one that waited for the same may have brought it.
                if (not self._is_fresh() or key_id not in self._keys) and self._monotonic() >= self._quiet_until:
                    await self._refresh()
        if self._age() > limits.signing_keys_kept_seconds:
            raise KeysUnavailableError("the keys of the issuer cannot be had")
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    def _is_fresh(self) -> bool:
        return self._age() <= limits.signing_keys_fresh_seconds

    async def _refresh(self) -> None:
        try:
            keys = _read(await self._fetch())
        except InfrastructureError:
            self._quiet_until = self._monotonic() + limits.signing_keys_retry_seconds
            return
        self._keys, self._fetched_at = keys, self._monotonic()
        self._quiet_until = self._fetched_at + limits.signing_keys_pause_seconds


def _read(body: bytes) -> dict[str, jwt.PyJWK]:
    try:
        found = read_object(body).get("keys")
    except UnusableInputError as error:
        raise KeysUnavailableError("what is published as keys is no JSON object") from error
    if not isinstance(found, list):
        raise KeysUnavailableError("what is published as keys has no keys")
    return {key.key_id: key for key in map(_key, found[:_KEY_COUNT]) if key is not None and key.key_id is not None}


def _key(value: Any) -> jwt.PyJWK | None:
    """Return a key, None when it is of a kind that is not for us."""
    if not isinstance(value, dict) or value.get("kty") not in {"RSA", "EC"} or value.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK.from_dict(value)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
