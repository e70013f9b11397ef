"""A receiver of webhooks on this machine: keeps every request with its body, and answers as it is told."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from streams.serving import serving


@dataclass(frozen=True)
class Told:
    """One request; header names in lower case, each value of a name that came twice."""

    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key == name]
        return value


Reply = Callable[[Send], Awaitable[None]]
"""Sends an answer."""


def answering(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
    """Answer at once."""

    async def reply(send: Send) -> None:
        named = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": body})

    return reply


def endless(status: int, chunk: bytes = b"x" * 65536) -> Reply:
    """Answer with a body that only ends when nobody reads it any more."""

    async def reply(send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for _ in range(100_000):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    return reply


async def broken(send: Send) -> None:
    """Break the connection in the middle of an answer that was announced longer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})


async def silent(_: Send) -> None:
    """Answer nothing until the other side has gone, or the test is over."""
    await asyncio.sleep(3600)


@dataclass
class Receiver:
    """An ASGI app: the first answers are those of ``replies``, the others ``usual``."""

    replies: list[Reply] = field(default_factory=list)
    usual: Reply = field(default_factory=lambda: answering(204))
    told: list[Told] = field(default_factory=list)
    url: str = ""
    #: While this is set, requests are answered.
    open: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self.told.append(Told(scope["path"], headers, body))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        reply = self.replies.pop(0) if self.replies else self.usual
        try:
            await self.open.wait()
            await _while_connected(reply(send), receive)
        finally:
            self.running -= 1

    def ids(self) -> list[str]:
        """The webhook id of each request, in their order."""
        return [told["webhook-id"] for told in self.told]


async def _while_connected(reply: Awaitable[None], receive: Receive) -> None:
    answering_ = asyncio.ensure_future(reply)
    gone = asyncio.ensure_future(receive())
    await asyncio.wait({answering_, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (answering_, gone):
        task.cancel()
    await asyncio.gather(answering_, gone, return_exceptions=True)


@asynccontextmanager
async def receiving(receiver: Receiver | None = None) -> AsyncIterator[Receiver]:
    """Serve a receiver on this machine."""
    made = receiver or Receiver()
    async with serving(made) as url:
        made.url = url
        try:
            yield made
        finally:
            made.open.set()


def verified(told: Told, secret: str) -> bool:
    """Tell whether one of the signatures is right, as a receiver reads Standard Webhooks: written without ours."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + told.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(given, f"v1,{expected}") for given in told["webhook-signature"].split(" "))
