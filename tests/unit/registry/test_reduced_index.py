"""A registry that takes no index without all that it names gets the index of the wanted platforms, and nothing else."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from schemas.canonical import canonical_bytes
from schemas.descriptors import DOCKER_INDEX, OCI_INDEX, Descriptor
from schemas.events import TransferCompleted, TransferSkipped
from tests.support.faults import Alter, Answer, Before
from tests.support.images import (
    assert_complete,
    entry,
    push_docker_image,
    push_index,
    push_multi_platform,
    push_referrer,
)
from tests.support.pairs import Pair, pair_of_registries
from tests.unit.registry.copying import TAG, errors, failed
from tests.unit.registry.test_copy_referrers import listed, push_cosign
from towline.registry import push_image
from towline.registry.blobs import digest_of
from towline.registry.images import push_manifest
from towline.registry.reduction import reduce_closure
from towline.registry.referrers import fallback_tag
from towline.registry.targettag import backup_tag

AMD, ARM = "linux/amd64", "linux/arm64"


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Registries of which the target refuses an index that names what it has not; that is what this is about."""
    async with pair_of_registries() as made:
        yield made
        assert made.source.violations == []
        assert made.target.store.uploads == {}


def present(pair: Pair, digest: str | None = None) -> dict[str, Any]:
    """Return the document that the target has under a digest; None: under its tag."""
    repository = pair.target.store.repositories["qa/app"]
    return dict(repository.manifests[digest or repository.tags["1.0"]].document)


async def reduced(pair: Pair, index: Descriptor, **options: Any) -> TransferCompleted:
    outcome = await pair.carry_out(index, **{"platforms": (AMD,), **options})
    assert isinstance(outcome, TransferCompleted), outcome
    assert outcome.reduced_digest not in {None, index.digest}
    assert pair.target_digest() == outcome.reduced_digest == outcome.arrived_digest
    assert outcome.digest == index.digest
    await assert_complete(pair.target_client, "qa/app", outcome.arrived_digest)
    return outcome


async def two_platforms(pair: Pair, **options: Any) -> tuple[Descriptor, dict[str, Descriptor]]:
    return await push_multi_platform(pair.source_client, "dev/app", "1.0", AMD, ARM, **options)


async def test_the_index_keeps_its_members_and_the_entries_of_the_wanted_platforms_word_for_word(pair: Pair) -> None:
    children = [await push_docker_image(pair.source_client, "dev/app", "child", layer=name) for name in (b"a", b"b")]
    subject = await push_image(pair.source_client, "dev/app", "about", [b"about"])
    entries = [
        entry(children[0], platform={"os": "linux", "architecture": "arm64", "os.features": ["x"]}),
        entry(children[1], annotations={"z": "é", "a": "1"}, platform={"architecture": "amd64", "os": "linux"}),
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_INDEX,
        "annotations": {"who": "we"},
        "subject": entry(subject),
        "artifactType": "application/x.app",
        "manifests": entries,
        "unknown": {"kept": True},
    }
    content = json.dumps(document, indent=2).encode()
    index = await push_manifest(pair.source_client, "dev/app", "1.0", content, DOCKER_INDEX)
    outcome = await reduced(pair, index, referrers=False)
    stored = pair.target.store.repositories["qa/app"].manifests[outcome.arrived_digest]
    assert stored.media_type == DOCKER_INDEX
    assert stored.content == canonical_bytes({**document, "manifests": [entries[1]]})


@pytest.mark.parametrize("referrers", [True, False])
async def test_attestations_of_the_wanted_platforms_stay_in_the_index_when_referrers_travel(
    pair: Pair, referrers: bool
) -> None:
    index, images = await two_platforms(pair, attested=True)
    await reduced(pair, index, referrers=referrers)
    wanted = [images[AMD], images[f"attestation {AMD}"]] if referrers else [images[AMD]]
    assert [it["digest"] for it in present(pair)["manifests"]] == [it.digest for it in wanted]


async def test_an_index_inside_of_the_index_is_reduced_before_it(pair: Pair) -> None:
    inner, images = await push_multi_platform(pair.source_client, "dev/app", "inner", AMD, ARM)
    whole, _ = await push_multi_platform(pair.source_client, "dev/app", "whole", AMD)
    other, _ = await push_multi_platform(pair.source_client, "dev/app", "other", "linux/s390x")
    index = await push_index(pair.source_client, "dev/app", "1.0", [inner, other, whole])
    await reduced(pair, index)
    first, second = present(pair)["manifests"]
    assert second == entry(whole)
    document = present(pair, first["digest"])
    assert [it["digest"] for it in document["manifests"]] == [images[AMD].digest]
    assert first == {**entry(inner), "digest": first["digest"], "size": len(canonical_bytes(document))}


async def test_an_index_whose_only_index_is_reduced_changes_with_it(pair: Pair) -> None:
    inner, images = await push_multi_platform(pair.source_client, "dev/app", "inner", AMD, ARM)
    index = await push_index(pair.source_client, "dev/app", "1.0", [inner])
    await reduced(pair, index)
    (left,) = present(pair)["manifests"]
    assert left["digest"] != inner.digest
    assert [it["digest"] for it in present(pair, left["digest"])["manifests"]] == [images[AMD].digest]


async def test_a_registry_that_takes_the_index_as_it_is_gets_no_other(pair: Pair) -> None:
    pair.target.store.sparse = True
    index, _ = await two_platforms(pair)
    outcome = await pair.carry_out(index, platforms=(AMD,))
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.reduced_digest, pair.target_digest()) == (None, index.digest)


async def test_an_index_of_which_everything_is_wanted_is_never_reduced(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    pair.target_faults.on("PUT", TAG, Answer(400, body=errors("MANIFEST_INVALID")), times=1000)
    outcome = failed(await pair.carry_out(index, platforms=(AMD, ARM)))
    assert outcome.cause == "refused"
    assert pair.target_faults.count("PUT", TAG) == 1
    assert pair.target_digest() is None


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "MANIFEST_BLOB_UNKNOWN"), (404, "MANIFEST_UNKNOWN"), (400, "MANIFEST_INVALID"), (422, "")],
)
async def test_however_a_registry_words_its_refusal_it_is_taken_for_one(pair: Pair, status: int, code: str) -> None:
    pair.target.store.sparse = True
    index, _ = await two_platforms(pair)
    pair.target_faults.on("PUT", TAG, Answer(status, body=errors(code)), times=2)
    await reduced(pair, index)


async def test_a_registry_that_only_lost_content_gets_it_again_and_keeps_the_index(pair: Pair) -> None:
    pair.target.store.sparse = True
    index, _ = await two_platforms(pair)
    pair.target_faults.on("PUT", TAG, Answer(400, body=errors("MANIFEST_BLOB_UNKNOWN")))
    outcome = await pair.carry_out(index, platforms=(AMD,))
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.reduced_digest, pair.target_digest()) == (None, index.digest)


@pytest.mark.parametrize(("status", "cause"), [(500, "server-error"), (403, "denied")])
async def test_what_is_no_refusal_of_the_index_makes_no_other(pair: Pair, status: int, cause: str) -> None:
    pair.target.store.sparse = True
    index, _ = await two_platforms(pair)
    pair.target_faults.on("PUT", TAG, Answer(status), times=1000)
    assert failed(await pair.carry_out(index, platforms=(AMD,))).cause == cause
    assert pair.target_digest() is None


async def test_the_same_copy_again_is_skipped_and_writes_nothing(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    first = await reduced(pair, index)
    writes = pair.target_faults.count("PUT", ".") + pair.target_faults.count("POST", ".")
    again = await pair.carry_out(index, platforms=(AMD,))
    assert isinstance(again, TransferSkipped), again
    assert (again.reduced_digest, again.previous_digest) == (first.reduced_digest, first.reduced_digest)
    assert pair.target_faults.count("PUT", ".") + pair.target_faults.count("POST", ".") == writes


async def test_two_copies_make_the_same_index(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    first = await reduced(pair, index)
    other = await pair.carry_out(index, "target/qa/other:1.0", platforms=(AMD,))
    assert isinstance(other, TransferCompleted)
    assert other.reduced_digest == first.reduced_digest


async def test_what_the_copy_of_other_platforms_left_is_moved_and_told_as_previous(pair: Pair) -> None:
    index, _ = await push_multi_platform(pair.source_client, "dev/app", "1.0", AMD, ARM, "linux/s390x")
    first = await reduced(pair, index)
    second = await reduced(pair, index, platforms=(ARM,))
    assert second.previous_digest == first.reduced_digest
    assert second.reduced_digest != first.reduced_digest


async def test_a_write_whose_answer_is_lost_is_completed_by_the_next_attempt(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    # Refused twice as it is; of the reduced one the registry says that it failed when it has it.
    pair.target_faults.on("PUT", TAG, Alter(lambda answered: replace(answered, status=503)), nth=3)
    outcome = await reduced(pair, index)
    assert outcome.previous_digest is None
    assert len(pair.pauses) == 1
    assert pair.target_faults.count("PUT", TAG) == 3


@pytest.mark.parametrize("overwrite", ["if-different", "never", "backup"])
async def test_whatever_becomes_of_other_digests_its_own_index_is_a_skip(pair: Pair, overwrite: str) -> None:
    index, _ = await two_platforms(pair)
    await reduced(pair, index, overwrite=overwrite)
    assert isinstance(await pair.carry_out(index, platforms=(AMD,), overwrite=overwrite), TransferSkipped)
    assert set(pair.target.store.repositories["qa/app"].tags) == {"1.0"}


async def test_a_tag_that_is_never_overwritten_keeps_what_it_has(pair: Pair) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    index, _ = await two_platforms(pair)
    uploads = pair.target_faults.count("POST", "/uploads/")
    outcome = failed(await pair.carry_out(index, platforms=(AMD,), overwrite="never"))
    assert (outcome.cause, outcome.attempts) == ("target-exists", 1)
    assert pair.target_digest() == old.digest
    assert pair.target_faults.count("POST", "/uploads/") == uploads, "nothing is copied for nothing"


async def test_of_a_copy_without_platforms_the_source_is_not_read_to_know_that_a_tag_is_kept(pair: Pair) -> None:
    await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    index, _ = await two_platforms(pair)
    reads = pair.source_faults.count("GET", ".")
    assert failed(await pair.carry_out(index, overwrite="never")).cause == "target-exists"
    assert pair.source_faults.count("GET", ".") == reads


async def test_what_the_tag_had_is_kept_under_a_backup_tag_once(pair: Pair) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    index, _ = await two_platforms(pair)
    outcome = await reduced(pair, index, overwrite="backup")
    assert outcome.previous_digest == old.digest
    tags = pair.target.store.repositories["qa/app"].tags
    assert tags == {"1.0": outcome.reduced_digest, backup_tag("1.0", old.digest): old.digest}


async def test_an_immutable_tag_with_the_index_of_the_wanted_platforms_is_a_success(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    await reduced(pair, index)
    pair.target_faults.on("PUT", TAG, Answer(400, body=errors("TAG_INVALID", "tag is immutable")), times=1000)
    assert isinstance(await pair.carry_out(index, platforms=(AMD,)), TransferSkipped)
    assert failed(await pair.carry_out(index, platforms=(ARM,))).cause == "target-immutable"


async def test_somebody_who_moves_the_tag_after_us_is_noticed(pair: Pair) -> None:
    index, _ = await two_platforms(pair)

    async def other_writer() -> None:
        if pair.target_digest() is not None:
            await push_image(pair.target_client, "qa/app", "1.0", [b"theirs"])

    pair.target_faults.on("HEAD", "/manifests/1.0", Before(other_writer), times=2)
    assert failed(await pair.carry_out(index, platforms=(AMD,))).cause == "tag-moved"


async def test_signatures_of_the_whole_index_stay_behind_and_those_of_the_platforms_travel(pair: Pair) -> None:
    index, images = await two_platforms(pair)
    whole = await push_referrer(pair.source_client, "dev/app", index, "about all of it")
    await push_cosign(pair.source_client, index, ".sig", "of all of it")
    report = await push_referrer(pair.source_client, "dev/app", images[AMD], "about one")
    about = await push_referrer(pair.source_client, "dev/app", report, "about that")
    signature = await push_cosign(pair.source_client, images[AMD], ".sig", "of one")
    await reduced(pair, index)
    repository = pair.target.store.repositories["qa/app"]
    assert whole.digest not in repository.manifests
    assert {report.digest, about.digest, signature.digest} <= repository.manifests.keys()
    assert [it["digest"] for it in await listed(pair.target_client, "qa/app", images[AMD])] == [report.digest]
    assert set(repository.tags) == {"1.0", f"{fallback_tag(images[AMD].digest)}.sig"}
    assert isinstance(await pair.carry_out(index, platforms=(AMD,)), TransferSkipped)


async def test_a_signature_of_a_platform_that_is_made_later_is_brought_and_one_of_the_whole_is_not(pair: Pair) -> None:
    index, images = await two_platforms(pair)
    first = await reduced(pair, index)
    await push_referrer(pair.source_client, "dev/app", index, "about all of it")
    assert isinstance(await pair.carry_out(index, platforms=(AMD,)), TransferSkipped)
    report = await push_referrer(pair.source_client, "dev/app", images[AMD], "about one")
    again = await pair.carry_out(index, platforms=(AMD,))
    assert isinstance(again, TransferCompleted), again
    assert again.reduced_digest == first.reduced_digest == pair.target_digest()
    assert [it["digest"] for it in await listed(pair.target_client, "qa/app", images[AMD])] == [report.digest]


async def test_a_copy_that_only_wants_the_whole_is_not_satisfied_by_a_part(pair: Pair) -> None:
    index, _ = await two_platforms(pair)
    first = await reduced(pair, index)
    outcome = await pair.carry_out(index)
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.previous_digest, outcome.reduced_digest) == (first.reduced_digest, None)
    assert pair.target_digest() == index.digest


async def test_an_index_with_a_number_that_nobody_spells_alike_ends_the_transfer(pair: Pair) -> None:
    _, images = await two_platforms(pair)
    parts = [
        entry(images[name], platform=dict(zip(("os", "architecture"), name.split("/"), strict=True)))
        for name in (AMD, ARM)
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": parts, "n": 2**60}).encode()
    index = await push_manifest(pair.source_client, "dev/app", "1.0", content, OCI_INDEX)
    outcome = failed(await pair.carry_out(index, platforms=(AMD,)))
    assert (outcome.cause, outcome.attempts) == ("unsupported-manifest", 1)
    assert pair.target_digest() is None


async def test_an_index_named_by_sha512_gets_a_name_of_that_kind(pair: Pair) -> None:
    index, images = await two_platforms(pair)
    whole = await pair.source_client.get_manifest("dev/app", index.digest)
    image = await pair.source_client.get_manifest("dev/app", images[AMD].digest)
    longer = type(whole)(
        digest_of(whole.content, "sha512"), whole.media_type, whole.content, whole.blobs, whole.manifests
    )
    left = reduce_closure([image, longer])[-1]
    assert left.digest == digest_of(left.content, "sha512")
