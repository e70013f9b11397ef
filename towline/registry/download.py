"""Reading a blob over connections that break or dribble: what is missing is asked for by ``Range`` (RFC 9110)."""

import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Final

import httpx

from towline import limits
from towline.net.http import TRANSPORT_ERRORS
from towline.registry.answers import connection_error
from towline.registry.errors import ProtocolError, UnreachableError

Open = Callable[[int], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens the content from a byte on."""

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/(?:[0-9]{1,15}|\*)")


@asynccontextmanager
async def whole(open_at: Open) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open some content and yield its chunks; when the connection breaks, the rest is read over another one.

    The new one begins at the byte at which the old one broke, so the bytes are no surer than before: whoever takes
    them checks the digest of all. A connection that brings nothing is the last.

    Raises:
        RegistryError: it could not be opened, or not be read to its end.
    """
    async with AsyncExitStack() as connection:
        first = await connection.enter_async_context(open_at(0))
        async with aclosing(_to_its_end(first, open_at, connection)) as chunks:
            yield chunks


async def _to_its_end(
    chunks: AsyncIterator[bytes], open_at: Open, connection: AsyncExitStack
) -> AsyncGenerator[bytes, None]:
    received = 0
    for left in reversed(range(limits.blob_resume_count + 1)):
        began = received
        try:
            async for chunk in chunks:
                received += len(chunk)
                yield chunk
        except UnreachableError:
            if received == began or not left:
                raise
        else:
            return
        # The broken one counts as a request under way until it is closed.
        await connection.aclose()
        chunks = await connection.enter_async_context(open_at(received))


async def body_from(response: httpx.Response, offset: int, what: str) -> AsyncIterator[bytes]:
    """Yield the chunks of an answer from byte ``offset`` of the content on, whether it has that range or everything.

    Raises:
        ProtocolError: it is another range.
        UnreachableError: the connection broke, or is too slow.
    """
    skipped = offset
    if response.status_code == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != offset:
            raise ProtocolError(f"{what}: asked for bytes from {offset} on, got others", url=str(response.url))
        skipped = 0
    try:
        async for chunk in steady(response.aiter_raw(), what):
            if skipped < len(chunk):
                yield chunk[skipped:] if skipped else chunk
            skipped = max(skipped - len(chunk), 0)
    except TRANSPORT_ERRORS as error:
        raise connection_error(error, what, str(response.url)) from error


async def steady(
    chunks: AsyncIterable[bytes], what: str, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[bytes]:
    """Pass chunks on unless they come too slowly: only the time in which they are waited for counts.

    Raises:
        UnreachableError: fewer bytes than ``limits.slow_window_bytes`` came in ``limits.slow_window_seconds``.
    """
    waited, received, asked_at = 0.0, 0, clock()
    async for chunk in chunks:
        waited += clock() - asked_at
        received += len(chunk)
        if waited >= limits.slow_window_seconds:
            if received < limits.slow_window_bytes:
                raise UnreachableError(f"{what}: {received} bytes in {waited:.0f} seconds are too slow")
            waited, received = 0.0, 0
        yield chunk
        asked_at = clock()
