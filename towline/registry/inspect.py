"""What a digest consists of: its platforms, with the size, age and labels of each."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from schemas.catalogue import problems_in
from schemas.descriptors import INDEX_TYPES, Descriptor
from schemas.facts import ImageInspected, PlatformImage
from schemas.instants import format_instant
from schemas.policies import Platform
from schemas.references import Repository
from towline import limits
from towline.registry.client import RegistryClient
from towline.registry.errors import TooLargeError, UnsupportedManifestError
from towline.registry.manifests import Manifest
from towline.registry.parallel import each
from towline.registry.platforms import NO_PLATFORM, entries, is_attestation, platform_of

#: Configurations of images; whatever else a manifest is configured by, it is no image.
CONFIG_TYPES: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)

_READS_AT_A_TIME: Final = 4

_PLATFORM: Final[TypeAdapter[str]] = TypeAdapter(Platform)

FactT = TypeVar("FactT", ImageInspected, PlatformImage)


async def inspect_image(client: RegistryClient, repository: Repository, digest: str) -> ImageInspected:
    """Return what a registry says about a digest.

    An index has one image for each manifest that is one, also of indexes inside of it; attestations are none, and
    neither is an artifact, whose configuration is not an image's. A platform that the index does not name is that of
    the image's configuration, ``unknown/unknown`` when that names none either.

    Raises:
        NotFoundError: it, or something that it names, is not there.
        UnsupportedManifestError: something there is not what it says to be.
        TooLargeError: beyond the bounds of an index, a configuration or an event.
        RegistryError: the registry failed or refused.
    """
    top = await client.get_manifest(repository.name, digest)
    found = _Inspection(client, repository.name)
    await found.add(top, None, limits.index_depth)
    images = await each(found.manifests, found.image_of, at_a_time=_READS_AT_A_TIME)
    inspected = _fitting(
        ImageInspected,
        {
            "repository": repository,
            "digest": digest,
            "media_type": top.media_type,
            "annotations": _texts(top.document().get("annotations"), digest),
            "images": tuple(image for image in images if image is not None),
        },
    )
    if len(inspected.model_dump_json()) > limits.inspection_bytes:
        raise TooLargeError(f"{repository}@{digest} says more than {limits.inspection_bytes} characters of itself")
    return inspected


class _Inspection:
    """The manifests under one digest that may be images, each with the platform that its index gives it."""

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._count = 0
        self.manifests: list[tuple[Manifest | str, str | None]] = []

    async def add(self, manifest: Manifest, platform: str | None, depth: int) -> None:
        if depth < 0:
            raise TooLargeError(f"{manifest.digest} is nested deeper than {limits.index_depth} indexes")
        if manifest.media_type not in INDEX_TYPES:
            self.manifests.append((manifest, platform))
            return
        children = {child.digest: child for child in manifest.manifests}
        for entry in entries(manifest):
            child = children.get(entry["digest"])
            if child is None or is_attestation(entry):
                continue
            self._count += 1
            if self._count > limits.index_manifest_count:
                raise TooLargeError(f"more than {limits.index_manifest_count} manifests under one image")
            if child.media_type in INDEX_TYPES:
                await self.add(await self._client.get_manifest(self._repository, child.digest), None, depth - 1)
            else:
                self.manifests.append((child.digest, platform_of(entry.get("platform"))))

    async def image_of(self, item: tuple[Manifest | str, str | None]) -> PlatformImage | None:
        """Return the image that a manifest is, or None when it is another artifact."""
        read, platform = item
        manifest = await self._client.get_manifest(self._repository, read) if isinstance(read, str) else read
        descriptor = _config_of(manifest)
        if descriptor is None or descriptor.media_type not in CONFIG_TYPES:
            return None
        content = await self._client.read_blob(self._repository, descriptor, limits.config_bytes)
        config = _object(content, descriptor.digest)
        settings = config.get("config")
        return _fitting(
            PlatformImage,
            {
                "platform": _first_platform(platform, platform_of(config)),
                "digest": manifest.digest,
                "size": len(manifest.content) + sum(blob.size for blob in manifest.blobs),
                "created": _instant(config.get("created")),
                "labels": _texts(settings.get("Labels") if isinstance(settings, dict) else None, manifest.digest),
            },
        )


def _fitting(model: type[FactT], values: dict[str, Any]) -> FactT:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        members = ", ".join(problems_in(error))
        raise TooLargeError(f"{values['digest']} says more of itself than can be recorded: {members}") from None


def _first_platform(*names: str | None) -> str:
    for name in names:
        try:
            return _PLATFORM.validate_python(name)
        except ValidationError:
            # Such as capital letters; whoever wrote them did not mean a platform that anybody can ask for.
            continue
    return NO_PLATFORM


def _config_of(manifest: Manifest) -> Descriptor | None:
    config = manifest.document().get("config")
    if not isinstance(config, Mapping):
        return None
    return next((blob for blob in manifest.blobs if blob.digest == config.get("digest")), None)


def _object(content: bytes, digest: str) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise UnsupportedManifestError(f"{digest} says to be an image's configuration and is not a JSON object")
    return found


def _texts(found: Any, digest: str) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UnsupportedManifestError(f"{digest} has labels or annotations that are no texts")
    return found


def _instant(text: Any) -> str | None:
    """Return when an image was built, or None when its configuration does not say it as a moment.

    Nanoseconds, as some tools write them, are cut to microseconds.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return format_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
