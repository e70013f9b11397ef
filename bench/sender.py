"""A sender of webhooks that costs little: many connections, each with one request under way, and no HTTP client.

A client that works as hard as the server would be what is measured.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

CONNECTIONS = 64
DEADLINE_SECONDS = 120.0

#: How answers end: by their length, which all have.
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Sent:
    """How a round went."""

    #: Until all were accepted.
    seconds: float
    #: The share of the time in which the sender itself computed.
    busy: float


async def send_all(port: int, requests: list[bytes]) -> Sent:
    """Send whole requests to a port of this machine; each must be answered 202."""
    waiting = iter(requests)
    start, computed = time.perf_counter(), time.process_time()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as connections:
        for _ in range(CONNECTIONS):
            connections.create_task(_send(port, waiting))
    seconds = time.perf_counter() - start
    return Sent(seconds, (time.process_time() - computed) / seconds)


async def _send(port: int, waiting: Iterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Connection(waiting, done), "127.0.0.1", port)
    try:
        await done
    finally:
        transport.close()


class _Connection(asyncio.Protocol):
    """Sends the next request when the last one is answered; ``done`` when there is none left."""

    def __init__(self, waiting: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._waiting = waiting
        self._done = done
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or self._done.done():
            return
        if not head.startswith(b"HTTP/1.1 202 "):
            self._done.set_exception(AssertionError(self._received))
            return
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        if len(body) == int(length):
            self._received = b""
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or AssertionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._waiting, None)
        if request is None:
            self._done.set_result(None)
        elif self._transport is not None:
            self._transport.write(request)


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a whole POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _HEAD_END + body
