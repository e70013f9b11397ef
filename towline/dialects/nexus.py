"""Repository webhooks of Sonatype Nexus (https://help.sonatype.com/en/webhooks.html).

They have no digest, so all that happens to a tag is a hint. Events about components tell of new and deleted tags, those
about assets also of moved ones. Nexus serves a repository under a port or host of its own, or under its name as the
first part of the path: these are the two dialects, ``nexus`` and ``nexus-path``.
"""

import re
from typing import Annotated, Final

from pydantic import Field

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object, spelled
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling, is_digest
from towline.errors import UnusableInputError

_KEY_HEADER: Final = "x-nexus-webhook-delivery"

_MANIFEST: Final = re.compile(r"/?v2/(?P<name>[^:@]+)/manifests/(?P<reference>[^/]+)")

#: The zone as Nexus writes it, without the colon of RFC 3339.
_ZONE: Final = re.compile(r"([+-]\d\d)(\d\d)\Z", re.ASCII)


class _Component(Part):
    format: str
    name: str
    version: str | None = None


class _Asset(Part):
    format: str
    name: str


class _Message(Part):
    action: str
    repository: Annotated[str, Field(alias="repositoryName")]
    timestamp: str | None = None
    initiator: str | None = None
    component: _Component | None = None
    asset: _Asset | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that something happened to, as a hint, of a registry that is one repository of Nexus.

    Raises:
        UnusableInputError: no registry is given, or the body is about neither a component nor an asset.
    """
    return _translate(delivery, Telling("nexus", registry), named=False)


def translate_path(delivery: Delivery, registry: str | None) -> Translation:
    """Return the same, with the name of the repository of Nexus as the first part of the name.

    Raises:
        UnusableInputError: as :func:`translate`.
    """
    return _translate(delivery, Telling("nexus-path", registry), named=True)


def _translate(delivery: Delivery, telling: Telling, *, named: bool) -> Translation:
    message = fitted(_Message, read_object(delivery.body))
    about = message.component or message.asset
    if about is None:
        raise UnusableInputError("neither a component nor an asset: choose these events in the capability")
    if message.action not in {"CREATED", "UPDATED", "DELETED", "PURGED"}:
        raise UnusableInputError(
            f"action: {shown(message.action)} is unknown; known are CREATED, DELETED, PURGED, UPDATED"
        )
    found = _tag(about)
    if about.format != "docker":
        telling.passed("", f"format {shown(about.format)} is no image")
    elif found is None:
        telling.passed("", "it names no tag: a blob, or a manifest by its digest")
    else:
        name, tag = found
        time = None if message.timestamp is None else _ZONE.sub(r"\1:\2", message.timestamp)
        telling.hinted(
            _key(delivery, message),
            "",
            f"{message.repository}/{name}" if named else name,
            tag=tag,
            actor=message.initiator,
            occurred_at=telling.moment("timestamp", time),
        )
    return telling.translation()


def _key(delivery: Delivery, message: _Message) -> str | None:
    key = delivery.headers.get(_KEY_HEADER)
    if key or message.timestamp is None:
        return key or None
    return spelled([message.action, message.timestamp])


def _tag(about: _Component | _Asset) -> tuple[str, str] | None:
    """Return name and tag, or None when it is about no tag."""
    if isinstance(about, _Component):
        name, reference = about.name, about.version or ""
    else:
        manifest = _MANIFEST.fullmatch(about.name)
        name, reference = (manifest["name"], manifest["reference"]) if manifest else ("", "")
    return None if not reference or is_digest(reference) else (name, reference)
