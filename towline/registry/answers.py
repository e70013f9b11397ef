"""From an HTTP answer that is not the hoped-for one to a typed error."""

import ssl
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import orjson

from towline import limits
from towline.net.egress.errors import EgressRefusedError
from towline.net.http import TRANSPORT_ERRORS, read_capped
from towline.net.retry_after import retry_after_seconds
from towline.registry.errors import (
    ContentMissingError,
    DeniedError,
    DigestMismatchError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    RedirectRefusedError,
    RefusedError,
    RegistryError,
    ServerError,
    SizeMismatchError,
    TooLargeError,
    UnauthorisedError,
    UnreachableError,
)

_BY_STATUS: Final[dict[int, type[RegistryError]]] = {
    401: UnauthorisedError,
    403: DeniedError,
    404: NotFoundError,
    408: ServerError,
    413: TooLargeError,
    429: RateLimitedError,
}

#: Codes of the specification that say more than the status, which differs between registries.
_BY_CODE: Final[dict[str, type[RegistryError]]] = {
    "MANIFEST_BLOB_UNKNOWN": ContentMissingError,
    "MANIFEST_UNKNOWN": NotFoundError,
    "BLOB_UNKNOWN": NotFoundError,
    "NAME_UNKNOWN": NotFoundError,
    "DIGEST_INVALID": DigestMismatchError,
    "SIZE_INVALID": SizeMismatchError,
    "TOOMANYREQUESTS": RateLimitedError,
}


async def error_of(response: httpx.Response, what: str) -> RegistryError:
    """Return the error that an answer stands for. Its body is read up to a bound; it may be anything, HTML too."""
    try:
        body = await read_capped(response, limits.error_body_bytes) or b""
    except TRANSPORT_ERRORS:
        body = b""  # the status came through and says enough
    codes, words = _read_errors(body)
    kind = next((_BY_CODE[code] for code in codes if code in _BY_CODE and response.status_code < 500), None)
    if kind is None:
        kind = _BY_STATUS.get(response.status_code) or (ServerError if response.status_code >= 500 else RefusedError)
    return kind(
        what,
        url=str(response.url),
        status=response.status_code,
        codes=codes,
        words=words,
        retry_after_seconds=retry_after_seconds(
            response.headers.get("retry-after"), datetime.now(UTC), limits.retry_after_seconds
        ),
    )


async def capped(response: httpx.Response, what: str) -> bytes:
    """Return the body of an answer that is no larger than a manifest may be.

    Raises:
        TooLargeError: it is larger.
    """
    content = await read_capped(response, limits.manifest_bytes)
    if content is None:
        raise TooLargeError(f"{what}: more than {limits.manifest_bytes} bytes", url=str(response.url))
    return content


def media_type_of(response: httpx.Response) -> str | None:
    """Return the media type of an answer without parameters; None: it says none, or none that could be one."""
    said = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
    return said if 0 < len(said) <= 256 else None


def connection_error(error: Exception, what: str, url: str) -> RegistryError:
    """Return what a failure below HTTP means: mostly that it may pass, unless nothing may be sent to the address."""
    if isinstance(error, EgressRefusedError):
        return RedirectRefusedError(f"{what}: {error}", url=url)
    kind = ProtocolError if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL) else UnreachableError
    return kind(f"{what}: {_reason(error)}", url=url)


def _reason(error: BaseException) -> str:
    """Return what broke a connection; of a certificate that is not taken, why: the layers between call it a timeout."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause) is ssl.SSLCertVerificationError:  # aiohttp's own is one too, and does not have the words
            return f"its certificate is not taken: {cause.verify_message}"
        cause = cause.__cause__
    return type(error).__name__


def _read_errors(body: bytes) -> tuple[list[str], str]:
    try:
        document: Any = orjson.loads(body)
        entries = [entry for entry in document["errors"] if isinstance(entry, dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return [], ""
    codes = [code for code in (entry.get("code") for entry in entries) if isinstance(code, str) and code.isascii()]
    words = [text for text in (entry.get("message") for entry in entries) if isinstance(text, str)]
    return [code[:64] for code in codes[:8]], "; ".join(words[:8])
