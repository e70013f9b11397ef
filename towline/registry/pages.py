"""Listings that come in pages, which the ``Link`` header of the distribution specification chains: bounded."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from towline.registry.addresses import address_at
from towline.registry.answers import capped, media_type_of
from towline.registry.errors import ProtocolError, RedirectRefusedError, TooLargeError
from towline.registry.exchange import Exchange
from towline.registry.tokens import Scopes

#: Pages of one listing. Registries send 50 to 1000 entries a page; beyond this something is wrong.
PAGE_COUNT: Final = 1000

_NEXT_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: its media type without parameters, and its bytes."""

    media_type: str | None
    content: bytes


async def pages(exchange: Exchange, url: httpx.URL, scopes: Scopes, what: str) -> AsyncIterator[Page]:
    """Yield the pages of a listing.

    Raises:
        TooLargeError: more pages than the bound, or a page that is too large.
        RedirectRefusedError: the next page is at another host.
        ProtocolError: the pages form a loop.
        RegistryError: the registry failed or refused.
    """
    seen: set[httpx.URL] = set()
    while url not in seen:
        if len(seen) >= PAGE_COUNT:
            raise TooLargeError(f"{what}: more than {PAGE_COUNT} pages")
        seen.add(url)
        async with exchange.send("GET", url, scopes=scopes, what=what, accept={200}) as response:
            page = Page(media_type_of(response), await capped(response, what))
        # After the answer is closed: whoever works on a page may want to ask the same registry.
        yield page
        following = _next_page(response, what)
        if following is None:
            return
        url = following
    raise ProtocolError(f"{what}: the pages form a loop", url=str(url))


def members(content: bytes, member: str, what: str) -> list[Any]:
    """Return the list that a JSON object has under ``member``; null is empty, as registries write it.

    Raises:
        ProtocolError: there is no such list.
    """
    try:
        document: Any = orjson.loads(content)
        found = document[member] or []
    except (orjson.JSONDecodeError, KeyError, TypeError):
        found = None
    if not isinstance(found, list):
        raise ProtocolError(f"{what}: the answer has no list of {member}")
    return found


def names(content: bytes, member: str, what: str) -> list[str]:
    """Return the list of texts that a JSON object has under ``member``.

    Raises:
        ProtocolError: there is no such list.
    """
    found = members(content, member, what)
    if not all(isinstance(name, str) for name in found):
        raise ProtocolError(f"{what}: the answer has no list of {member}")
    return found


def _next_page(response: httpx.Response, what: str) -> httpx.URL | None:
    link = _NEXT_LINK.search(response.headers.get("link", ""))
    if link is None:
        return None
    here = response.url
    url = address_at(here, link[1], what)
    if (url.scheme, url.host, url.port) != (here.scheme, here.host, here.port):
        raise RedirectRefusedError(f"{what}: the next page is at another host", url=str(url))
    return url
