"""Asking a token service for a token (distribution token specification: GET with a password, OAuth2 POST without).

Credentials belong to the registry's host. A token service (the challenge's realm) gets them only when it is
*same-site*:

- the realm's host is the registry's host, on any port; or
- both are names, and the realm is the registry's parent domain or below it (``auth.docker.io`` or ``docker.io`` for
  ``registry-1.docker.io``), where the parent has at least two labels and is no public suffix of the form ``co.uk``;
- and the realm is HTTPS, unless the registry itself is plain HTTP.

Any other realm is asked anonymously.
"""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from towline import limits
from towline.net.http import TRANSPORT_ERRORS, read_capped
from towline.registry.addresses import address_at, is_address
from towline.registry.answers import connection_error, error_of
from towline.registry.credentials import Login
from towline.registry.errors import ProtocolError, TooLargeError

#: What a token lives when its issuer does not say; the specification's number, and its least sensible one.
TOKEN_LIFE_SECONDS: Final = 60.0

#: A token is replaced so long before its end that a request under way does not outlive it.
TOKEN_MARGIN_SECONDS: Final = 10.0

#: What we call ourselves where OAuth2 wants a client to have a name.
_CLIENT: Final = "towline"

Scopes = frozenset[str]
"""Scopes of the token specification, such as ``repository:team/app:pull``."""


@dataclass(frozen=True, slots=True)
class Realm:
    """A token service and what it calls the registry, as a challenge says."""

    url: str
    service: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a header, and until when, by the monotonic clock, it is used."""

    header: str
    fresh_until: float


async def fetch_token(
    http: httpx.AsyncClient, registry: httpx.URL, realm: Realm, scopes: Scopes, login: Login | None
) -> Token:
    """Return a token of the token service that ``registry`` names.

    Raises:
        UnauthorisedError: the credentials are not accepted.
        ProtocolError, RedirectRefusedError: there is no such service, or none that may be asked.
        RegistryError: the token service failed or refused.
    """
    url = _address(registry, realm.url)
    asked_at = time.monotonic()
    try:
        async with _ask(http, url, realm, scopes, login if is_same_site(registry, url) else None) as response:
            if response.status_code != 200:
                raise await error_of(response, "the token service gave no token")
            body = await read_capped(response, limits.token_bytes)
    except TRANSPORT_ERRORS as error:
        raise connection_error(error, "token service", str(url)) from error
    if body is None:
        raise TooLargeError(f"the token answer exceeds {limits.token_bytes} bytes", url=str(url))
    return _read_token(body, asked_at, str(url))


def _ask(
    http: httpx.AsyncClient, url: httpx.URL, realm: Realm, scopes: Scopes, login: Login | None
) -> AbstractAsyncContextManager[httpx.Response]:
    service = [("service", realm.service)] if realm.service else []
    if login is not None and login.is_identity_token:
        form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": login.secret, **dict(service)}
        return http.stream("POST", url, data={**form, **({"scope": " ".join(sorted(scopes))} if scopes else {})})
    parameters = [*url.params.multi_items(), *service, *(("scope", scope) for scope in sorted(scopes))]
    headers = {} if login is None else {"authorization": login.basic()}
    return http.stream("GET", url.copy_with(params=parameters), headers=headers)


def is_same_site(registry: httpx.URL, realm: httpx.URL) -> bool:
    """Tell if the registry's credentials may go to ``realm``; the module says when."""
    if realm.scheme != "https" and registry.scheme == "https":
        return False
    host, other = registry.host.lower().rstrip("."), realm.host.lower().rstrip(".")
    if host == other:
        return True
    parent = host.partition(".")[2]
    if is_address(host) or is_address(other) or _is_public_suffix(parent):
        return False
    return other == parent or other.endswith(f".{parent}")


def _is_public_suffix(domain: str) -> bool:
    labels = domain.split(".")
    return len(labels) < 2 or (
        len(labels) == 2
        and len(labels[1]) == 2
        and labels[0] in {"co", "com", "org", "net", "ac", "gov", "edu", "or", "ne"}
    )


def _address(registry: httpx.URL, realm: str) -> httpx.URL:
    what = "the challenge names a token service that cannot be asked"
    if not realm.lower().startswith(("http://", "https://")) or "@" in realm.partition("//")[2].partition("/")[0]:
        raise ProtocolError(what, url=str(registry))
    return address_at(registry, realm, what)


def _read_token(body: bytes, asked_at: float, url: str) -> Token:
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
    return Token(f"Bearer {token}", asked_at + max(seconds - TOKEN_MARGIN_SECONDS, seconds / 2))
