"""What an inspection says of images in all shapes."""

import json
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST, Descriptor
from schemas.facts import ImageInspected
from schemas.references import Repository
from tests.support.images import (
    entry,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
)
from tests.support.pairs import Pair
from towline import limits
from towline.registry import push_image
from towline.registry.errors import NotFoundError, TooLargeError, UnsupportedManifestError
from towline.registry.images import CONFIG_TYPE, push_blob, push_manifest
from towline.registry.inspect import inspect_image

DEV = Repository.parse("source/dev/app")


async def inspected(pair: Pair, image: Descriptor) -> ImageInspected:
    return await inspect_image(pair.source_client, DEV, image.digest)


async def push_configured(pair: Pair, config: Any, **members: Any) -> Descriptor:
    content = config if isinstance(config, bytes) else json.dumps(config).encode()
    blob = await push_blob(pair.source_client, DEV.name, content, CONFIG_TYPE)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(blob), "layers": [], **members}
    return await push_manifest(pair.source_client, DEV.name, "1.0", json.dumps(document).encode(), OCI_MANIFEST)


async def test_a_manifest_is_its_own_image_with_the_platform_of_its_configuration(pair: Pair) -> None:
    image = await push_image(
        pair.source_client, DEV.name, "1.0", [b"one", b"three"], labels={"team": "web"}, architecture="arm64"
    )
    result = await inspected(pair, image)
    assert (result.repository, result.digest, result.media_type) == (DEV, image.digest, OCI_MANIFEST)
    [only] = result.images
    manifest = await pair.source_client.get_manifest(DEV.name, image.digest)
    assert (only.platform, only.digest, only.labels) == ("linux/arm64", image.digest, {"team": "web"})
    assert only.size == image.size + manifest.blobs[0].size + len(b"one") + len(b"three")
    assert only.created is None


async def test_an_index_has_one_image_for_each_platform_and_none_for_attestations(pair: Pair) -> None:
    index, images = await push_multi_platform(
        pair.source_client, DEV.name, "1.0", "linux/amd64", "linux/arm/v7", attested=True
    )
    result = await inspected(pair, index)
    assert result.media_type == OCI_INDEX
    assert [(image.platform, image.digest) for image in result.images] == [
        (platform, images[platform].digest) for platform in ("linux/amd64", "linux/arm/v7")
    ]


async def test_images_of_an_index_inside_of_the_index_count(pair: Pair) -> None:
    inner, images = await push_multi_platform(pair.source_client, DEV.name, "inner", "linux/amd64", "linux/arm64")
    index = await push_index(pair.source_client, DEV.name, "1.0", [inner])
    assert {image.digest for image in (await inspected(pair, index)).images} == {it.digest for it in images.values()}


async def test_a_docker_index_is_understood(pair: Pair) -> None:
    index = await push_docker_index(pair.source_client, DEV.name, "1.0")
    assert [image.platform for image in (await inspected(pair, index)).images] == ["linux/amd64"]


async def test_an_artifact_has_no_images(pair: Pair) -> None:
    artifact = await push_manifest_of(pair.source_client, DEV.name, "1.0", [], artifactType="application/x.mine")
    assert (await inspected(pair, artifact)).images == ()


async def test_the_annotations_of_the_top_document_are_told(pair: Pair) -> None:
    image = await push_configured(pair, {}, annotations={"org.example": "value"})
    assert (await inspected(pair, image)).annotations == {"org.example": "value"}


@pytest.mark.parametrize(
    ("config", "platform"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v7"),
        ({"os": "linux", "architecture": "arm", "variant": ""}, "linux/arm"),
        ({"os": "linux"}, "unknown/unknown"),
        ({"os": "Linux", "architecture": "AMD 64"}, "unknown/unknown"),
        ({"os": 7, "architecture": ["amd64"]}, "unknown/unknown"),
        ({}, "unknown/unknown"),
    ],
)
async def test_the_platform_of_a_configuration(pair: Pair, config: Any, platform: str) -> None:
    [image] = (await inspected(pair, await push_configured(pair, config))).images
    assert image.platform == platform


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09.000000Z"),
        ("2024-05-06T07:08:09.123456789Z", "2024-05-06T07:08:09.123456Z"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (1714979289, None),
        (None, None),
    ],
)
async def test_when_an_image_was_built(pair: Pair, created: Any, expected: str | None) -> None:
    [image] = (await inspected(pair, await push_configured(pair, {"created": created}))).images
    assert image.created == expected


@pytest.mark.parametrize("config", [b"[]", b"{", b'{"config": {"Labels": {"a": 1}}}', b'{"config": {"Labels": []}}'])
async def test_a_configuration_that_is_none_is_refused(pair: Pair, config: bytes) -> None:
    image = await push_configured(pair, config)
    with pytest.raises(UnsupportedManifestError):
        await inspected(pair, image)


async def test_a_configuration_beyond_the_bound_is_not_even_asked_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await push_configured(pair, {"config": {"Labels": {"a": "b" * 100}}})
    monkeypatch.setattr(limits, "config_bytes", 100)
    with pytest.raises(TooLargeError):
        await inspected(pair, image)
    assert pair.source_faults.count("GET", "/blobs/") == 0


@pytest.mark.parametrize(
    "labels", [{"a": "b" * 70_000}, {f"{n}": "" for n in range(1100)}, {f"{n}": "b" * 60_000 for n in range(40)}]
)
async def test_labels_beyond_what_can_be_recorded_are_refused(pair: Pair, labels: dict[str, str]) -> None:
    image = await push_configured(pair, {"config": {"Labels": labels}})
    with pytest.raises(TooLargeError):
        await inspected(pair, image)


async def test_more_manifests_than_the_bound_are_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, _ = await push_multi_platform(pair.source_client, DEV.name, "inner", "linux/amd64", "linux/arm64")
    index = await push_index(pair.source_client, DEV.name, "1.0", [inner])
    monkeypatch.setattr(limits, "index_manifest_count", 2)
    with pytest.raises(TooLargeError):
        await inspected(pair, index)


async def test_what_is_not_there_is_not_found(pair: Pair) -> None:
    image = await pair.push()
    del pair.source.store.repositories[DEV.name].manifests[image.digest]
    with pytest.raises(NotFoundError):
        await inspected(pair, image)
