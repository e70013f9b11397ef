"""Access to a registry: basic and bearer authentication, as its challenges ask for them."""

import asyncio
import time
from typing import Final

import httpx

from towline.registry.challenges import Challenge
from towline.registry.credentials import Credential, Login
from towline.registry.errors import ProtocolError, UnauthorisedError
from towline.registry.tokens import Realm, Scopes, Token, fetch_token

#: Tokens kept for one registry: one for each repository in use, and pairs for mounts.
TOKEN_COUNT: Final = 1024

_Key = tuple[Realm, Scopes, Login | None]


class Authority:
    """What one registry wants to see in ``Authorization``, learned from its challenges."""

    def __init__(self, http: httpx.AsyncClient, registry: httpx.URL, credential: Credential) -> None:
        self._http = http
        self._registry = registry
        self._credential = credential
        self._basic: str | None = None
        self._realm: Realm | None = None
        self._tokens: dict[_Key, Token] = {}
        self._locks: dict[Scopes, asyncio.Lock] = {}

    async def header(self, scopes: Scopes) -> str | None:
        """Return the header for a request that needs ``scopes``; None until the registry has asked for one.

        Raises:
            RegistryError: a token was needed and not given.
        """
        if self._realm is None:
            return self._basic
        return await self._bearer(scopes, refused=None)

    async def answer(self, challenges: list[Challenge], scopes: Scopes, refused: str | None) -> str:
        """Return another header after a 401; ``refused`` is the one that was sent with it.

        Raises:
            UnauthorisedError: there is nothing (else) to offer.
            RegistryError: the token service failed.
        """
        by_scheme = {challenge.scheme: challenge.parameters for challenge in reversed(challenges)}
        if "bearer" in by_scheme:
            self._realm = Realm(by_scheme["bearer"].get("realm", ""), by_scheme["bearer"].get("service", ""))
            return await self._bearer(scopes, refused)
        login = await self._credential() if "basic" in by_scheme else None
        # An identity token is for a token service; no registry takes it as a password.
        if login is not None and not login.is_identity_token:
            self._basic = login.basic()
            if self._basic != refused:
                return self._basic
        raise UnauthorisedError(
            "the registry does not accept the credentials" if refused else "the registry wants credentials",
            url=str(self._registry),
            status=401,
        )

    async def _bearer(self, scopes: Scopes, refused: str | None) -> str:
        lock = self._locks.setdefault(scopes, asyncio.Lock())
        async with lock:
            if self._realm is None:
                raise ProtocolError("no token service is known", url=str(self._registry))
            login = await self._credential()
            key = (self._realm, scopes, login)
            token = self._tokens.get(key)
            if token is None or token.fresh_until <= time.monotonic() or token.header == refused:
                token = await fetch_token(self._http, self._registry, self._realm, scopes, login)
                self._keep(key, token)
            return token.header

    def _keep(self, key: _Key, token: Token) -> None:
        self._tokens.pop(key, None)
        while len(self._tokens) >= TOKEN_COUNT:
            oldest = next(iter(self._tokens))
            del self._tokens[oldest]
            self._locks.pop(oldest[1], None)
        self._tokens[key] = token
