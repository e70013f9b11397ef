"""Images in all shapes, pushed through the client under test, and a reader that checks them independently."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from schemas.commands import CopyImage, RemoveTag
from schemas.descriptors import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor
from schemas.policies import CopyOptions
from schemas.references import Reference
from towline.registry.client import RegistryClient
from towline.registry.images import push_blob, push_image, push_manifest

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def entry(descriptor: Descriptor, **members: Any) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size, **members}


def copy_command(source: str, digest: str, target: str, **options: Any) -> CopyImage:
    return CopyImage(
        decision_id="0" * 64,
        policy="to-qa",
        source=Reference.parse(source),
        digest=digest,
        target=Reference.parse(target),
        hops=1,
        options=CopyOptions(**options),
    )


def remove_command(target: str, digest: str) -> RemoveTag:
    return RemoveTag(
        decision_id="0" * 64,
        policy="to-qa",
        source=Reference.parse("source/dev/app:1.0"),
        digest=digest,
        target=Reference.parse(target),
        hops=1,
    )


async def never_reduced(command: RemoveTag) -> None:
    """Say that the target tag got nothing in place of the commanded digest."""


async def push_index(
    client: RegistryClient, repository: str, tag: str, children: Sequence[Descriptor], media_type: str = OCI_INDEX
) -> Descriptor:
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [entry(child) for child in children]}
    return await push_manifest(client, repository, tag, json.dumps(document, indent=3).encode(), media_type)


async def push_platforms(client: RegistryClient, repository: str, tag: str) -> Descriptor:
    """Push an index of two images that share a layer."""
    children = [
        await push_image(client, repository, name, [b"shared layer", name.encode()], architecture=name)
        for name in ("amd64", "arm64")
    ]
    return await push_index(client, repository, tag, children)


async def push_multi_platform(
    client: RegistryClient, repository: str, tag: str, *platforms: str, attested: bool = False
) -> tuple[Descriptor, dict[str, Descriptor]]:
    """Push an index whose entries name their platforms, each with an attestation if wanted; return both."""
    images: dict[str, Descriptor] = {}
    entries: list[dict[str, Any]] = []
    for platform in platforms:
        system, architecture, *variant = platform.split("/")
        parts = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        image = await push_image(
            client, repository, "child", [b"shared layer", platform.encode()], architecture=architecture
        )
        images[platform] = image
        entries.append(entry(image, platform=parts))
    for platform in platforms if attested else ():
        image = images[platform]
        layer = await push_blob(client, repository, f"about {platform}".encode(), "application/vnd.in-toto+json")
        about = await push_manifest_of(client, repository, "child", [layer])
        images[f"attestation {platform}"] = about
        marks = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
        entries.append(entry(about, platform={"os": "unknown", "architecture": "unknown"}, annotations=marks))
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return await push_manifest(client, repository, tag, json.dumps(document).encode(), OCI_INDEX), images


async def push_referrer(
    client: RegistryClient,
    repository: str,
    subject: Descriptor,
    text: str,
    *,
    tag: str | None = None,
    artifact_type: str = "application/x.report",
    **members: Any,
) -> Descriptor:
    """Push an artifact about ``subject``, by its digest or under a tag."""
    layer = await push_blob(client, repository, text.encode(), "text/plain")
    config = await push_blob(client, repository, b"{}", "application/vnd.oci.empty.v1+json")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": entry(config),
        "layers": [entry(layer)],
        "subject": entry(subject),
        **members,
    }
    content = json.dumps(document).encode()
    return await push_manifest(client, repository, tag or f"sha256:{_hex(content)}", content, OCI_MANIFEST)


async def push_docker_image(client: RegistryClient, repository: str, tag: str, *, layer: bytes = b"a") -> Descriptor:
    config = await push_blob(client, repository, b'{"architecture":"amd64","os":"linux"}', DOCKER_CONFIG)
    layers = [await push_blob(client, repository, layer, DOCKER_LAYER)]
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": entry(config),
        "layers": [entry(item) for item in layers],
    }
    return await push_manifest(client, repository, tag, json.dumps(document).encode(), DOCKER_MANIFEST)


async def push_docker_index(client: RegistryClient, repository: str, tag: str) -> Descriptor:
    child = await push_docker_image(client, repository, "child")
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_INDEX,
        "manifests": [entry(child, platform={"architecture": "amd64", "os": "linux"})],
    }
    return await push_manifest(client, repository, tag, json.dumps(document).encode(), DOCKER_INDEX)


async def push_manifest_of(
    client: RegistryClient, repository: str, tag: str, layers: Sequence[Descriptor], /, **members: Any
) -> Descriptor:
    """Push a manifest with layers as given, which need not be there, and further members."""
    config = await push_blob(client, repository, b"{}", "application/vnd.oci.empty.v1+json")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": entry(config),
        "layers": [entry(item) for item in layers],
        **members,
    }
    return await push_manifest(client, repository, tag, json.dumps(document).encode(), OCI_MANIFEST)


async def assert_complete(client: RegistryClient, repository: str, digest: str) -> int:
    """Check that everything under ``digest`` is there and hashes right; return how many blobs were read."""
    manifest = await client.get_manifest(repository, digest)
    assert _digest(manifest.content, digest) == digest
    document = json.loads(manifest.content)
    count = 0
    for child in document.get("manifests", []):
        count += await assert_complete(client, repository, child["digest"])
    blobs = [*document.get("layers", []), *([document["config"]] if "config" in document else [])]
    for blob in blobs:
        described = Descriptor(media_type=blob["mediaType"], digest=blob["digest"], size=blob["size"])
        async with client.open_blob(repository, described) as chunks:
            content = b"".join([chunk async for chunk in chunks])
        assert (_digest(content, blob["digest"]), len(content)) == (blob["digest"], blob["size"])
        count += 1
    return count


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(content: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
