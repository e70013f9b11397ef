"""What registries hold by the OCI image specification 1.1 and Docker's schema 2, one of each shape.

Each maker pushes into a repository under the tag ``1.0`` and returns the descriptor of that.
"""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from schemas.descriptors import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor
from tests.support.images import (
    DOCKER_CONFIG,
    entry,
    push_docker_image,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
    push_platforms,
)
from tests.support.signing import attach
from towline.registry import RegistryClient, push_image
from towline.registry.blobs import digest_of
from towline.registry.images import LAYER_TYPE, push_blob, push_manifest

Maker = Callable[[RegistryClient, str], Awaitable[Descriptor]]

EMPTY_JSON: Final = "application/vnd.oci.empty.v1+json"
_TAG: Final = "1.0"


async def image(client: RegistryClient, repository: str) -> Descriptor:
    return await push_image(client, repository, _TAG, [b"one", b"x" * 3_000_000], labels={"a": "b"})


async def empty_layer(client: RegistryClient, repository: str) -> Descriptor:
    return await push_image(client, repository, _TAG, [b"", b"not empty"])


async def no_layers(client: RegistryClient, repository: str) -> Descriptor:
    return await push_manifest_of(client, repository, _TAG, [])


async def same_layer_twice(client: RegistryClient, repository: str) -> Descriptor:
    layer = await push_blob(client, repository, b"twice", LAYER_TYPE)
    return await push_manifest_of(client, repository, _TAG, [layer, layer])


async def unknown_layer_type(client: RegistryClient, repository: str) -> Descriptor:
    layers = [await push_blob(client, repository, b"\x28\xb5\x2f\xfd", f"{LAYER_TYPE}+zstd")]
    layers.append(await push_blob(client, repository, b"model", "application/vnd.example.weights; precision=8"))
    return await push_manifest_of(client, repository, _TAG, layers)


async def sha512_layer(client: RegistryClient, repository: str) -> Descriptor:
    content = b"named by its sha512"

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    layer = Descriptor(media_type=LAYER_TYPE, digest=digest_of(content, "sha512"), size=len(content))
    await client.put_blob(await client.start_upload(repository), layer, chunks)
    return await push_manifest_of(client, repository, _TAG, [layer])


async def index(client: RegistryClient, repository: str) -> Descriptor:
    return (await push_multi_platform(client, repository, _TAG, "linux/amd64", "linux/arm/v7", attested=True))[0]


async def nested_index(client: RegistryClient, repository: str) -> Descriptor:
    inner = await push_platforms(client, repository, "inner")
    middle = await push_index(client, repository, "middle", [inner, await push_image(client, repository, "x", [b"x"])])
    return await push_index(client, repository, _TAG, [middle, inner])


async def empty_index(client: RegistryClient, repository: str) -> Descriptor:
    return await push_index(client, repository, _TAG, [])


async def index_without_media_type(client: RegistryClient, repository: str) -> Descriptor:
    child = await push_image(client, repository, "child", [b"layer"])
    document = {"schemaVersion": 2, "manifests": [entry(child)], "annotations": {"a": "b"}}
    return await push_manifest(client, repository, _TAG, json.dumps(document).encode(), OCI_INDEX)


async def artifact(client: RegistryClient, repository: str) -> Descriptor:
    """An artifact whose empty configuration comes along in its descriptor."""
    config = await push_blob(client, repository, b"{}", EMPTY_JSON)
    layer = await push_blob(client, repository, b"# Read me", "text/markdown")
    members = {"config": entry(config, data=base64.b64encode(b"{}").decode()), "layers": [entry(layer)]}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.docs",
        **members,
    }
    return await push_manifest(client, repository, _TAG, json.dumps(document).encode(), OCI_MANIFEST)


async def artifact_with_subject(client: RegistryClient, repository: str) -> Descriptor:
    """Itself a referrer, of something that does not come along."""
    subject = await push_image(client, repository, "subject", [b"subject"])
    layer = await push_blob(client, repository, b"report", "text/plain")
    return await push_manifest_of(
        client, repository, _TAG, [layer], artifactType="application/x.report", subject=entry(subject)
    )


async def big_annotations(client: RegistryClient, repository: str) -> Descriptor:
    annotations = {f"org.example.{number}": "y" * 60_000 for number in range(16)}
    return await push_manifest_of(client, repository, _TAG, [], annotations=annotations)


async def docker_image(client: RegistryClient, repository: str) -> Descriptor:
    return await push_docker_image(client, repository, _TAG)


async def docker_list(client: RegistryClient, repository: str) -> Descriptor:
    return await push_docker_index(client, repository, _TAG)


async def foreign_layers(client: RegistryClient, repository: str) -> Descriptor:
    """A Docker image one layer of which is only named, with the address where it is to be had."""
    config = await push_blob(client, repository, b'{"architecture":"amd64","os":"windows"}', DOCKER_CONFIG)
    layer = await push_blob(client, repository, b"ours", "application/vnd.docker.image.rootfs.diff.tar.gzip")
    elsewhere = Descriptor(
        media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", digest=digest_of(b"theirs"), size=6
    )
    layers = [entry(elsewhere, urls=["https://layers.example/theirs"]), entry(layer)]
    document = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": entry(config), "layers": layers}
    return await push_manifest(client, repository, _TAG, json.dumps(document).encode(), DOCKER_MANIFEST)


SHAPES: Final[dict[str, Maker]] = {
    made.__name__.replace("_", " "): made
    for made in (
        image,
        empty_layer,
        no_layers,
        same_layer_twice,
        unknown_layer_type,
        sha512_layer,
        index,
        nested_index,
        empty_index,
        index_without_media_type,
        artifact,
        artifact_with_subject,
        big_annotations,
        docker_image,
        docker_list,
        foreign_layers,
    )
}


async def everything_under(client: RegistryClient, repository: str, digest: str) -> dict[str, Any]:
    """Return all that belongs to a digest, checked against its digest: manifests by their bytes, blobs by their size.

    Layers that are elsewhere are not looked for.
    """
    manifest = await client.get_manifest(repository, digest)
    found: dict[str, Any] = {digest: manifest.content}
    for child in manifest.manifests:
        found |= await everything_under(client, repository, child.digest)
    for blob in manifest.blobs:
        found[blob.digest] = len(await client.read_blob(repository, blob, 10_000_000))
    return found


_CHAINS: Final = (
    ("sbom", "signature of the sbom", "remark on the signature"),
    ("scan report",),
    ("sbom of a platform", "signature of that"),
)
REFERRER_TITLES: Final = tuple(title for chain in _CHAINS for title in chain)


async def with_referrers(client: RegistryClient, repository: str) -> Descriptor:
    """Push an index with referrers on it and on an image in it, and referrers of those."""
    root, images = await push_multi_platform(client, repository, _TAG, "linux/amd64", "linux/arm64")
    for first, chain in zip((root, root, images["linux/arm64"]), _CHAINS, strict=True):
        subject = first
        for title in chain:
            annotations = {"title": title}
            subject = await attach(client, repository, subject, title.encode(), "text/plain", annotations=annotations)
    return root
