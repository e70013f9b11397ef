"""What is copied as it is, and what is refused with a reason: never converted (OCI.md 1, 3, 4; fault catalogue R19)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.descriptors import DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_INDEX, OCI_MANIFEST, Descriptor
from schemas.events import TransferCompleted, TransferSkipped
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.faults import Alter, Answer, Answered, Before, Faults
from tests.support.images import entry, push_docker_index, push_index, push_manifest_of, push_platforms, push_referrer
from tests.support.pairs import Pair
from tests.unit.registry.copying import TAG, WRITE, completed, errors, failed
from tests.unit.registry.test_copy_referrers import without_listing
from towline import limits
from towline.registry import push_image
from towline.registry.blobs import digest_of
from towline.registry.images import push_blob, push_manifest
from towline.registry.referrers import fallback_tag
from towline.registry.targettag import backup_tag

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def sha512(pair: Pair, content: bytes, media_type: str = OCI_MANIFEST) -> str:
    """Put a manifest into the source under its sha512 digest, and return that."""
    digest = digest_of(content, "sha512")
    pair.source.store.put_manifest("dev/app", digest, media_type, content)
    return digest


async def wide_image(pair: Pair) -> bytes:
    layer = digest_of(b"wide", "sha512")
    pair.source.store.put_blob("dev/app", layer, b"wide")
    config = await push_blob(pair.source_client, "dev/app", b"{}", "application/vnd.oci.empty.v1+json")
    layers = [{"mediaType": "a/b", "digest": layer, "size": 4}]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(config), "layers": layers}
    return json.dumps(document, indent=1).encode()


async def test_an_image_that_is_named_by_sha512_is_copied_verified_and_a_second_time_skipped(pair: Pair) -> None:
    content = await wide_image(pair)
    digest = sha512(pair, content)
    outcome = await pair.carry_out(digest)
    assert isinstance(outcome, TransferCompleted), outcome
    # The registry names what was pushed under a tag by sha256; its bytes are those of the sha512 digest.
    tagged = pair.target_digest()
    assert tagged == digest_of(content)
    assert pair.target.store.repositories["qa/app"].manifests[tagged].content == content
    assert pair.target.store.blobs[digest_of(b"wide", "sha512")] == b"wide"
    assert isinstance(await pair.carry_out(digest), TransferSkipped)


async def test_a_tag_with_other_content_than_that_of_a_sha512_digest_is_told(pair: Pair) -> None:
    digest = sha512(pair, await wide_image(pair))
    other = await push_image(pair.target_client, "qa/app", "other", [b"other"])
    tags = pair.target.store.repositories["qa/app"].tags
    pair.target_faults.on("HEAD", TAG, Before(lambda: tags.update({"1.0": other.digest})), nth=2)
    assert failed(await pair.carry_out(digest)).cause == "tag-moved"


async def test_what_a_tag_had_is_kept_when_it_moves_to_a_sha512_digest(pair: Pair) -> None:
    digest = sha512(pair, await wide_image(pair))
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    outcome = await pair.carry_out(digest, overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert outcome.previous_digest == old.digest
    assert pair.target_digest(tag=backup_tag("1.0", old.digest)) == old.digest


async def test_the_manifests_of_an_index_may_be_named_by_sha512(pair: Pair) -> None:
    content = await wide_image(pair)
    child = Descriptor(media_type=OCI_MANIFEST, digest=sha512(pair, content), size=len(content))
    index = await push_index(pair.source_client, "dev/app", "1.0", [child])
    assert isinstance(await pair.carry_out(index), TransferCompleted)
    assert pair.target.store.repositories["qa/app"].manifests[child.digest].content == content


async def test_a_manifest_that_does_not_fit_its_sha512_digest_is_rejected(pair: Pair) -> None:
    digest = sha512(pair, await wide_image(pair))
    pair.source_faults.on("GET", digest, Alter(lambda it: replace(it, body=it.body + b" ", headers={})), times=1000)
    assert failed(await pair.carry_out(digest)).cause == "digest-mismatch"
    assert pair.target_digest() is None


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"layers": [{"mediaType": "a/b", "digest": digest_of(b"x"), "size": 1, "data": "eA=="}]},
        {"layers": [{"mediaType": "a/b", "digest": digest_of(b""), "size": 0}]},
        {"annotations": {"a": "\u00e9 \\u00e9 / \\/"}, "unheard": [1.0, 1e2, None]},
    ],
    ids=["no layers", "data inside", "nothing in a layer", "spelling"],
)
async def test_unusual_manifests_arrive_byte_for_byte(pair: Pair, members: dict[str, Any]) -> None:
    for content in (b"x", b""):
        pair.source.store.put_blob("dev/app", digest_of(content), content)
    config = await push_blob(pair.source_client, "dev/app", b"{}", "application/vnd.oci.empty.v1+json")
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(config), "layers": [], **members}
    # Blanks and line ends as no serialiser of ours writes them.
    content = json.dumps(document, indent="\t").replace("\n", "\r\n").encode() + b"\r\n"
    image = await push_manifest(pair.source_client, "dev/app", "1.0", content, OCI_MANIFEST)
    await completed(pair, image)
    assert pair.target.store.repositories["qa/app"].manifests[image.digest].content == content
    assert {blob["digest"] for blob in document["layers"]} <= pair.target.store.repositories["qa/app"].blobs


@pytest.mark.parametrize("said", ["application/vnd.acme.thing.v3+json", DOCKER_MANIFEST, OCI_MANIFEST])
@pytest.mark.parametrize("told", [True, False], ids=["in the document", "by the registry"])
async def test_a_manifest_keeps_its_media_type_whatever_it_is(pair: Pair, said: str, told: bool) -> None:
    config = await push_blob(pair.source_client, "dev/app", b"{}", "application/vnd.acme.settings")
    document = {"schemaVersion": 2, "config": entry(config), "layers": [], **({"mediaType": said} if told else {})}
    # Not through the client under test, which might spoil it here already.
    digest, _ = pair.source.store.put_manifest("dev/app", "1.0", said, json.dumps(document).encode())
    assert isinstance(await pair.carry_out(digest), TransferCompleted)
    assert pair.target.store.repositories["qa/app"].manifests[digest].media_type == said


async def test_docker_images_stay_docker_images(pair: Pair) -> None:
    index = await push_docker_index(pair.source_client, "dev/app", "1.0")
    await completed(pair, index)
    source, target = pair.source.store.repositories["dev/app"], pair.target.store.repositories["qa/app"]
    assert target.manifests == {digest: source.manifests[digest] for digest in target.manifests}
    assert len(target.manifests) == 2


async def test_an_index_with_a_schema_1_manifest_is_refused_before_anything_is_written(pair: Pair) -> None:
    content = json.dumps({"schemaVersion": 1, "name": "dev/app", "fsLayers": [], "history": []}).encode()
    digest, _ = pair.source.store.put_manifest("dev/app", "old", DOCKER_SCHEMA1, content)
    child = Descriptor(media_type=DOCKER_SCHEMA1, digest=digest, size=len(content))
    index = await push_index(pair.source_client, "dev/app", "1.0", [child, await pair.push(tag="new")])
    outcome = failed(await pair.carry_out(index))
    assert (outcome.cause, outcome.attempts) == ("unsupported-manifest", 1)
    assert pair.target.store.repositories == {}


async def foreign(pair: Pair, url: str) -> Descriptor:
    layer = {"mediaType": FOREIGN, "digest": digest_of(b"elsewhere"), "size": 9, "urls": [url]}
    config = await push_blob(pair.source_client, "dev/app", b"{}", "application/vnd.oci.empty.v1+json")
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(config), "layers": [layer]}
    return await push_manifest(pair.source_client, "dev/app", "1.0", json.dumps(document).encode(), OCI_MANIFEST)


async def test_the_addresses_of_layers_that_are_kept_elsewhere_are_never_asked(pair: Pair) -> None:
    elsewhere = Faults(LocalRegistry())
    async with serving(elsewhere) as url:
        image = await foreign(pair, f"{url}/layer")
        outcome = await pair.carry_out(image)
    assert isinstance(outcome, TransferCompleted), outcome
    assert elsewhere.requests == []
    assert pair.source_faults.count("GET", digest_of(b"elsewhere")) == 0
    assert pair.target_faults.count("POST", "/uploads/") == 1  # the configuration alone


async def test_a_registry_that_fails_over_layers_kept_elsewhere_is_not_asked_again(pair: Pair) -> None:
    image = await foreign(pair, "https://elsewhere.example/layer")
    pair.target_faults.on("PUT", WRITE, Answer(500, body=errors("UNKNOWN", "unknown error")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("unsupported-manifest", False, 1)
    assert "kept elsewhere" in outcome.detail
    assert pair.target_faults.count("PUT", WRITE) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_failure_that_is_not_about_such_layers_is_tried_again(pair: Pair, status: int) -> None:
    image = await pair.push() if status == 500 else await foreign(pair, "https://elsewhere.example/layer")
    pair.target_faults.on("PUT", WRITE, Answer(status, body=errors("UNKNOWN", "unknown error")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.attempts) == ("server-error", limits.transfer_attempt_count)


async def test_blobs_come_before_manifests_children_before_indexes_referrers_before_the_tag(pair: Pair) -> None:
    inner = await push_platforms(pair.source_client, "dev/app", "inner")
    root = await push_index(pair.source_client, "dev/app", "1.0", [inner])
    report = await push_referrer(pair.source_client, "dev/app", root, "report")
    await completed(pair, root)
    writes = [it for it in pair.target_faults.requests if it.method in {"PUT", "POST"}]
    manifests = [it.path.rpartition("/")[2] for it in writes if "/manifests/" in it.path]
    children = {
        it["digest"] for it in (await pair.source_client.get_manifest("dev/app", inner.digest)).document()["manifests"]
    }
    assert set(manifests[:2]) == children
    assert manifests[2:] == [inner.digest, root.digest, report.digest, "1.0"]
    first_manifest = next(n for n, it in enumerate(writes) if "/manifests/" in it.path)
    late = [it.query for it in writes[first_manifest:] if it.method == "PUT" and "/uploads/" in it.path]
    of_report = {digest_of(content).replace(":", "%3A") for content in (b"report", b"{}")}
    assert {query.rpartition("digest=")[2] for query in late} == of_report


async def test_a_registry_that_reorders_its_listing_changes_nothing_of_what_is_written(pair: Pair) -> None:
    without_listing(pair, "target")
    image = await pair.push()
    reports = [await push_referrer(pair.source_client, "dev/app", image, f"{n}") for n in range(4)]
    extra = await push_manifest_of(pair.source_client, "dev/app", "extra", [])

    def reversed_(answered: Answered) -> Answered:
        document = json.loads(answered.body)
        document["manifests"].reverse()
        body = json.dumps(document).encode()
        return replace(answered, body=body, headers={"content-type": OCI_INDEX, "content-length": str(len(body))})

    orders: list[list[str]] = []
    lists: set[str | None] = set()
    for number in range(2):
        fallback = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(extra)]}
        await push_manifest(
            pair.source_client, "dev/app", fallback_tag(image.digest), json.dumps(fallback).encode(), OCI_INDEX
        )
        if number:
            pair.source_faults.on("GET", "/referrers/", Alter(reversed_), times=1000)
        assert isinstance(await pair.carry_out(image, f"target/qa/copy{number}:1.0"), TransferCompleted)
        puts = pair.target_faults.matching("PUT", f"qa/copy{number}/manifests/sha256:")
        orders.append([it.path.rpartition("/")[2] for it in puts])
        lists.add(pair.target_digest(f"qa/copy{number}", fallback_tag(image.digest)))
    assert orders[0] == orders[1]
    assert set(orders[0]) == {image.digest, extra.digest, *(report.digest for report in reports)}
    assert len(lists) == 1
    assert None not in lists


async def test_every_question_for_a_manifest_names_all_types_that_there_are(pair: Pair) -> None:
    """Registries answer 404 to a type that is not named, to HEAD as to GET."""
    await completed(pair, await push_docker_index(pair.source_client, "dev/app", "1.0"))
    asked = [it for it in (*pair.source_faults.requests, *pair.target_faults.requests) if "/manifests/" in it.path]
    accepted = {it.headers["accept"] for it in asked if it.method in {"GET", "HEAD"}}
    assert len(accepted) == 1
    assert {part.partition(";")[0] for part in accepted.pop().split(", ")} == {
        OCI_MANIFEST,
        OCI_INDEX,
        DOCKER_MANIFEST,
        DOCKER_INDEX,
        "*/*",
    }
