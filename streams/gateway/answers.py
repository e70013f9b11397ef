"""Answers of the gateway. Every error has one shape, ``{"error": {"reason": TEXT}}``, and no insides of ours.

What stands here in place of Starlette's own does less: its two layers for errors, its wrapping of each endpoint and the
JSON of the standard library are a tenth of what a webhook costs.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from towline import limits


class RefusedError(Exception):
    """A request that gets an error as its answer. ``reason`` is for the sender."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class JsonAnswer(JSONResponse):
    """An answer in JSON."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return orjson.dumps(content, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON")


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Return an error answer."""
    return JsonAnswer({"error": {"reason": reason}}, status_code=status, headers=headers)


def log_unavailable() -> RefusedError:
    """Return the refusal for a log that cannot be reached: the sender is asked to come again."""
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the log did not acknowledge; send it again",
        {"Retry-After": str(limits.hook_retry_after_seconds)},
    )


class Endpoint:
    """An endpoint of the router: from a request to its answer."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)


class AnsweringRouter(Router):
    """A router that answers what its endpoints refuse, what it does not know itself, and what nobody expected."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request, and answer what it ends in."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        # So that the router raises what it refuses, unknown paths and methods, instead of answering in its own words.
        scope["app"] = self
        has_begun = False

        async def noticed(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await super().__call__(scope, receive, noticed)
        except RefusedError as error:
            await refusal(error.status, error.reason, error.headers)(scope, receive, send)
        except HTTPException as error:
            reason = HTTPStatus(error.status_code).phrase.lower()
            await refusal(error.status_code, reason, error.headers)(scope, receive, send)
        except Exception:
            if not has_begun:
                await refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")(scope, receive, send)
            # The server logs it; its text stays here.
            raise
