"""Access to a registry: challenges, basic and bearer authentication (distribution token specification).

Credentials belong to the registry's host. A token service (the challenge's realm) gets them only when it is
*same-site*:

- the realm's host is the registry's host, on any port; or
- both are names, and the realm is the registry's parent domain or below it (``auth.docker.io`` or ``docker.io`` for
  ``registry-1.docker.io``), where the parent has at least two labels and is no public suffix of the form ``co.uk``;
- and the realm is HTTPS, unless the registry itself is plain HTTP.

Any other realm is asked anonymously.
"""

import asyncio
import base64
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import httpx
import orjson

from towline import limits
from towline.net.http import TRANSPORT_ERRORS, read_capped
from towline.registry.answers import connection_error, error_of
from towline.registry.credentials import Credential
from towline.registry.errors import (
    ProtocolError,
    RedirectRefusedError,
    TooLargeError,
    UnauthorisedError,
)

#: What a token lives when its issuer does not say; the specification's number, and its least sensible one.
TOKEN_LIFE_SECONDS: Final = 60.0

#: A token is replaced so long before its end that a request under way does not outlive it.
TOKEN_MARGIN_SECONDS: Final = 10.0

#: Tokens kept for one registry: one for each repository in use, and pairs for mounts.
TOKEN_COUNT: Final = 1024

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+|$|(?=,))")
_SEPARATORS = re.compile(r"[ \t,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header: its scheme in lower case, its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Read ``WWW-Authenticate`` values (RFC 9110, section 11.6.1); what cannot be read ends its value."""
    found: list[Challenge] = []
    for value in values:
        position = _skip(value, 0)
        current: Challenge | None = None
        while position < len(value):
            if current is not None and (match := _PARAMETER.match(value, position)):
                text = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
                current.parameters.setdefault(match[1].lower(), text)
            elif match := _SCHEME.match(value, position):
                current = Challenge(match[1].lower(), {})
                found.append(current)
            else:
                break
            position = _skip(value, match.end())
    return found


def _skip(value: str, position: int) -> int:
    match = _SEPARATORS.match(value, position)
    return match.end() if match else position


def is_same_site(registry: httpx.URL, realm: httpx.URL) -> bool:
    """Tell if the registry's credentials may go to ``realm``; the module says when."""
    if realm.scheme != "https" and registry.scheme == "https":
        return False
    host, other = registry.host.lower().rstrip("."), realm.host.lower().rstrip(".")
    if host == other:
        return True
    parent = host.partition(".")[2]
    if _is_address(host) or _is_address(other) or _is_public_suffix(parent):
        return False
    return other == parent or other.endswith(f".{parent}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_public_suffix(domain: str) -> bool:
    labels = domain.split(".")
    return len(labels) < 2 or (
        len(labels) == 2
        and len(labels[1]) == 2
        and labels[0] in {"co", "com", "org", "net", "ac", "gov", "edu", "or", "ne"}
    )


Scopes = frozenset[str]
"""Scopes of the token specification, such as ``repository:team/app:pull``."""


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    fresh_until: float


class Authority:
    """What one registry wants to see in ``Authorization``, learned from its challenges."""

    def __init__(self, http: httpx.AsyncClient, registry: httpx.URL, credential: Credential) -> None:
        self._http = http
        self._registry = registry
        self._credential = credential
        self._basic: str | None = None
        self._realm: tuple[str, str] | None = None
        self._tokens: dict[tuple[str, str, Scopes, str], _Token] = {}
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
            realm = by_scheme["bearer"].get("realm", "")
            self._realm = (realm, by_scheme["bearer"].get("service", ""))
            return await self._bearer(scopes, refused)
        if "basic" in by_scheme and (credential := await self._credential()) is not None:
            self._basic = _basic(*credential)
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
            credential = await self._credential()
            key = (*self._realm, scopes, credential[0] if credential else "")
            token = self._tokens.get(key)
            if token is None or token.fresh_until <= time.monotonic() or token.header == refused:
                token = await self._fetch(scopes, credential)
                self._keep(key, token)
            return token.header

    def _keep(self, key: tuple[str, str, Scopes, str], token: _Token) -> None:
        self._tokens.pop(key, None)
        while len(self._tokens) >= TOKEN_COUNT:
            oldest = next(iter(self._tokens))
            del self._tokens[oldest]
            self._locks.pop(oldest[2], None)
        self._tokens[key] = token

    async def _fetch(self, scopes: Scopes, credential: tuple[str, str] | None) -> _Token:
        realm, service = self._realm or ("", "")
        url = self._realm_url(realm)
        parameters = [*url.params.multi_items(), *([("service", service)] if service else [])]
        parameters += [("scope", scope) for scope in sorted(scopes)]
        headers = {}
        if credential is not None and is_same_site(self._registry, url):
            headers["authorization"] = _basic(*credential)
        asked_at = time.monotonic()
        try:
            async with self._http.stream("GET", url.copy_with(params=parameters), headers=headers) as response:
                if response.status_code != 200:
                    raise await error_of(response, "the token service gave no token")
                body = await read_capped(response, limits.token_bytes)
        except TRANSPORT_ERRORS as error:
            raise connection_error(error, "token service", str(url)) from error
        if body is None:
            raise TooLargeError(f"the token answer exceeds {limits.token_bytes} bytes", url=str(url))
        return _read_token(body, asked_at, str(url))

    def _realm_url(self, realm: str) -> httpx.URL:
        try:
            url = httpx.URL(realm)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise ProtocolError("the challenge names no token service that could be asked", url=str(self._registry))
        if url.scheme == "http" and self._registry.scheme == "https":
            raise RedirectRefusedError("the token service of an HTTPS registry is plain HTTP", url=str(url))
        return url


def _read_token(body: bytes, asked_at: float, url: str) -> _Token:
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ProtocolError("the token answer is not a JSON object", url=url)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ProtocolError("the token answer holds no token", url=url)
    life = document.get("expires_in")
    # Our own clock from the moment of asking: `issued_at` comes from a clock that may be wrong.
    seconds = float(life) if isinstance(life, int | float) and life > 0 else TOKEN_LIFE_SECONDS
    return _Token(f"Bearer {token}", asked_at + max(seconds - TOKEN_MARGIN_SECONDS, seconds / 2))


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
