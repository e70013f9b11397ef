"""Making and pushing a small image, for demonstrations and tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from schemas.canonical import canonical_bytes
from schemas.descriptors import OCI_MANIFEST, Descriptor
from towline.registry.blobs import digest_of
from towline.registry.client import RegistryClient
from towline.registry.manifests import parse_manifest

#: Not ours: the push notifications of what we do ourselves are no news, and these are to be.
_AGENT: Final = "image-pusher/1"

CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"


async def push_image(
    client: RegistryClient,
    repository_name: str,
    tag: str,
    layers: Sequence[bytes],
    *,
    labels: Mapping[str, str] | None = None,
    architecture: str = "amd64",
) -> Descriptor:
    """Push an image of uncompressed ``layers`` under a tag and return the descriptor of its manifest.

    The same arguments make the same digest.

    Raises:
        RegistryError: the registry failed or refused.
    """
    config = canonical_bytes(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": dict(labels or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
    )
    described = [await push_blob(client, repository_name, layer, LAYER_TYPE) for layer in layers]
    manifest = canonical_bytes(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _entry(await push_blob(client, repository_name, config, CONFIG_TYPE)),
            "layers": [_entry(layer) for layer in described],
        }
    )
    return await push_manifest(client, repository_name, tag, manifest, OCI_MANIFEST)


async def push_blob(client: RegistryClient, repository_name: str, content: bytes, media_type: str) -> Descriptor:
    """Push a blob unless it is there, and return its descriptor."""
    blob = Descriptor(media_type=media_type, digest=digest_of(content), size=len(content))
    if not await client.has_blob(repository_name, blob.digest, push=True):
        upload = await client.start_upload(repository_name)
        await client.put_blob(upload, blob, lambda: _chunks(content))
    return blob


async def push_manifest(
    client: RegistryClient, repository_name: str, reference: str, content: bytes, media_type: str
) -> Descriptor:
    """Push the bytes of a manifest or index under a tag or its digest, and return its descriptor."""
    manifest = parse_manifest(content, digest_of(content), media_type)
    await client.put_manifest(repository_name, reference, manifest, agent=_AGENT)
    return Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=len(content))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


def _entry(descriptor: Descriptor) -> dict[str, str | int]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
