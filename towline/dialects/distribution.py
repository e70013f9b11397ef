"""The events of CNCF distribution (https://distribution.github.io/distribution/about/notifications/).

An envelope ``{"events": [...]}``, content type ``application/vnd.docker.distribution.events.v1+json`` or ``.v2+json``.
Pulls, mounts, blobs and manifests pushed by digest say nothing about a tag and are passed over; a tag occurs on
manifests and indexes only. The envelope does not name the registry in a way to rely on, so the hook's settings do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import ImageDeleted, ImagePushed
from towline import limits
from towline.dialects.delivery import Delivery, Hint, Translation
from towline.dialects.jsonbytes import read_json
from towline.dialects.moments import instant_or_none
from towline.dialects.reasons import fitted, shown
from towline.errors import UnusableInputError

MEDIA_TYPES: Final = frozenset(
    {
        "application/vnd.docker.distribution.events.v1+json",
        "application/vnd.docker.distribution.events.v2+json",
        "application/json",
    }
)

#: Where the sender wrote what our fields hold.
_PATHS: Final[Mapping[str, str]] = {
    "repository": "target.repository",
    "tag": "target.tag",
    "digest": "target.digest",
    "media_type": "target.mediaType",
    "size": "target.size",
    "actor": "actor.name",
}


class _Part(BaseModel):
    # Other members are the sender's business. Names of images are checked where they are used, not here: a pull of
    # something that we cannot name must not hold up the pushes that came along with it.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _Target(_Part):
    repository: str = ""
    tag: str | None = None
    digest: str | None = None
    media_type: Annotated[str | None, Field(alias="mediaType")] = None
    size: int | None = None


class _Actor(_Part):
    name: str | None = None


class _Event(_Part):
    id: Annotated[str, Field(min_length=1)]
    action: Annotated[str, Field(min_length=1)]
    timestamp: str | None = None
    target: _Target
    actor: _Actor | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tags that were pushed and what was deleted.

    Raises:
        UnusableInputError: no registry is given, the body is no such envelope, or one of its events cannot be used.
    """
    if registry is None:
        raise UnusableInputError("distribution does not say which registry it is: name it, by Kafka header 'registry'")
    if delivery.media_type is not None and delivery.media_type not in MEDIA_TYPES:
        raise UnusableInputError(
            f"content type {shown(delivery.media_type)}; known are {', '.join(sorted(MEDIA_TYPES))}"
        )
    hints: list[Hint] = []
    flags: list[str] = []
    events = _events(read_json(delivery.body, limits.hook_body_bytes))
    for number, raw in enumerate(events):
        path = f"events.{number}"
        event = fitted(_Event, raw, path)
        data = _data(event, registry, path)
        if data is None:
            continue
        hints.append(Hint(data, event.id))
        if event.timestamp is not None and data.occurred_at is None:
            flags.append(f"{path}.timestamp: {shown(event.timestamp)} is not a moment and was left out")
    return Translation(tuple(hints), len(events) - len(hints), tuple(flags))


def _events(envelope: Any) -> list[Any]:
    events = envelope.get("events") if isinstance(envelope, dict) else None
    if not isinstance(events, list):
        raise UnusableInputError('events: the body must be an object with a list "events"')
    return events


def _data(event: _Event, registry: str, path: str) -> ImagePushed | ImageDeleted | None:
    target = event.target
    told: dict[str, Any] = {
        "repository": f"{registry}/{target.repository}",
        "tag": target.tag or None,
        "digest": target.digest or None,
        "actor": (event.actor and event.actor.name) or None,
        "occurred_at": instant_or_none(event.timestamp or ""),
    }
    if event.action == "push" and target.tag:
        told |= {"media_type": target.media_type or None, "size": target.size}
        return fitted(ImagePushed, told, path, _PATHS)
    # Without tag and digest it is the whole repository, which distribution's API cannot delete.
    if event.action == "delete" and (target.tag or target.digest):
        return fitted(ImageDeleted, told, path, _PATHS)
    return None
