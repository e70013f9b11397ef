"""Signatures, SBOMs and attestations travel along, and are there before the image has its name."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST, Descriptor
from schemas.events import TransferCompleted
from tests.support.faults import Alter, Answer, Answered, Before
from tests.support.images import assert_complete, entry, push_manifest_of, push_multi_platform, push_referrer
from tests.support.pairs import Pair
from tests.unit.registry.copying import TAG, errors, failed
from towline import limits
from towline.registry import RegistryClient
from towline.registry.images import push_blob, push_manifest
from towline.registry.referrers import fallback_tag

#: Requests and answers of a registry from before the referrers listing.
LISTING = r"/referrers/"


def without_listing(pair: Pair, *sides: str) -> None:
    def forget(answered: Answered) -> Answered:
        headers = {name: value for name, value in answered.headers.items() if name != "oci-subject"}
        return replace(answered, headers=headers)

    for side in sides:
        faults = pair.source_faults if side == "source" else pair.target_faults
        faults.on("GET", LISTING, Answer(404, body=errors("NOT_FOUND")), times=1000)
        faults.on("PUT", "/manifests/", Alter(forget), times=1000)


async def listed(client: RegistryClient, repository: str, subject: Descriptor) -> list[dict[str, Any]]:
    found = await client.list_referrers(repository, subject.digest)
    assert found is not None
    return found


async def fallback(client: RegistryClient, repository: str, subject: Descriptor) -> list[dict[str, Any]]:
    digest = await client.resolve(repository, fallback_tag(subject.digest))
    document = (await client.get_manifest(repository, digest)).document()
    return [dict(item) for item in document["manifests"]]


async def push_fallback(client: RegistryClient, repository: str, subject: Descriptor, *entries: dict[str, Any]) -> None:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    await push_manifest(client, repository, fallback_tag(subject.digest), json.dumps(document).encode(), OCI_INDEX)


async def push_cosign(client: RegistryClient, subject: Descriptor, suffix: str, *layers: str) -> Descriptor:
    pushed = [await push_blob(client, _repository(client), layer.encode(), "text/plain") for layer in layers]
    return await push_manifest_of(client, _repository(client), f"{fallback_tag(subject.digest)}{suffix}", pushed)


def _repository(client: RegistryClient) -> str:
    return "dev/app" if client.name == "source" else "qa/app"


async def copied(pair: Pair, image: Descriptor, **options: Any) -> TransferCompleted:
    outcome = await pair.carry_out(image, **options)
    assert isinstance(outcome, TransferCompleted), outcome
    assert pair.target_digest() == image.digest
    return outcome


async def test_referrers_and_their_referrers_are_at_the_target_before_the_tag(pair: Pair) -> None:
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    signature = await push_referrer(pair.source_client, "dev/app", report, "signature of the report")
    before: list[set[str]] = []
    pair.target_faults.on(
        "PUT", TAG, Before(lambda: before.append(set(pair.target.store.repositories["qa/app"].manifests)))
    )
    await copied(pair, image)
    assert before == [{image.digest, report.digest, signature.digest}]
    assert [item["digest"] for item in await listed(pair.target_client, "qa/app", image)] == [report.digest]
    assert [item["digest"] for item in await listed(pair.target_client, "qa/app", report)] == [signature.digest]
    await assert_complete(pair.target_client, "qa/app", signature.digest)


async def test_nothing_travels_along_when_the_policy_does_not_want_it(pair: Pair) -> None:
    image = await pair.push()
    await push_referrer(pair.source_client, "dev/app", image, "report")
    await push_cosign(pair.source_client, image, ".sig", "signature")
    await copied(pair, image, referrers=False)
    assert set(pair.target.store.repositories["qa/app"].manifests) == {image.digest}
    assert pair.source_faults.count("GET", LISTING) == 0


@pytest.mark.parametrize("suffix", [".sig", ".att", ".sbom"])
async def test_what_cosign_tagged_travels_under_the_same_tag(pair: Pair, suffix: str) -> None:
    image = await pair.push()
    attached = await push_cosign(pair.source_client, image, suffix, "content")
    await copied(pair, image)
    assert pair.target_digest(tag=f"{fallback_tag(image.digest)}{suffix}") == attached.digest


async def test_what_belongs_to_a_platform_travels_with_the_platform_that_is_copied(pair: Pair) -> None:
    pair.target.store.sparse = True
    index, images = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    reports = {name: await push_referrer(pair.source_client, "dev/app", image, name) for name, image in images.items()}
    await copied(pair, index, platforms=("linux/amd64",))
    manifests = pair.target.store.repositories["qa/app"].manifests
    assert reports["linux/amd64"].digest in manifests
    assert reports["linux/arm64"].digest not in manifests


async def test_a_target_without_the_listing_gets_the_fallback_index_with_the_same_descriptors(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await pair.push()
    await push_referrer(pair.source_client, "dev/app", image, "report", annotations={"a": "b"})
    await copied(pair, image)
    assert await fallback(pair.target_client, "qa/app", image) == await listed(pair.source_client, "dev/app", image)


async def test_a_fallback_index_at_the_source_becomes_the_listing_of_the_target(pair: Pair) -> None:
    without_listing(pair, "source")
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    await push_fallback(pair.source_client, "dev/app", image, entry(report, artifactType="application/x.report"))
    await copied(pair, image)
    assert [item["digest"] for item in await listed(pair.target_client, "qa/app", image)] == [report.digest]
    assert pair.target_digest(tag=fallback_tag(image.digest)) is None


async def test_a_listing_and_a_fallback_index_that_differ_are_merged(pair: Pair) -> None:
    image = await pair.push()
    first = await push_referrer(pair.source_client, "dev/app", image, "first")
    second = await push_manifest_of(pair.source_client, "dev/app", "second", [])
    await push_fallback(pair.source_client, "dev/app", image, entry(second))
    await copied(pair, image)
    assert {first.digest, second.digest} <= set(pair.target.store.repositories["qa/app"].manifests)
    # The second names no subject, so no registry lists it by itself.
    assert await fallback(pair.target_client, "qa/app", image) == [entry(second)]


async def test_the_fallback_index_of_the_target_keeps_what_it_had(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    theirs = await push_manifest_of(pair.target_client, "qa/app", "theirs", [])
    await push_fallback(pair.target_client, "qa/app", image, entry(theirs, annotations={"kept": "as it is"}))
    await copied(pair, image)
    found = await fallback(pair.target_client, "qa/app", image)
    assert [item["digest"] for item in found] == [theirs.digest, report.digest]
    assert found[0]["annotations"] == {"kept": "as it is"}


async def test_a_fallback_index_of_the_target_loses_only_what_was_deleted(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    kept, gone = [
        await push_manifest_of(pair.target_client, "qa/app", name, [], note=name) for name in ("kept", "gone")
    ]
    await push_fallback(pair.target_client, "qa/app", image, entry(gone), entry(kept))
    del pair.target.store.repositories["qa/app"].manifests[gone.digest]
    await copied(pair, image)
    assert [it["digest"] for it in await fallback(pair.target_client, "qa/app", image)] == [kept.digest, report.digest]
    assert len(pair.target.violations) == 1
    pair.target.violations.clear()  # the one that told what was deleted


async def test_two_copies_of_one_image_lose_nothing_of_the_fallback_index(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await pair.push()
    reports = {(await push_referrer(pair.source_client, "dev/app", image, f"{n}")).digest for n in range(3)}
    engine = pair.engine()
    tags = ("1.0", "1", "latest")
    await asyncio.gather(*(engine.copy(pair.command(image, f"target/qa/app:{tag}")) for tag in tags))
    assert {item["digest"] for item in await fallback(pair.target_client, "qa/app", image)} == reports


async def test_a_writer_who_comes_between_does_not_lose_us_a_referrer(pair: Pair) -> None:
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    theirs = await push_manifest_of(pair.target_client, "qa/app", "theirs", [])
    await push_fallback(pair.target_client, "qa/app", image, entry(theirs))
    tags = pair.target.store.repositories["qa/app"].tags
    of_theirs = tags.pop(fallback_tag(image.digest))

    def overwritten(answered: Answered) -> Answered:
        tags[fallback_tag(image.digest)] = of_theirs
        return answered

    pair.target_faults.on("PUT", rf"/manifests/{fallback_tag(image.digest)}\?", Alter(overwritten))
    without_listing(pair, "target")
    await copied(pair, image)
    found = {item["digest"] for item in await fallback(pair.target_client, "qa/app", image)}
    assert found == {theirs.digest, report.digest}


async def test_signatures_that_only_the_target_has_stay_beside_those_that_come(pair: Pair) -> None:
    image = await pair.push()
    await push_cosign(pair.source_client, image, ".sig", "of the source")
    await push_cosign(pair.target_client, image, ".sig", "of the target")
    await copied(pair, image)
    digest = pair.target_digest(tag=f"{fallback_tag(image.digest)}.sig")
    assert digest is not None
    layers = (await pair.target_client.get_manifest("qa/app", digest)).blobs
    assert {layer.size for layer in layers} == {2, len("of the source")}
    assert len(layers) == 3
    await assert_complete(pair.target_client, "qa/app", digest)


async def test_signatures_of_the_target_that_include_those_of_the_source_are_left_alone(pair: Pair) -> None:
    image = await pair.push()
    await push_cosign(pair.source_client, image, ".sig", "first")
    more = await push_cosign(pair.target_client, image, ".sig", "first", "second")
    await copied(pair, image)
    assert pair.target_digest(tag=f"{fallback_tag(image.digest)}.sig") == more.digest


async def test_a_referrer_that_is_listed_and_gone_is_left_out(pair: Pair) -> None:
    without_listing(pair, "source", "target")
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    gone = await push_referrer(pair.source_client, "dev/app", image, "gone")
    await push_fallback(pair.source_client, "dev/app", image, entry(gone), entry(report))
    await pair.source_client.resolve("dev/app", fallback_tag(image.digest))
    del pair.source.store.repositories["dev/app"].manifests[gone.digest]
    await copied(pair, image)
    assert [item["digest"] for item in await fallback(pair.target_client, "qa/app", image)] == [report.digest]


async def test_referrers_that_name_each_other_in_a_circle_end(pair: Pair) -> None:
    without_listing(pair, "source")
    image = await pair.push()
    one, two = [await push_manifest_of(pair.source_client, "dev/app", name, [], note=name) for name in ("one", "two")]
    for subject, referrer in ((image, one), (one, two), (two, one)):
        await push_fallback(pair.source_client, "dev/app", subject, entry(referrer))
    await copied(pair, image)
    assert {one.digest, two.digest} <= set(pair.target.store.repositories["qa/app"].manifests)


async def test_a_chain_of_referrers_beyond_the_bound_ends_the_transfer(pair: Pair) -> None:
    image = subject = await pair.push()
    for number in range(limits.referrer_depth + 1):
        subject = await push_referrer(pair.source_client, "dev/app", subject, f"{number}")
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("too-large", False)
    assert pair.target_digest() is None


async def test_more_referrers_than_the_bound_end_the_transfer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "referrer_count", 2)
    image = await pair.push()
    for number in range(3):
        await push_referrer(pair.source_client, "dev/app", image, f"{number}")
    assert failed(await pair.carry_out(image)).cause == "too-large"
    assert pair.target_digest() is None


async def test_a_referrer_that_cannot_be_copied_keeps_the_tag_back(pair: Pair) -> None:
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    pair.target_faults.on("PUT", f"/manifests/{report.digest}", Answer(403, body=errors("DENIED")), times=1000)
    assert failed(await pair.carry_out(image)).cause == "denied"
    assert pair.target_digest() is None


@pytest.mark.parametrize("body", [b"[]", b'{"manifests": [{"digest": "sha256:short"}]}', b'{"manifests": 1}'])
async def test_a_listing_that_is_none_ends_the_transfer_with_a_clear_cause(pair: Pair, body: bytes) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", LISTING, Answer(200, {"content-type": OCI_INDEX}, body), times=1000)
    assert failed(await pair.carry_out(image)).cause == "protocol"


@pytest.mark.parametrize("answer", [Answer(405), Answer(400), Answer(200, {"content-type": "text/html"}, b"<html>")])
async def test_a_server_that_does_not_know_the_listing_is_asked_for_the_fallback_index(
    pair: Pair, answer: Answer
) -> None:
    pair.source_faults.on("GET", LISTING, answer, times=1000)
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    await push_fallback(pair.source_client, "dev/app", image, entry(report))
    await copied(pair, image)
    assert report.digest in pair.target.store.repositories["qa/app"].manifests


async def test_all_pages_of_a_listing_are_read(pair: Pair) -> None:
    image = await pair.push()
    for number in range(2):
        await push_referrer(pair.source_client, "dev/app", image, f"{number}")
    everything = await listed(pair.source_client, "dev/app", image)
    path = f"/v2/dev/app/referrers/{image.digest}"

    def page(number: int) -> Answer:
        link = {} if number else {"link": f'<{path}?page=2>; rel="next"'}
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [everything[number]]}).encode()
        return Answer(200, {"content-type": f"{OCI_INDEX}; charset=utf-8", **link}, body)

    pair.source_faults.on("GET", "page=2", page(1))
    pair.source_faults.on("GET", r"/referrers/[^?]*\?$", page(0))
    await copied(pair, image)
    assert {item["digest"] for item in everything} <= set(pair.target.store.repositories["qa/app"].manifests)


async def test_a_promotion_inside_one_registry_brings_along_what_belongs_to_the_image(pair: Pair) -> None:
    image = await pair.push()
    report = await push_referrer(pair.source_client, "dev/app", image, "report")
    outcome = await pair.carry_out(image, "source/qa/app:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert outcome.bytes_copied == 0
    assert report.digest in pair.source.store.repositories["qa/app"].manifests
    manifest = await pair.source_client.get_manifest("qa/app", report.digest)
    assert manifest.media_type == OCI_MANIFEST


async def test_a_listing_is_asked_for_whole_and_not_by_type(pair: Pair) -> None:
    """A filter counts only if the registry says that it was applied, and types of signatures differ by tool."""
    image = await pair.push()
    report = await push_referrer(
        pair.source_client, "dev/app", image, "r", artifact_type="application/vnd.oci.empty.v1+json"
    )
    await copied(pair, image)
    assert {request.query for request in pair.source_faults.matching("GET", LISTING)} == {""}
    assert [item["digest"] for item in await listed(pair.target_client, "qa/app", image)] == [report.digest]
