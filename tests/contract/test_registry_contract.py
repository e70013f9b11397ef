"""The same promises on the registry inside the process and on real ones."""

import json
from collections.abc import AsyncIterator

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST, Descriptor
from schemas.events import TransferCompleted, TransferSkipped
from schemas.patterns import SourcePattern
from schemas.references import Repository
from tests.support.images import (
    assert_complete,
    copy_command,
    entry,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
    push_platforms,
    push_referrer,
)
from tests.support.registries import Contract
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, carry_out, push_image
from towline.registry.access import check_access
from towline.registry.blobs import digest_of
from towline.registry.errors import (
    ContentMissingError,
    DigestMismatchError,
    NotFoundError,
)
from towline.registry.images import push_blob, push_manifest
from towline.registry.inspect import inspect_image
from towline.registry.referrers import fallback_tag, find_attached


async def test_a_pushed_image_is_found_by_its_tag_and_read_back_byte_for_byte(registry: Contract) -> None:
    image = await push_image(registry.client, "team/app", "1.0", [b"one", b""], labels={"a": "b"})
    assert await registry.client.resolve("team/app", "1.0") == image.digest
    manifest = await registry.client.get_manifest("team/app", image.digest)
    assert (digest_of(manifest.content), len(manifest.content)) == (image.digest, image.size)
    assert manifest.media_type == OCI_MANIFEST
    assert await assert_complete(registry.client, "team/app", image.digest) == 3


async def test_a_tag_that_is_pushed_again_points_to_the_newer_image(registry: Contract) -> None:
    await push_image(registry.client, "team/app", "1.0", [b"one"])
    newer = await push_image(registry.client, "team/app", "1.0", [b"two"])
    assert await registry.client.resolve("team/app", "1.0") == newer.digest


async def test_what_is_not_there_is_not_found(registry: Contract) -> None:
    await push_image(registry.client, "team/app", "1.0", [b"one"])
    absent = digest_of(b"never pushed")
    with pytest.raises(NotFoundError):
        await registry.client.resolve("team/app", "2.0")
    with pytest.raises(NotFoundError):
        await registry.client.resolve("team/none", "1.0")
    with pytest.raises(NotFoundError):
        await registry.client.get_manifest("team/app", absent)
    with pytest.raises(NotFoundError):
        async with registry.client.open_blob("team/app", Descriptor(media_type="a/b", digest=absent, size=1)):
            pass
    assert not await registry.client.has_blob("team/app", absent)
    assert not await registry.client.has_manifest("team/app", absent)


async def test_a_blob_is_in_the_repositories_that_it_was_pushed_or_mounted_to(registry: Contract) -> None:
    registry.needs("mount", "blobs of each repository")
    blob = await push_blob(registry.client, "team/app", b"content", "a/b")
    assert await registry.client.has_blob("team/app", blob.digest)
    assert not await registry.client.has_blob("team/other", blob.digest)
    assert await registry.client.mount_blob("team/other", blob.digest, "team/app") is None
    assert await registry.client.has_blob("team/other", blob.digest)


async def test_a_mount_of_what_is_not_there_opens_an_upload(registry: Contract) -> None:
    registry.needs("giving up an upload")
    upload = await registry.client.mount_blob("team/other", digest_of(b"never pushed"), "team/app")
    assert upload is not None
    await registry.client.cancel_upload(upload)


async def test_an_upload_that_was_given_up_is_not_known_any_more(registry: Contract) -> None:
    registry.needs("giving up an upload")
    upload = await registry.client.start_upload("team/app")
    await registry.client.cancel_upload(upload)
    with pytest.raises(NotFoundError):
        await registry.client.cancel_upload(upload)


async def test_a_registry_refuses_a_blob_that_does_not_hash_to_its_digest(registry: Contract) -> None:
    claimed = Descriptor(media_type="a/b", digest=digest_of(b"other"), size=5)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"bytes"

    with pytest.raises(DigestMismatchError):
        await registry.client.put_blob(await registry.client.start_upload("team/app"), claimed, chunks)
    assert not await registry.client.has_blob("team/app", claimed.digest)


async def test_a_registry_refuses_a_manifest_before_its_content(registry: Contract) -> None:
    registry.needs("check of what a manifest names")
    absent = Descriptor(media_type="application/x.layer", digest=digest_of(b"never pushed"), size=12)
    with pytest.raises(ContentMissingError):
        await push_manifest_of(registry.client, "team/app", "1.0", [absent])
    with pytest.raises(NotFoundError):
        await registry.client.resolve("team/app", "1.0")


async def test_all_tags_are_listed(registry: Contract) -> None:
    image = await push_image(registry.client, "team/app", "first", [b"one"])
    content = (await registry.client.get_manifest("team/app", image.digest)).content
    tags = {f"tag-{number}" for number in range(120)}
    for tag in sorted(tags):
        await push_manifest(registry.client, "team/app", tag, content, OCI_MANIFEST)
    found = [tag async for tag in registry.client.list_tags("team/app")]
    assert len(found) == 121
    assert set(found) == tags | {"first"}


async def test_all_repositories_are_listed(registry: Contract) -> None:
    names = {f"team/app-{number}" for number in range(120)} | {"deep/er/app"}
    for name in sorted(names):
        await push_image(registry.client, name, "1.0", [b"one"])
    found = [name async for name in registry.client.list_repositories()]
    assert len(found) == len(names)
    assert set(found) == names


async def test_what_a_tag_points_to_is_told_with_its_type_and_size(registry: Contract) -> None:
    image = await push_image(registry.client, "team/app", "1.0", [b"one"])
    named = await registry.client.look_up("team/app", "1.0")
    assert (named.digest, named.media_type, named.size) == (image.digest, OCI_MANIFEST, image.size)


async def test_what_belongs_to_an_image_is_found_in_every_place_and_copied(registry: Contract) -> None:
    client = registry.client
    image = await push_image(client, "dev/app", "1.0", [b"layer"])
    report = await push_referrer(client, "dev/app", image, "report")
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(report)]}).encode()
    await push_manifest(client, "dev/app", fallback_tag(image.digest), content, OCI_INDEX)
    signature = await push_manifest_of(client, "dev/app", f"{fallback_tag(image.digest)}.sig", [])
    found = await find_attached(client, "dev/app", image.digest)
    assert set(found.digests) == {report.digest, signature.digest}
    engine = CopyEngine(registry.registries, Failpoints())
    await engine.copy(copy_command("one/dev/app:1.0", image.digest, "one/qa/app:1.0"))
    copied = await find_attached(client, "qa/app", image.digest)
    assert set(copied.digests) == set(found.digests)
    assert set(copied.tags) == set(found.tags)


async def test_an_inspection_says_the_same_of_the_same_image(registry: Contract) -> None:
    index, images = await push_multi_platform(registry.client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    inspected = await inspect_image(registry.client, Repository.parse("one/dev/app"), index.digest)
    assert {image.platform: image.digest for image in inspected.images} == {
        platform: image.digest for platform, image in images.items()
    }


async def test_a_check_of_access_leaves_nothing(registry: Contract) -> None:
    registry.needs("uploads that leave nothing")
    await push_image(registry.client, "dev/app", "1.0", [b"layer"])
    sources = [SourcePattern.parse("one/dev/app"), SourcePattern.parse("one/dev/*")]
    found = await check_access(registry.registries, sources, [Repository.parse("one/qa/app")])
    assert all(access.is_fine for access in found), found
    assert [name async for name in registry.client.list_repositories()] == ["dev/app"]


async def test_odd_spacing_and_member_order_survive(registry: Contract) -> None:
    config = await push_blob(registry.client, "team/app", b"{}", "application/vnd.oci.empty.v1+json")
    members = {"digest": config.digest, "size": config.size, "mediaType": config.media_type}
    content = json.dumps({"layers": [], "config": members, "schemaVersion": 2, "mediaType": OCI_MANIFEST}, indent=7)
    image = await push_manifest(registry.client, "team/app", "1.0", content.encode() + b"\n\n", OCI_MANIFEST)
    found = await registry.client.get_manifest("team/app", image.digest)
    assert found.content == content.encode() + b"\n\n"


@pytest.mark.parametrize("shape", ["image", "index", "nested index", "docker index"])
async def test_a_promotion_within_the_registry_moves_no_blob_bytes(registry: Contract, shape: str) -> None:
    registry.needs("mount")
    client = registry.client
    match shape:
        case "image":
            image = await push_image(client, "dev/app", "1.0", [b"layer"])
        case "index":
            image = await push_platforms(client, "dev/app", "1.0")
        case "nested index":
            image = await push_index(client, "dev/app", "1.0", [await push_platforms(client, "dev/app", "inner")])
        case _:
            image = await push_docker_index(client, "dev/app", "1.0")
    engine = CopyEngine(registry.registries, Failpoints())
    command = copy_command("one/dev/app:1.0", image.digest, "one/qa/app:1.0-stable")
    outcome = await carry_out("c" * 64, command, engine)
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.bytes_copied, outcome.blobs_copied, outcome.previous_digest) == (0, 0, None)
    assert outcome.blobs_mounted > 0
    assert await client.resolve("qa/app", "1.0-stable") == image.digest
    assert await assert_complete(client, "qa/app", image.digest) >= outcome.blobs_mounted
    again = await carry_out("c" * 64, command, engine)
    assert isinstance(again, TransferSkipped)
    assert again.previous_digest == image.digest
