"""What registries may or may not offer: sha512, and removals."""

from collections.abc import AsyncIterator

import pytest

from schemas.descriptors import OCI_MANIFEST, Descriptor
from tests.support.images import assert_complete, push_manifest_of
from tests.support.registries import Contract
from towline.registry import RegistryClient, push_image
from towline.registry.blobs import digest_of
from towline.registry.errors import NotFoundError, RegistryError, RemovalRefusedError
from towline.registry.manifests import parse_manifest


def sha512_layer(content: bytes) -> Descriptor:
    return Descriptor(media_type="text/plain", digest=digest_of(content, "sha512"), size=len(content))


async def put_blob(client: RegistryClient, repository: str, blob: Descriptor, content: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await client.put_blob(await client.start_upload(repository), blob, chunks)


async def test_a_blob_can_be_named_by_its_sha512(registry: Contract) -> None:
    registry.needs("sha512 blobs")
    layer = sha512_layer(b"content")
    await put_blob(registry.client, "team/app", layer, b"content")
    image = await push_manifest_of(registry.client, "team/app", "1.0", [layer])
    assert await assert_complete(registry.client, "team/app", image.digest) == 2


async def test_a_manifest_can_be_named_by_its_sha512(registry: Contract) -> None:
    registry.needs("sha512 manifests")
    image = await push_image(registry.client, "team/app", "1.0", [b"one"])
    content = (await registry.client.get_manifest("team/app", image.digest)).content
    digest = digest_of(content, "sha512")
    await registry.client.put_manifest("team/app", digest, parse_manifest(content, digest, OCI_MANIFEST))
    assert (await registry.client.get_manifest("team/app", digest)).content == content
    with pytest.raises(RegistryError):
        await registry.client.put_manifest("team/app", digest, parse_manifest(content + b" ", digest, OCI_MANIFEST))
    assert {tag async for tag in registry.client.list_tags("team/app")} == {"1.0"}


async def test_a_tag_is_removed_and_what_it_pointed_to_stays(registry: Contract) -> None:
    registry.needs("removal of a tag")
    image = await push_image(registry.client, "team/app", "1.0", [b"one"])
    await push_image(registry.client, "team/app", "same", [b"one"])
    await registry.client.delete_manifest("team/app", "1.0")
    assert [tag async for tag in registry.client.list_tags("team/app")] == ["same"]
    assert await registry.client.has_manifest("team/app", image.digest)
    with pytest.raises(NotFoundError):
        await registry.client.delete_manifest("team/app", "1.0")


async def test_a_registry_removes_a_tag_or_refuses_and_keeps_it(registry: Contract) -> None:
    image = await push_image(registry.client, "team/app", "1.0", [b"one"])
    try:
        await registry.client.delete_manifest("team/app", "1.0")
    except RemovalRefusedError:
        assert not registry.kind.can("removal of a tag")
        assert await registry.client.resolve("team/app", "1.0") == image.digest
    else:
        assert registry.kind.can("removal of a tag")


async def test_a_manifest_is_removed_with_all_of_its_tags(registry: Contract) -> None:
    registry.needs("removal with all tags")
    image = await push_image(registry.client, "team/app", "1.0", [b"one"])
    await push_image(registry.client, "team/app", "same", [b"one"])
    other = await push_image(registry.client, "team/app", "other", [b"two"])
    await registry.client.delete_manifest("team/app", image.digest)
    assert [tag async for tag in registry.client.list_tags("team/app")] == ["other"]
    assert not await registry.client.has_manifest("team/app", image.digest)
    assert await registry.client.resolve("team/app", "other") == other.digest
    with pytest.raises(NotFoundError):
        await registry.client.delete_manifest("team/app", image.digest)
