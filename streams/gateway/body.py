"""Reading a request's body within bounds: of size, of time, and never encoded."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request

from streams.gateway.answers import RefusedError
from towline import limits


def check_declared(request: Request, max_bytes: int = limits.hook_body_bytes) -> None:
    """Refuse by the headers alone what would not be read to its end.

    Raises:
        RefusedError: 415 for an encoded body, whose size is not what it says; 413 for one that is too large.
    """
    declared = b"0"
    for name, value in request.headers.raw:
        if name == b"content-encoding":
            if any(encoding.strip().lower() not in {b"", b"identity"} for encoding in value.split(b",")):
                raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
        elif name == b"content-length":
            declared = value
    if not declared.isdigit():
        raise RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    digits = declared.lstrip(b"0") or b"0"
    # Compared by length first: a number with thousands of digits is not worth converting.
    if len(digits) > 12 or int(digits) > max_bytes:
        raise _too_large(max_bytes)


async def read_body(request: Request, max_bytes: int = limits.hook_body_bytes) -> bytes:
    """Return the body.

    Raises:
        RefusedError: 413 when it has more than ``max_bytes``, whatever it declared; 408 when it is not
            complete within ``limits.hook_body_timeout_seconds``; 400 when the sender left.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.hook_body_timeout_seconds):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(HTTPStatus.BAD_REQUEST, "the body ended early")
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        reason = f"the body was not complete within {limits.hook_body_timeout_seconds:g} seconds"
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, reason, {"Connection": "close"}) from None
    return b"".join(chunks)


def _too_large(max_bytes: int) -> RefusedError:
    # Closing spares both sides the rest of the body.
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"at most {max_bytes} bytes are taken",
        {"Connection": "close"},
    )
