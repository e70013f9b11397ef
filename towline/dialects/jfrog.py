"""Webhooks of JFrog Artifactory, domain ``docker`` (https://docs.jfrog.com/administration/docs/event-types).

They have a digest, but no moment and no id. The checksum that they give is that of the manifest, whose digest it is.
Artifactory serves a repository under its key as the first part of the path, or under a host of its own: these are the
two dialects, ``jfrog`` and ``jfrog-subdomain``.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, is_digest
from towline.errors import UnusableInputError

_PATHS: Final = {"repository": "repo_key, image_name", "digest": "sha256"}

#: How Artifactory names the folder of a manifest that has no tag.
_UNTAGGED: Final = "sha256__"


class _Image(Part):
    repo_key: str
    image_name: str
    tag: str
    sha256: Annotated[str | None, Field(pattern=r"^[a-f0-9]{64}$")] = None
    size: int | None = None


class _Message(Part):
    domain: str
    event_type: str
    data: dict[str, Any]
    source: str | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return what happened, with the repository's key as the first part of the name.

    Raises:
        UnusableInputError: no registry is given, the event is none of domain docker, or its image cannot be used.
    """
    return _translate(delivery, Telling("jfrog", registry, _PATHS), keyed=True)


def translate_subdomain(delivery: Delivery, registry: str | None) -> Translation:
    """Return what happened, for a registry that is one repository of Artifactory under a host of its own.

    Raises:
        UnusableInputError: as :func:`translate`.
    """
    return _translate(delivery, Telling("jfrog-subdomain", registry, _PATHS), keyed=False)


def _translate(delivery: Delivery, telling: Telling, *, keyed: bool) -> Translation:
    message = fitted(_Message, read_object(delivery.body))
    kind = f"{message.domain}/{message.event_type}"
    if kind not in {"docker/pushed", "docker/deleted", "docker/promoted"}:
        raise UnusableInputError(f"{shown(kind)} is unknown; known are docker/deleted, docker/promoted, docker/pushed")
    image = fitted(_Image, message.data, "data")
    name = f"{image.repo_key}/{image.image_name}" if keyed else image.image_name
    if is_digest(image.tag) or image.tag.startswith(_UNTAGGED):
        telling.passed("data", "a manifest under no tag")
        return telling.translation()
    members: dict[str, Any] = {"tag": image.tag, "actor": message.source}
    digest = None if image.sha256 is None else f"sha256:{image.sha256}"
    if message.event_type == "promoted" or digest is None:
        # It does not say if this is where the image came from or where it went.
        telling.hinted(None, "data", name, **members)
    elif message.event_type == "pushed":
        telling.pushed(None, "data", name, **members, digest=digest, size=image.size)
    else:
        telling.deleted(None, "data", name, **members, digest=digest)
    return telling.translation()
