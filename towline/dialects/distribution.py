"""The events of CNCF distribution (https://distribution.github.io/distribution/about/notifications/).

An envelope ``{"events": [...]}``, content type ``application/vnd.docker.distribution.events.v1+json`` or ``.v2+json``;
GitLab's registry sends the same. Pulls, mounts, blobs and manifests pushed by digest say nothing about a tag and are
passed over; a tag occurs on manifests and indexes only. The envelope does not name the registry in a way to rely on, so
the hook's settings do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from towline import limits
from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_json
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, at
from towline.errors import UnusableInputError

MEDIA_TYPES: Final = frozenset(
    {
        "application/vnd.docker.distribution.events.v1+json",
        "application/vnd.docker.distribution.events.v2+json",
        "application/json",
    }
)

#: Where the sender wrote what our members hold.
PATHS: Final[Mapping[str, str]] = {
    "repository": "target.repository",
    "tag": "target.tag",
    "digest": "target.digest",
    "media_type": "target.mediaType",
    "size": "target.size",
    "actor": "actor.name",
}


class _Target(Part):
    repository: str = ""
    tag: str | None = None
    digest: str | None = None
    media_type: Annotated[str | None, Field(alias="mediaType")] = None
    size: int | None = None


class _Actor(Part):
    name: str | None = None


class _Request(Part):
    useragent: str | None = None


class RegistryEvent(Part):
    """One event, as distribution and those who took over its form write it."""

    id: Annotated[str, Field(min_length=1)]
    action: Annotated[str, Field(min_length=1)]
    timestamp: str | None = None
    target: _Target
    actor: _Actor | None = None
    request: _Request | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tags that were pushed and what was deleted.

    Raises:
        UnusableInputError: no registry is given, the body is no such envelope, or one of its events cannot be used.
    """
    telling = Telling("distribution", registry, PATHS)
    if delivery.media_type is not None and delivery.media_type not in MEDIA_TYPES:
        raise UnusableInputError(
            f"content type {shown(delivery.media_type)}; known are {', '.join(sorted(MEDIA_TYPES))}"
        )
    envelope = read_json(delivery.body, limits.hook_body_bytes)
    events: Any = envelope.get("events") if isinstance(envelope, dict) else None
    if not isinstance(events, list):
        raise UnusableInputError('events: the body must be an object with a list "events"')
    for number, raw in enumerate(events):
        event = fitted(RegistryEvent, raw, f"events.{number}")
        tell(telling, event, event.id, f"events.{number}")
    return telling.translation()


def tell(telling: Telling, event: RegistryEvent, key: str, path: str) -> None:
    """Tell what one event says. An unknown action is passed over: it must not hold up what came along with it.

    Raises:
        UnusableInputError: an image of a push or a deletion has an impossible name.
    """
    target = event.target
    if event.action not in {"push", "delete"}:
        telling.passed(path, f"action {shown(event.action)} neither pushes nor deletes")
    elif not target.tag and (event.action == "push" or not target.digest):
        # A deletion without tag and digest is one of the whole repository, which the API of registries does not have.
        telling.passed(path, "it names no tag: a blob, or a manifest pushed by its digest")
    elif not telling.is_ours(path, event.request.useragent if event.request else None):
        members: dict[str, Any] = {
            "tag": target.tag,
            "digest": target.digest,
            "actor": event.actor and event.actor.name,
            "occurred_at": telling.moment(at(path, "timestamp"), event.timestamp),
        }
        if event.action == "push":
            telling.pushed(key, path, target.repository, **members, media_type=target.media_type, size=target.size)
        else:
            telling.deleted(key, path, target.repository, **members)
