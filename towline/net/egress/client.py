"""Requests to addresses that somebody configures or sends: receivers of webhooks, documents of keys.

Registries are asked otherwise (:mod:`towline.registry.exchange`), behind the same guard.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import httpx

from towline import limits
from towline.errors import InfrastructureError
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.guard import Egress
from towline.net.http import TRANSPORT_ERRORS, open_http, open_transport, read_beginning, read_capped
from towline.net.redact import redact_url


class RequestError(InfrastructureError):
    """A request that got no reply that can be used."""


class NoReplyError(RequestError):
    """No connection, no whole answer, or not within the deadline. What was sent may or may not have arrived."""

    retryable: ClassVar[bool] = True


class RedirectNotFollowedError(RequestError):
    """The answer points elsewhere. Nobody has said that what is sent may go there."""


class ReplyTooLargeError(RequestError):
    """The answer is longer than its bound."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedClient:
    """Sends requests where ``egress`` lets them, each with a deadline and a bound on its answer. Leaving it closes it.

    ``ca_file`` names the certificate authorities to trust instead of the usual ones.
    """

    def __init__(self, egress: Egress, *, ca_file: Path | None = None) -> None:
        self._http = open_http(open_transport(egress, ca_file, per_host_count=limits.requests_per_host_count))

    async def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        reply_bytes: int = limits.reply_bytes,
        deadline_seconds: float = limits.request_deadline_seconds,
    ) -> Reply:
        """Send one request and return its answer; ``deadline_seconds`` is for all of it, waiting for a turn included.

        Raises:
            EgressRefusedError: nothing may be sent to ``url``.
            NoReplyError: no answer, or not in time.
            RedirectNotFollowedError: the answer is a redirect.
            ReplyTooLargeError: the answer's body exceeds ``reply_bytes``.
        """
        what = f"{method} {redact_url(url)}"
        async with self._answering(method, url, content, headers, deadline_seconds) as response:
            if 300 <= response.status_code < 400:
                raise RedirectNotFollowedError(f"{what}: answered {response.status_code}, which is not followed")
            body = await read_capped(response, reply_bytes)
        if body is None:
            raise ReplyTooLargeError(f"{what}: the answer exceeds {reply_bytes} bytes")
        return Reply(response.status_code, dict(response.headers), body)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], *, reply_bytes: int) -> Reply:
        """POST and return the answer, even a redirect: its status counts. Of its body the beginning is read.

        That is up to ``reply_bytes`` bytes, and what comes within ``limits.reply_beginning_seconds``.

        Raises:
            EgressRefusedError: nothing may be sent to ``url``.
            NoReplyError: no answer, or not in time.
        """
        async with self._answering("POST", url, content, headers, limits.request_deadline_seconds) as response:
            body = await read_beginning(response, reply_bytes, limits.reply_beginning_seconds)
        return Reply(response.status_code, dict(response.headers), body)

    @asynccontextmanager
    async def _answering(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None, deadline_seconds: float
    ) -> AsyncIterator[httpx.Response]:
        what = f"{method} {redact_url(url)}"
        try:
            async with (
                asyncio.timeout(deadline_seconds),
                self._http.stream(method, url, content=content, headers=headers) as response,
            ):
                yield response
        except EgressRefusedError:
            raise
        except httpx.InvalidURL:
            raise EgressRefusedError("no request is sent to an address that is none") from None
        except TimeoutError as error:
            raise NoReplyError(f"{what}: no whole answer within {deadline_seconds:g} seconds") from error
        except TRANSPORT_ERRORS as error:
            raise NoReplyError(f"{what}: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
