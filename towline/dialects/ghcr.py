"""GitHub's webhooks about packages in its container registry
(https://docs.github.com/en/webhooks/webhook-events-and-payloads#package): ``package`` and ``registry_package``.

Both say the same in a member of their own name. Of the digests that they give at two places one may be wrong, so they
count only where they agree; otherwise the tag is a hint.
"""

import re
from typing import Annotated, Any, Final

from pydantic import Field

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object, spelled
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted, shown
from towline.dialects.telling import Telling
from towline.errors import UnusableInputError

_EVENT_HEADER: Final = "x-github-event"
_KEY_HEADER: Final = "x-github-delivery"
_KINDS: Final = ("package", "registry_package")

_PATHS: Final = {"repository": "namespace, name", "tag": "package_version.container_metadata.tag.name"}

_DIGEST: Final = re.compile(r"sha256:[a-f0-9]{64}")


class _Tag(Part):
    name: str | None = None
    digest: str | None = None


class _Manifest(Part):
    digest: str | None = None
    media_type: str | None = None
    size: int | None = None


class _Metadata(Part):
    tag: _Tag | None = None
    manifest: _Manifest | None = None


class _Version(Part):
    id: int
    version: str | None = None
    container: Annotated[_Metadata | None, Field(alias="container_metadata")] = None


class _Package(Part):
    name: str
    namespace: str
    package_type: str = ""
    updated_at: str | None = None
    version: Annotated[_Version | None, Field(alias="package_version")] = None


class _Sender(Part):
    login: str | None = None


class _Message(Part):
    action: str
    sender: _Sender | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that was pushed.

    Raises:
        UnusableInputError: no registry is given, the event is about no package, or its image cannot be used.
    """
    telling = Telling("ghcr", registry, _PATHS)
    if delivery.media_type == "application/x-www-form-urlencoded":
        raise UnusableInputError("content type: choose application/json in the webhook's settings")
    body = read_object(delivery.body)
    kind = delivery.headers.get(_EVENT_HEADER) or next((name for name in _KINDS if name in body), "")
    if kind == "ping":
        telling.passed("", "a test of the webhook")
    elif kind not in _KINDS:
        raise UnusableInputError(f"event {shown(kind)}: choose only Packages and Registry packages in the webhook")
    else:
        message = fitted(_Message, body)
        package = fitted(_Package, body.get(kind), kind)
        if message.action not in {"published", "updated", "created"}:
            raise UnusableInputError(
                f"action: {shown(message.action)} is unknown; known are created, published, updated"
            )
        _tell(telling, delivery, message, package, kind)
    return telling.translation()


def _tell(telling: Telling, delivery: Delivery, message: _Message, package: _Package, path: str) -> None:
    version = package.version
    if version is None or version.container is None:
        telling.passed(path, f"a package of type {shown(package.package_type)} is no image")
        return
    tag = version.container.tag or _Tag()
    if not tag.name:
        telling.passed(path, "pushed by its digest, under no tag")
        return
    members: dict[str, Any] = {
        "tag": tag.name,
        "actor": message.sender and message.sender.login,
        "occurred_at": telling.moment(f"{path}.updated_at", package.updated_at),
    }
    # GitHub signs the body only: whoever sends a recorded one again could give it another name in a header.
    key = spelled([message.action, version.id, package.updated_at])
    if package.updated_at is None:
        key = delivery.headers.get(_KEY_HEADER) or key
    # References are lower case, whatever the account is called.
    name = f"{package.namespace}/{package.name}".lower()
    digests = {text for text in (version.version, tag.digest) if text and _DIGEST.fullmatch(text)}
    if len(digests) != 1:
        telling.hinted(key, path, name, **members)
        return
    (digest,) = digests
    manifest = version.container.manifest or _Manifest()
    known = manifest if manifest.digest == digest else _Manifest()
    telling.pushed(key, path, name, **members, digest=digest, media_type=known.media_type, size=known.size)
