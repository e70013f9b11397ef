"""Events of zot (https://zotregistry.dev/latest/articles/events/): CloudEvents, by HTTP in binary mode.

Their types begin with a prefix that its settings may change, so only what follows counts.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from towline.dialects.cloudevents import key_of, read_event
from towline.dialects.delivery import Delivery, Translation
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, is_digest
from towline.errors import UnusableInputError

_PATHS: Final = {"repository": "name", "tag": "reference", "media_type": "mediaType", "counts": "summary"}

_PASSED: Final = {
    "image.lint_failed": "an image that zot refused",
    "repository.created": "a repository without tags",
}
_TOLD: Final = ("image.updated", "image.deleted", "image.scanned")


class _Actor(Part):
    name: str | None = None


class _Request(Part):
    useragent: str | None = None


class _Image(Part):
    name: str
    reference: str
    digest: str | None = None
    media_type: Annotated[str | None, Field(alias="mediaType")] = None
    actor: _Actor | None = None
    request: _Request | None = None
    summary: dict[str, Any] | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that was pushed, what was deleted, or which scan ended.

    Raises:
        UnusableInputError: no registry is given, it is no CloudEvent of zot's, or its image cannot be used.
    """
    telling = Telling("zot", registry, _PATHS)
    event = read_event(delivery)
    kind = ".".join(event.type.rsplit(".", 2)[-2:])
    if kind in _PASSED:
        telling.passed("", _PASSED[kind])
    elif kind not in _TOLD:
        raise UnusableInputError(f"type: {shown(event.type)} is unknown; known end in {', '.join((*_PASSED, *_TOLD))}")
    else:
        image = fitted(_Image, event.data, "data")
        if not telling.is_ours("data", image.request.useragent if image.request else None):
            _tell(telling, kind, key_of(event), image, telling.moment("time", event.time))
    return telling.translation()


def _tell(telling: Telling, kind: str, key: str, image: _Image, occurred_at: str | None) -> None:
    by_digest = is_digest(image.reference)
    members: dict[str, Any] = {
        "tag": None if by_digest else image.reference,
        # What is deleted by its digest may name it only once.
        "digest": image.digest or (image.reference if by_digest else None),
        "actor": image.actor and image.actor.name,
        "occurred_at": occurred_at,
    }
    match kind:
        case "image.scanned":
            telling.scanned(key, "data", image.name, succeeded=True, scanner="zot", counts=_counts(image), **members)
        case "image.deleted":
            telling.deleted(key, "data", image.name, **members)
        case _ if by_digest:
            telling.passed("data", "pushed by its digest, under no tag")
        case _:
            telling.pushed(key, "data", image.name, media_type=image.media_type, **members)


def _counts(image: _Image) -> dict[str, int]:
    """Return the members such as ``criticalCount`` by band; ``count`` is all of them."""
    counts = {name: number for name, number in (image.summary or {}).items() if type(number) is int}
    bands = {name.removesuffix("Count"): number for name, number in counts.items() if name.endswith("Count")}
    return bands | ({"all": counts["count"]} if "count" in counts else {})
