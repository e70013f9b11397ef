"""Answers of the gateway. Every error has one shape, ``{"error": {"reason": TEXT}}``, and no insides of ours."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from towline import limits


class RefusedError(Exception):
    """A request that gets an error as its answer. ``reason`` is for the sender."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error answer."""
    return JSONResponse({"error": {"reason": reason}}, status_code=status, headers=headers)


def log_unavailable() -> RefusedError:
    """Return the refusal for a log that cannot be reached: the sender is asked to come again."""
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the log did not acknowledge; send it again",
        {"Retry-After": str(limits.hook_retry_after_seconds)},
    )


async def on_refused(_: Request, error: Exception) -> JSONResponse:
    """Answer what a handler refused."""
    if not isinstance(error, RefusedError):
        raise error
    return refusal(error.status, error.reason, error.headers)


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Answer what the router refused: unknown paths and methods."""
    if not isinstance(error, HTTPException):
        raise error
    return refusal(error.status_code, HTTPStatus(error.status_code).phrase.lower(), error.headers)


async def on_bug(_: Request, __: Exception) -> JSONResponse:
    """Answer for an error that nobody expected. The server logs it; its text stays here."""
    return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
