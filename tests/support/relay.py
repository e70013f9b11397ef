"""An ASGI app that hands every request on to a real registry, so that faults and counts can stand around it."""

import httpx
from starlette.types import Receive, Scope, Send

#: Headers that belong to one connection (RFC 9110, 7.6.1), or that name the host that was asked.
_OWN = {b"host", b"connection", b"transfer-encoding", b"keep-alive"}


class Relay:
    """Hands requests on to ``url``; answers come back as they are. Enter it, so that its connections are closed."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=60)

    async def __aenter__(self) -> "Relay":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(name, value) for name, value in scope["headers"] if name not in _OWN]
        url = httpx.URL(self._client.base_url).copy_with(raw_path=_raw_path(scope))
        request = httpx.Request(scope["method"], url, headers=headers, content=body)
        answer = await self._client.send(request, stream=True)
        try:
            kept = [(name, value) for name, value in answer.headers.raw if name.lower() not in _OWN]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


def _raw_path(scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + (b"?" + query if query else b"")
