"""What happens to a connection in the middle of a request or an answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.faults import Answered, Fault, answer_of, start_of

#: A dribbling server sends a byte in so many seconds, and a window of the reader is shorter: see :func:`hurry`.
DRIBBLE_SECONDS = 0.06

#: What a dribbling server sends at most.
_DRIBBLE_BYTES = 10


@dataclass
class Reset:
    """The connection breaks without an answer: before the request is read, after its first bytes, or carried out.

    ``unheard`` gets the upload sessions of which the client was never told: nobody can give those up.
    """

    moment: Literal["at once", "in the request", "before the answer"]
    unheard: set[str]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        del send  # nothing is answered

        async def keep(message: Message) -> None:
            headers = dict(message.get("headers", ()))
            if b"docker-upload-uuid" in headers:
                self.unheard.add(headers[b"docker-upload-uuid"].decode())

        if self.moment == "before the answer":
            await app(scope, receive, keep)
        elif self.moment == "in the request":
            await receive()
        # ASGI itself has no way to break a connection; what uvicorn receives by belongs to it.
        receive.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass
class Dribble:
    """The body comes byte by byte, until the client has enough of it. ``endured`` is told when it never has."""

    endured: Callable[[], None]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        answered = await answer_of(app, scope, receive)
        await send(start_of(answered))
        for position in range(min(_DRIBBLE_BYTES, len(answered.body))):
            await send(
                {"type": "http.response.body", "body": answered.body[position : position + 1], "more_body": True}
            )
            if await _is_gone(receive):
                return
        if len(answered.body) >= _DRIBBLE_BYTES:
            self.endured()


async def _is_gone(receive: Receive) -> bool:
    """Wait for a moment, and tell whether the client left in it."""
    try:
        async with asyncio.timeout(DRIBBLE_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


@dataclass
class Challenge:
    """The token is refused, as if it had expired; another one is to be had at the same server."""

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        del app  # it does nothing
        while (await receive()).get("more_body", False):
            pass
        host, port = scope["server"]
        challenge = f'Bearer realm="http://{host}:{port}/token",service="tests"'
        headers = {"www-authenticate": challenge, "content-length": "0"}
        await send(start_of(Answered(401, headers, b"")))
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Counted:
    """A fault that tells each time when it is met."""

    fault: Fault
    met: Callable[[], None]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.met()
        await self.fault.meet(app, scope, receive, send)


def with_body(answered: Answered, body: bytes) -> Answered:
    return replace(answered, body=body, headers={**answered.headers, "content-length": str(len(body))})


def shorter(answered: Answered) -> Answered:
    return with_body(answered, answered.body[:-1])


def longer(answered: Answered) -> Answered:
    return with_body(answered, answered.body + b"!")


def wrong(answered: Answered) -> Answered:
    return with_body(answered, b"?" * len(answered.body))


def lying(answered: Answered) -> Answered:
    return replace(answered, headers={**answered.headers, "docker-content-digest": f"sha256:{'0' * 64}"})


def unlisted(answered: Answered) -> Answered:
    """What a registry answers to a referrer that it does not list."""
    headers = {name: value for name, value in answered.headers.items() if name != "oci-subject"}
    return replace(answered, headers=headers)
