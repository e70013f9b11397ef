"""Copies between real registries: two of CNCF distribution, with every way of access."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, Descriptor
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from tests.support.distribution import distribution
from tests.support.images import (
    assert_complete,
    copy_command,
    entry,
    push_docker_image,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
    push_platforms,
    push_referrer,
)
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, RegistryClient, TransferOutcome, carry_out, push_image
from towline.registry.errors import NotFoundError
from towline.registry.images import push_blob, push_manifest
from towline.registry.referrers import fallback_tag, find_attached
from towline.registry.targettag import backup_tag
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution


@pytest.fixture(scope="module")
def two_urls() -> Iterator[tuple[str, str]]:
    with distribution() as source, distribution() as target:
        yield source, target


@pytest.fixture
async def registries(two_urls: tuple[str, str]) -> AsyncIterator[Registries]:
    source, target = two_urls
    async with Registries({"source": RegistrySettings(url=source), "target": RegistrySettings(url=target)}) as made:
        yield made


async def transfer(registries: Registries, source: str, digest: str, target: str, **options: Any) -> TransferOutcome:
    command = copy_command(source, digest, target, **options)
    return await carry_out("c" * 64, command, CopyEngine(registries, Failpoints()))


async def push_shape(client: RegistryClient, shape: str) -> Descriptor:
    repository = f"dev/{shape}"
    match shape:
        case "image":
            return await push_image(client, repository, "1.0", [b"one", b"", b"x" * 3_000_000])
        case "index":
            return await push_platforms(client, repository, "1.0")
        case "nested":
            inner = await push_platforms(client, repository, "inner")
            return await push_index(client, repository, "1.0", [inner])
        case "docker-image":
            return await push_docker_image(client, repository, "1.0")
        case "docker-list":
            return await push_docker_index(client, repository, "1.0")
        case _:
            layer = await push_blob(client, repository, b"text", "text/plain")
            return await push_manifest_of(client, repository, "1.0", [layer], artifactType="application/x.mine")


SHAPES = ["image", "index", "nested", "docker-image", "docker-list", "artifact"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_image_of_any_shape_is_mirrored_whole_and_a_second_time_skipped(
    registries: Registries, shape: str
) -> None:
    image = await push_shape(registries("source"), shape)
    source, target = f"source/dev/{shape}:1.0", f"target/mirror/{shape}:1.0"
    outcome = await transfer(registries, source, image.digest, target)
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve(f"mirror/{shape}", "1.0") == image.digest
    assert await assert_complete(registries("target"), f"mirror/{shape}", image.digest) >= outcome.blobs_copied > 0
    assert isinstance(await transfer(registries, source, image.digest, target), TransferSkipped)


async def test_a_source_tag_that_moved_does_not_change_what_is_copied(registries: Registries) -> None:
    image = await push_image(registries("source"), "dev/moved", "1.0", [b"commanded"])
    await push_image(registries("source"), "dev/moved", "1.0", [b"pushed later"])
    outcome = await transfer(registries, "source/dev/moved:1.0", image.digest, "target/qa/moved:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve("qa/moved", "1.0") == image.digest


async def test_a_newer_image_copies_only_what_is_new_and_records_what_it_replaced(registries: Registries) -> None:
    older = await push_image(registries("source"), "dev/grown", "1.0", [b"base"])
    await transfer(registries, "source/dev/grown:1.0", older.digest, "target/qa/grown:1.0")
    newer = await push_image(registries("source"), "dev/grown", "1.0", [b"base", b"more"])
    outcome = await transfer(registries, "source/dev/grown:1.0", newer.digest, "target/qa/grown:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.blobs_skipped, outcome.blobs_copied, outcome.previous_digest) == (1, 2, older.digest)


async def test_within_one_registry_everything_is_mounted(registries: Registries) -> None:
    image = await push_image(registries("source"), "dev/promoted", "1.0", [b"one", b"two"])
    outcome = await transfer(registries, "source/dev/promoted:1.0", image.digest, "source/qa/promoted:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.blobs_mounted, outcome.bytes_copied) == (3, 0)
    await assert_complete(registries("source"), "qa/promoted", image.digest)


async def test_distribution_wants_every_platform_of_an_index_and_the_outcome_says_so(registries: Registries) -> None:
    index, _ = await push_multi_platform(registries("source"), "dev/multi", "1.0", "linux/amd64", "linux/arm64")
    outcome = await transfer(
        registries, "source/dev/multi:1.0", index.digest, "target/qa/multi:1.0", platforms=("linux/amd64",)
    )
    assert isinstance(outcome, TransferFailed)
    assert (outcome.cause, outcome.attempts) == ("sparse-index-refused", 1)
    with pytest.raises(NotFoundError):
        await registries("target").resolve("qa/multi", "1.0")


async def test_what_belongs_to_an_image_travels_between_registries_without_the_referrers_listing(
    registries: Registries,
) -> None:
    source, target = registries("source"), registries("target")
    image = await push_image(source, "dev/signed", "1.0", [b"layer"])
    report = await push_referrer(source, "dev/signed", image, "report")
    entries = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(report)]}).encode()
    await push_manifest(source, "dev/signed", fallback_tag(image.digest), entries, OCI_INDEX)
    signature = await push_manifest_of(source, "dev/signed", f"{fallback_tag(image.digest)}.sig", [])
    assert await source.list_referrers("dev/signed", image.digest) is None
    outcome = await transfer(registries, "source/dev/signed:1.0", image.digest, "target/qa/signed:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    found = await find_attached(target, "qa/signed", image.digest)
    assert set(found.digests) == {report.digest, signature.digest}
    await assert_complete(target, "qa/signed", report.digest)


async def test_a_tag_that_moves_keeps_its_old_image_under_a_backup_tag(registries: Registries) -> None:
    older = await push_image(registries("target"), "qa/kept", "1.0", [b"older"])
    newer = await push_image(registries("source"), "dev/kept", "1.0", [b"newer"])
    refused = await transfer(registries, "source/dev/kept:1.0", newer.digest, "target/qa/kept:1.0", overwrite="never")
    assert isinstance(refused, TransferFailed)
    assert refused.cause == "target-exists"
    outcome = await transfer(registries, "source/dev/kept:1.0", newer.digest, "target/qa/kept:1.0", overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve("qa/kept", backup_tag("1.0", older.digest)) == older.digest
    await assert_complete(registries("target"), "qa/kept", older.digest)


async def test_images_that_share_layers_are_promoted_one_after_the_other_and_side_by_side(
    registries: Registries,
) -> None:
    shared = [bytes([n]) * 1000 for n in range(4)]
    images = [
        await push_image(registries("source"), "dev/many", f"{n}", [*shared, b"own", b"%d" % n]) for n in range(60)
    ]
    engine = CopyEngine(registries, Failpoints())
    waiting = iter(enumerate(images))

    async def work() -> None:
        for n, image in waiting:
            # The engine itself and not its retries: nothing here is a failure that has to pass.
            report = await engine.copy(copy_command(f"source/dev/many:{n}", image.digest, f"source/qa/many:{n}"))
            assert report.bytes_copied == 0

    await asyncio.gather(*(work() for _ in range(limits.parallel_transfer_count)))
    assert {tag async for tag in registries("source").list_tags("qa/many")} == {str(n) for n in range(60)}
