"""Scripted faults around an ASGI registry: which request meets what, and a record of all requests."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass
class Answered:
    """An answer of the app, complete, before it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes


class Fault(Protocol):
    """What happens to a request instead of its plain answer."""

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass
class Answer:
    """The registry answers this, and does nothing."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        del app, scope  # it does nothing
        await _read_all(receive)
        length = {} if self.status == 204 else {"content-length": str(len(self.body))}
        await _send(send, Answered(self.status, {**length, **self.headers}, self.body))


@dataclass
class Alter:
    """The app's answer is changed on its way."""

    change: Callable[[Answered], Answered]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _send(send, self.change(await answer_of(app, scope, receive)))


@dataclass
class Break:
    """The connection breaks after so many bytes of the app's answer; its length was announced in full."""

    after_bytes: int = 0

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        answered = await answer_of(app, scope, receive)
        await send(start_of(answered))
        # Ending here without the rest makes the server drop the connection.
        await send({"type": "http.response.body", "body": answered.body[: self.after_bytes], "more_body": True})


@dataclass
class Before:
    """Something happens first, then the app answers as usual."""

    act: Callable[[], Awaitable[object] | object]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        result = self.act()
        if isinstance(result, Awaitable):
            await result
        await app(scope, receive, send)


@dataclass
class Hold:
    """The request waits until it is released; ``reached`` tells that it came."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.set()
        await self.release.wait()
        await app(scope, receive, send)


@dataclass
class _Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    first: int
    last: float
    hits: int = 0


class Faults:
    """An ASGI app around another one. Without rules it only records."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rules: list[_Rule] = []
        self.requests: list[Recorded] = []

    def on(self, method: str, path: str, fault: Fault, *, nth: int = 1, times: float = 1) -> None:
        """From the ``nth`` request on that fits, ``times`` times. ``path`` is searched, and sees the query too."""
        self._rules.append(_Rule(method, re.compile(path), fault, nth, nth + times - 1))

    def stop(self) -> None:
        """From now on every request gets its plain answer."""
        self._rules.clear()

    def count(self, method: str, path: str) -> int:
        """How many requests fitted."""
        return len(self.matching(method, path))

    def matching(self, method: str, path: str) -> list[Recorded]:
        """The requests that fitted, in order."""
        return [it for it in self.requests if it.method == method and re.search(path, f"{it.path}?{it.query}")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Recorded(
            scope["method"],
            scope["path"],
            scope["query_string"].decode(),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        )
        self.requests.append(request)
        fault = self._due(request)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await fault.meet(self._app, scope, receive, send)

    def _due(self, request: Recorded) -> Fault | None:
        for rule in self._rules:
            if rule.method == request.method and rule.path.search(f"{request.path}?{request.query}"):
                rule.hits += 1
                if rule.first <= rule.hits <= rule.last:
                    return rule.fault
        return None


async def _read_all(receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)


async def answer_of(app: ASGIApp, scope: Scope, receive: Receive) -> Answered:
    """Return what the app answers, without sending it."""
    answered = Answered(0, {}, b"")

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answered.body += message.get("body", b"")

    await app(scope, receive, keep)
    return answered


async def _send(send: Send, answered: Answered) -> None:
    await send(start_of(answered))
    await send({"type": "http.response.body", "body": answered.body})


def start_of(answered: Answered) -> dict[str, Any]:
    """Return the message that begins an answer."""
    headers = [(name.encode(), value.encode()) for name, value in answered.headers.items()]
    return {"type": "http.response.start", "status": answered.status, "headers": headers}
