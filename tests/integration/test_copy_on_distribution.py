"""Copies between two registries of CNCF distribution: what is done, what is left, and what the outcome says."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX
from schemas.events import TransferCompleted, TransferFailed
from tests.support.distribution import distribution
from tests.support.images import (
    assert_complete,
    copy_command,
    entry,
    push_manifest_of,
    push_referrer,
)
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, TransferOutcome, carry_out, push_image
from towline.registry.images import push_manifest
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
