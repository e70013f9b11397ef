"""The one way in which this project speaks HTTP to others.

HTTP/1.1 over aiohttp behind httpx: several times cheaper per request than httpx's own transport. Nothing is taken
from the environment (proxies, netrc, certificates), no redirect is followed, no cookie is kept. Nothing is sent where
:class:`~towline.net.egress.guard.Egress` does not let it.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import yarl
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from towline import limits
from towline.errors import SettingsError
from towline.net.egress.dialling import VettingResolver, vetting_sockets
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.guard import Egress

USER_AGENT: Final = f"towline/{version('towline')}"

#: The most that one read of a body returns, and what is buffered ahead of the reader. Smaller costs CPU per byte,
#: larger costs memory per open blob.
READ_BUFFER_BYTES: Final = 1024 * 1024

#: Connections to one registry, with TLS and without: eight transfers with four blobs each, with room for manifests.
CONNECTION_COUNT: Final = 64

#: An idle connection is kept for less time than common servers keep theirs, so that it is rarely closed under us.
IDLE_CONNECTION_SECONDS: Final = 15.0

#: Failures of the connection, as httpx, the transport below it and the guard report them.
TRANSPORT_ERRORS: Final = (httpx.TransportError, aiohttp.ClientError, OSError, EgressRefusedError)


_requested: ContextVar[yarl.URL] = ContextVar("_requested")


async def _keep_address(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Ask for the very address that was given: aiohttp would decode what it thinks needs no escape.

    Upload locations and signed addresses are opaque to a client.
    """
    request.url = _requested.get()
    return await handler(request)


def _asked() -> tuple[str, int]:
    url = _requested.get()
    return url.raw_host or "", url.port or 0


class _Transport(AiohttpTransport):
    """The transport behind the guard, with larger reads; a stream tells how much it reads at once by an attribute."""

    def __init__(self, egress: Egress, context: ssl.SSLContext, client: Callable[[], aiohttp.ClientSession]) -> None:
        super().__init__(verify=context, trust_env=False, client=client)
        self._egress = egress

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _requested.set(self._egress.check(str(request.url)))
        response = await super().handle_async_request(request)
        if isinstance(response.stream, AiohttpResponseStream):
            response.stream.CHUNK_SIZE = READ_BUFFER_BYTES
        return response


class _ByScheme(httpx.AsyncBaseTransport):
    """Connections with TLS and others. Only who meets TLS reads what to trust, which takes a twentieth of a second."""

    def __init__(self, egress: Egress, context: Callable[[], ssl.SSLContext], per_host_count: int) -> None:
        self._egress = egress
        self._context = context
        self._per_host_count = per_host_count
        self._secure: httpx.AsyncBaseTransport | None = None
        # A context that trusts nobody: these connections never ask it.
        self._plain = self._connections(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "https":
            return await self._plain.handle_async_request(request)
        if self._secure is None:
            self._secure = self._connections(self._context())
        return await self._secure.handle_async_request(request)

    async def aclose(self) -> None:
        await self._plain.aclose()
        if self._secure is not None:
            await self._secure.aclose()

    def _connections(self, context: ssl.SSLContext) -> _Transport:
        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=context,
                    limit=CONNECTION_COUNT,
                    limit_per_host=self._per_host_count,
                    keepalive_timeout=IDLE_CONNECTION_SECONDS,
                    resolver=VettingResolver(self._egress),
                    socket_factory=vetting_sockets(self._egress, _asked),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_keep_address,),
                read_bufsize=READ_BUFFER_BYTES,
                trust_env=False,
            )

        return _Transport(self._egress, context, session)


#: What every request says.
HEADERS: Final = {"user-agent": USER_AGENT, "accept-encoding": "identity"}

_TIMEOUT: Final = httpx.Timeout(
    connect=limits.connect_timeout_seconds,
    read=limits.read_timeout_seconds,
    write=limits.read_timeout_seconds,
    pool=None,  # waiting for a free connection is not a failure; the transfer's deadline ends it
)

#: The same for a request that goes to a transport without a client in between.
EXTENSIONS: Final = {"timeout": _TIMEOUT.as_dict()}


def open_transport(
    egress: Egress, ca_file: Path | None = None, *, insecure: bool = False, per_host_count: int = 0
) -> httpx.AsyncBaseTransport:
    """Return the connections to a server, without what a client does around them; the caller closes it.

    For those who send many small requests: the client's handling of redirects, cookies and access costs more than the
    request. They send ``HEADERS`` and ``EXTENSIONS`` themselves.

    ``egress`` says where requests may go: any other raises EgressRefusedError. ``ca_file`` names the certificate
    authorities to trust instead of the usual ones; ``insecure`` trusts everybody. ``per_host_count`` bounds the
    connections to one host and port; 0: only all together are bounded.

    Raises:
        SettingsError: ``ca_file`` is missing or holds no certificates.
    """
    if insecure:
        return _ByScheme(egress, _trusting_context, per_host_count)
    if ca_file is None:
        return _ByScheme(egress, _usual_authorities, per_host_count)
    own = _own_authorities(ca_file)
    return _ByScheme(egress, lambda: own, per_host_count)


def open_http(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Return a client over ``transport``; the caller closes it, and the transport with it."""
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        timeout=_TIMEOUT,
        headers=HEADERS,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Return the one context for all who trust the usual ones."""
    return httpx.create_ssl_context(trust_env=False)


def _trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _own_authorities(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise SettingsError(f"ca_file {ca_file}: {error.strerror or error}") from None


async def read_capped(response: httpx.Response, size_max: int) -> bytes | None:
    """Return the whole body, or None when it is larger than ``size_max`` bytes; no more than that is kept."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > size_max:
            return None
    return bytes(body)


async def read_beginning(response: httpx.Response, size_max: int, seconds_max: float) -> bytes:
    """Return up to ``size_max`` bytes of the body, as far as they come within so many seconds, and without failure."""
    body = bytearray()
    with suppress(TimeoutError, *TRANSPORT_ERRORS):
        async with asyncio.timeout(seconds_max):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= size_max:
                    break
    return bytes(body[:size_max])
