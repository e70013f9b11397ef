"""A signature that is made when the image was copied long ago follows it when the copy is commanded again."""

from typing import Any

import pytest

from schemas.descriptors import OCI_MANIFEST, Descriptor
from schemas.events import TransferCompleted, TransferSkipped
from tests.support.faults import Answer
from tests.support.images import push_multi_platform, push_referrer
from tests.support.pairs import Pair
from tests.unit.registry.copying import errors, failed
from tests.unit.registry.test_copy_referrers import fallback, listed, push_cosign, without_listing
from towline.registry.referrers import fallback_tag


async def again(pair: Pair, image: Descriptor, **options: Any) -> TransferCompleted:
    outcome = await pair.carry_out(image, **options)
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.previous_digest, pair.target_digest()) == (image.digest, image.digest)
    return outcome


async def copied(pair: Pair) -> Descriptor:
    image = await pair.push()
    assert isinstance(await pair.carry_out(image), TransferCompleted)
    return image


async def test_what_is_attached_later_is_brought_without_the_image(pair: Pair) -> None:
    image = await copied(pair)
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    signature = await push_cosign(pair.source_client, image, ".sig", "signature")
    writes = pair.target_faults.count("PUT", "/manifests/1.0")
    await again(pair, image)
    assert [it["digest"] for it in await listed(pair.target_client, "qa/app", image)] == [report.digest]
    assert pair.target_digest(tag=f"{fallback_tag(image.digest)}.sig") == signature.digest
    assert pair.target_faults.count("PUT", "/manifests/1.0") == writes
    assert pair.target_faults.count("PUT", image.digest) == 0


async def test_what_is_attached_to_a_platform_later_is_brought_too(pair: Pair) -> None:
    index, images = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    assert isinstance(await pair.carry_out(index), TransferCompleted)
    report = await push_referrer(pair.source_client, "dev/app", images["linux/arm64"], "report")
    await again(pair, index)
    assert report.digest in pair.target.store.repositories["qa/app"].manifests


async def test_when_the_target_has_everything_nothing_is_written_and_the_copy_is_skipped(pair: Pair) -> None:
    image = await pair.push()
    await push_referrer(pair.source_client, "dev/app", image, "report")
    await push_cosign(pair.source_client, image, ".sig", "first")
    await push_cosign(pair.target_client, image, ".sig", "of the target")  # so that its tag differs for ever
    assert isinstance(await pair.carry_out(image), TransferCompleted)
    writes = pair.target_faults.count("PUT", ".") + pair.target_faults.count("POST", ".")
    assert isinstance(await pair.carry_out(image), TransferSkipped)
    assert pair.target_faults.count("PUT", ".") + pair.target_faults.count("POST", ".") == writes


async def test_a_list_that_was_not_finished_is_finished(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await copied(pair)
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    content = pair.source.store.repositories["dev/app"].manifests[report.digest].content
    for blob in pair.source.store.repositories["dev/app"].blobs:
        pair.target.store.put_blob("qa/app", blob, pair.source.store.blobs[blob])
    pair.target.store.put_manifest("qa/app", report.digest, OCI_MANIFEST, content)
    await again(pair, image)
    assert [it["digest"] for it in await fallback(pair.target_client, "qa/app", image)] == [report.digest]


@pytest.mark.parametrize("options", [{"referrers": False}])
async def test_who_wants_nothing_to_travel_along_costs_one_request_of_the_target_and_none_of_the_source(
    pair: Pair, options: dict[str, Any]
) -> None:
    image = await copied(pair)
    await push_referrer(pair.source_client, "dev/app", image, "report")
    before = len(pair.source_faults.requests), len(pair.target_faults.requests)
    assert isinstance(await pair.carry_out(image, **options), TransferSkipped)
    assert (len(pair.source_faults.requests), len(pair.target_faults.requests)) == (before[0], before[1] + 1)


async def test_an_image_without_latecomers_costs_the_target_one_request(pair: Pair) -> None:
    image = await copied(pair)
    before = len(pair.target_faults.requests)
    assert isinstance(await pair.carry_out(image), TransferSkipped)
    assert len(pair.target_faults.requests) == before + 1


async def test_an_image_that_the_source_has_no_more_is_skipped(pair: Pair) -> None:
    image = await copied(pair)
    del pair.source.store.repositories["dev/app"].manifests[image.digest]
    assert isinstance(await pair.carry_out(image), TransferSkipped)


async def test_a_source_that_does_not_say_what_belongs_to_an_image_is_no_source_without(pair: Pair) -> None:
    image = await copied(pair)
    pair.source_faults.on("GET", "/referrers/", Answer(503), times=1000)
    assert failed(await pair.carry_out(image)).cause == "server-error"
    assert pair.target_digest() == image.digest


async def test_a_latecomer_that_cannot_be_written_fails_and_leaves_the_tag(pair: Pair) -> None:
    image = await copied(pair)
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    pair.target_faults.on("PUT", report.digest, Answer(403, body=errors("DENIED")), times=1000)
    assert failed(await pair.carry_out(image)).cause == "denied"
    assert pair.target_digest() == image.digest
