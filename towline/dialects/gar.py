"""Notifications of Google Artifact Registry by a Pub/Sub push subscription
(https://cloud.google.com/artifact-registry/docs/configure-notifications).

Wrapped, as ``{"message": {"data": BASE64, "messageId"}}``, or unwrapped, where the body is the data itself. Data names
images by whole references, host first; the host is not looked at, because the hook's settings name the registry.
"""

import base64
from typing import Annotated, Any, Final

from pydantic import Field

from towline import limits
from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_json, read_object
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling
from towline.errors import UnusableInputError

#: Where an unwrapped message has its id.
_ID_HEADER: Final = "x-goog-pubsub-message-id"
_TIME_HEADER: Final = "x-goog-pubsub-publish-time"


class _Message(Part):
    data: str
    id: Annotated[str | None, Field(alias="messageId")] = None
    time: Annotated[str | None, Field(alias="publishTime")] = None


class _Wrapped(Part):
    message: _Message


class _Change(Part):
    action: str
    digest: str | None = None
    tag: str | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that was pushed, or what was deleted.

    Raises:
        UnusableInputError: no registry is given, the body is no such message, or it names no image.
    """
    telling = Telling("gar", registry)
    body = read_object(delivery.body)
    if "message" in body:
        message = fitted(_Wrapped, body).message
        path, key, time, raw = "message.data", message.id, message.time, _data(message.data)
    else:
        path, key, time, raw = "", delivery.headers.get(_ID_HEADER), delivery.headers.get(_TIME_HEADER), body
    _tell(telling, fitted(_Change, raw, path), path, key or None, time)
    return telling.translation()


def _data(text: str) -> Any:
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise UnusableInputError("message.data: not base64") from None
    try:
        return read_json(content, limits.hook_body_bytes)
    except UnusableInputError as error:
        raise UnusableInputError(f"message.data: {error}") from None


def _tell(telling: Telling, change: _Change, path: str, key: str | None, time: str | None) -> None:
    tag_name, tag = _split(change.tag, ":", "tag")
    digest_name, digest = _split(change.digest, "@", "digest")
    name = tag_name or digest_name
    if name is None:
        raise UnusableInputError("neither a tag nor a digest says which image it is about")
    if digest_name not in {None, name}:
        raise UnusableInputError("tag and digest are of different repositories")
    occurred_at = telling.moment("publishTime", time)
    match change.action:
        case "INSERT" if tag is None:
            telling.passed(path, "pushed by its digest, under no tag")
        case "INSERT" if digest is None:
            telling.hinted(key, path, name, tag=tag, occurred_at=occurred_at)
        case "INSERT":
            telling.pushed(key, path, name, tag=tag, digest=digest, occurred_at=occurred_at)
        case "DELETE":
            telling.deleted(key, path, name, tag=tag, digest=digest, occurred_at=occurred_at)
        case unknown:
            raise UnusableInputError(f"action: {shown(unknown)} is unknown; known are DELETE, INSERT")


def _split(reference: str | None, separator: str, member: str) -> tuple[str | None, str | None]:
    """Return the name, without the host, and what follows the separator."""
    if not reference:
        return None, None
    host, slash, path = reference.partition("/")
    name, found, last = path.rpartition(separator)
    if not (host and slash and name and found):
        raise UnusableInputError(f"{member}: {shown(reference)} is not HOST/NAME{separator}{member.upper()}")
    return name, last
