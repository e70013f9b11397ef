"""One request to a registry and its answer: access, redirects, and failures as typed errors."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import httpx

from towline.net.egress.guard import Egress
from towline.net.http import EXTENSIONS, HEADERS, TRANSPORT_ERRORS, open_http, open_transport
from towline.registry.addresses import address_at
from towline.registry.answers import connection_error, error_of
from towline.registry.auth import Authority
from towline.registry.challenges import parse_challenges
from towline.registry.credentials import credential_of
from towline.registry.errors import ProtocolError, RedirectRefusedError
from towline.registry.notices import Notices
from towline.registry.pace import Pace, Sleep
from towline.registry.tokens import Scopes
from towline.settings import RegistrySettings

#: Redirects of one read. Registries use one (to their storage); more than a few is a loop.
REDIRECT_COUNT: Final = 5

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

#: The most that is handed over at once: aiohttp holds up everything else meanwhile, and warns of more than 1 MiB.
_PIECE_BYTES: Final = 256 * 1024

Body = bytes | Callable[[], AsyncIterator[bytes]]
"""A body, or what opens it: it is opened again when the request is repeated with a new token."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A request as asked for; redirects change its address, access its headers."""

    method: str
    url: httpx.URL
    scopes: Scopes
    what: str
    headers: Mapping[str, str]
    body: Body | None


class _Outgoing:
    """A streamed body that remembers why it broke: the transport only tells that it did."""

    def __init__(self, chunks: AsyncIterator[bytes], pace: Pace) -> None:
        self._chunks = chunks
        self._pace = pace
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                await self._pace.moved(len(chunk))
                yield chunk
        except Exception as error:
            self.failure = error
            raise


class Exchange:
    """Requests to one registry. Its credentials go to its own scheme, host and port, and nowhere else."""

    def __init__(self, name: str, settings: RegistrySettings, *, egress: Egress, sleep: Sleep = asyncio.sleep) -> None:
        self._transport = open_transport(egress.with_server(settings.url), settings.ca_file, insecure=settings.insecure)
        self._http = open_http(self._transport)
        self.origin = httpx.URL(settings.url)
        self._root = settings.url
        self.pace = Pace(settings.limits, sleep=sleep)
        self._notices = Notices(name)
        self._authority = Authority(self._http, self.origin, credential_of(settings))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def url(self, path: str) -> httpx.URL:
        """Return the address of ``path`` at the registry."""
        return httpx.URL(f"{self._root}{path}")

    @asynccontextmanager
    async def send(
        self,
        method: str,
        url: httpx.URL,
        *,
        scopes: Scopes,
        what: str,
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and yield its answer, the body unread, when its status is among ``accept``.

        Reads follow redirects. ``what`` says in an error what was attempted.

        Raises:
            RegistryError: another status, no answer, or a redirect that must not be followed. Failures while the
                caller reads the body are raised as well. What ``body`` raises comes through as it is.
        """
        async with self.pace.place(upload=callable(body)):
            response = await self._follow(_in_pieces(_Call(method, url, scopes, what, headers or {}, body)))
            try:
                if response.status_code not in accept:
                    raise await error_of(response, what)
                try:
                    yield response
                except TRANSPORT_ERRORS as error:
                    raise connection_error(error, what, str(response.url)) from error
            finally:
                await response.aclose()

    async def _follow(self, call: _Call) -> httpx.Response:
        for _ in range(REDIRECT_COUNT + 1):
            response = await self._authorised(call)
            if response.status_code not in _REDIRECTS or call.method not in {"GET", "HEAD"}:
                return response
            await response.aclose()
            call = replace(call, url=next_location(response, call.what))
        raise RedirectRefusedError(f"{call.what}: more than {REDIRECT_COUNT} redirects", url=str(call.url))

    async def _authorised(self, call: _Call) -> httpx.Response:
        if not self._is_own(call.url):
            return await self._once(call, None)
        await self.pace.turn(call.method)
        response = await self._with_access(call)
        self.pace.learn(response)
        self._notices.note(response)
        return response

    async def _with_access(self, call: _Call) -> httpx.Response:
        sent = await self._authority.header(call.scopes)
        response = await self._once(call, sent)
        if response.status_code != 401:
            return response
        challenges = parse_challenges(response.headers.get_list("www-authenticate"))
        if not challenges:
            return response
        await response.aclose()
        # Once: a registry that refuses a fresh header will refuse the next one too.
        return await self._once(call, await self._authority.answer(challenges, call.scopes, refused=sent))

    async def _once(self, call: _Call, authorization: str | None) -> httpx.Response:
        headers = {**HEADERS, **call.headers, **({} if authorization is None else {"authorization": authorization})}
        outgoing = None if call.body is None or isinstance(call.body, bytes) else _Outgoing(call.body(), self.pace)
        content = call.body if isinstance(call.body, bytes) else outgoing
        try:
            request = httpx.Request(call.method, call.url, headers=headers, content=content, extensions=EXTENSIONS)
            response = await self._transport.handle_async_request(request)
        except Exception as error:
            if outgoing is not None and outgoing.failure is not None:
                raise outgoing.failure from None
            if isinstance(error, TRANSPORT_ERRORS):
                raise connection_error(error, call.what, str(call.url)) from error
            raise
        if outgoing is not None and outgoing.failure is not None:
            await response.aclose()
            raise outgoing.failure
        return response

    def _is_own(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self.origin.scheme, self.origin.host, self.origin.port)


def _in_pieces(call: _Call) -> _Call:
    content = call.body
    if not isinstance(content, bytes) or len(content) <= _PIECE_BYTES:
        return call

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), _PIECE_BYTES):
            yield content[start : start + _PIECE_BYTES]

    return replace(call, body=pieces, headers={**call.headers, "content-length": str(len(content))})


def next_location(response: httpx.Response, what: str) -> httpx.URL:
    """Return where an answer's ``Location`` points to; it may be relative.

    Raises:
        ProtocolError: there is none, or it is no HTTP address.
        RedirectRefusedError: it must not be followed.
    """
    status, location = response.status_code, response.headers.get("location")
    if location is None:
        raise ProtocolError(f"{what}: no Location", url=str(response.url), status=status)
    return address_at(response.url, location, what, status=status)
