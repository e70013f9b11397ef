"""What is not asked again: where blobs are known to be."""

import asyncio

import pytest

from schemas.descriptors import Descriptor
from schemas.events import TransferCompleted
from schemas.references import Repository
from streams.local_registry.store import StoredRepository
from tests.support.faults import Answer, Hold
from tests.support.images import assert_complete, copy_command, push_manifest_of
from tests.support.pairs import Pair
from tests.unit.registry.copying import WRITE
from towline import limits
from towline.registry import CopyReport, push_image
from towline.registry.blobs import digest_of
from towline.registry.errors import DeniedError, SourceGoneError
from towline.registry.known import KnownBlobs

ONE, OTHER = Repository.parse("target/qa/one"), Repository.parse("target/qa/other")
SHARED = digest_of(b"shared layer")


def test_what_was_seen_is_believed_for_a_while() -> None:
    now = 0.0
    known = KnownBlobs(lambda: now)
    known.note(ONE, "a", source="source")
    assert known.has(ONE, "a")
    assert known.origin("target", "a", source="source") == "qa/one"
    now = limits.known_blob_seconds
    assert not known.has(ONE, "a")
    assert known.origin("target", "a", source="source") is None


def test_what_is_known_of_one_place_is_not_taken_for_another() -> None:
    known = KnownBlobs()
    known.note(ONE, "a", source="source")
    assert not known.has(OTHER, "a")
    assert not known.has(ONE, "b")
    assert known.origin("source", "a", source="source") is None
    known.note(OTHER, "a", source="source")
    assert known.origin("target", "a", source="source") == "qa/other"
    known.forget(OTHER, "a")
    assert known.origin("target", "a", source="source") == "qa/one"


def test_a_blob_is_mounted_only_for_a_source_that_gave_its_bytes_before() -> None:
    known = KnownBlobs()
    known.note(ONE, "a")
    assert known.origin("target", "a", source="source") is None
    known.note(ONE, "a", source="source")
    known.note(ONE, "a")  # found there again, which takes nothing back
    assert known.origin("target", "a", source="source") == "qa/one"
    assert known.origin("target", "a", source="elsewhere") is None


def test_no_more_is_remembered_than_the_bounds_and_what_was_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "known_blob_count", 2)
    monkeypatch.setattr(limits, "known_blob_place_count", 1)
    known = KnownBlobs()
    for digest in ("a", "b", "a", "c"):
        known.note(ONE, digest)
    assert [known.has(ONE, digest) for digest in "abc"] == [True, False, True]
    known.note(OTHER, "a")
    assert [known.has(place, "a") for place in (ONE, OTHER)] == [False, True]


async def test_a_blob_that_was_brought_is_not_asked_for_again(pair: Pair) -> None:
    engine = pair.engine()
    for number in range(3):
        image = await pair.push(b"shared layer", bytes([number]), tag=f"{number}.0")
        await engine.copy(pair.command(image, f"target/qa/app:{number}"))
        await assert_complete(pair.target_client, "qa/app", image.digest)
    assert pair.target_faults.count("HEAD", SHARED) == 1
    assert pair.source_faults.count("GET", SHARED) == 1


async def test_a_mirrored_blob_is_mounted_from_another_repository_that_has_it(pair: Pair) -> None:
    engine = pair.engine()
    image = await pair.push(b"shared layer")
    await engine.copy(pair.command(image, "target/qa/one:1.0"))
    other = await push_image(pair.source_client, "dev/other", "1.0", [b"shared layer", b"own"])
    report = await engine.copy(copy_command("source/dev/other:1.0", other.digest, "target/qa/other:1.0"))
    assert (report.blobs_mounted, report.blobs_copied) == (1, 2)
    assert pair.source_faults.count("GET", SHARED) == 1
    await assert_complete(pair.target_client, "qa/other", other.digest)


async def test_a_source_that_only_names_a_blob_does_not_get_it_from_another_repository_of_the_target(
    pair: Pair,
) -> None:
    secret = await push_image(pair.target_client, "secret/app", "1.0", [b"only here"])
    engine = pair.engine()
    # Within the target, so that the engine knows where the blob is.
    await engine.copy(copy_command("target/secret/app:1.0", secret.digest, "target/secret/copy:1.0"))
    layer = Descriptor(media_type="a/b", digest=digest_of(b"only here"), size=9)
    repository = pair.source.store.repositories.setdefault("dev/app", StoredRepository())
    repository.blobs.add(layer.digest)  # as a registry does that takes a manifest without its content
    thief = await push_manifest_of(pair.source_client, "dev/app", "1.0", [layer])
    repository.blobs.discard(layer.digest)
    with pytest.raises(SourceGoneError):
        await engine.copy(pair.command(thief))
    assert layer.digest not in pair.target.store.repositories["qa/app"].blobs


async def test_a_place_that_has_the_blob_no_more_does_not_stop_the_copy(pair: Pair) -> None:
    engine = pair.engine()
    image = await pair.push(b"shared layer")
    await engine.copy(pair.command(image, "target/qa/one:1.0"))
    pair.target.store.repositories["qa/one"].blobs.clear()
    report = await engine.copy(pair.command(image, "target/qa/other:1.0"))
    assert (report.blobs_mounted, report.blobs_copied) == (0, 2)
    await assert_complete(pair.target_client, "qa/other", image.digest)


async def test_a_blob_that_was_deleted_where_it_is_believed_to_be_is_brought_again(pair: Pair) -> None:
    engine = pair.engine()
    image = await pair.push(b"shared layer")
    await engine.copy(pair.command(image))
    pair.target.store.repositories["qa/app"].blobs.clear()
    again = await pair.push(b"shared layer", b"own", tag="2.0")
    await engine.copy(pair.command(again, "target/qa/app:2.0"))
    await assert_complete(pair.target_client, "qa/app", again.digest)
    # The local registry was offered the image before its content, and refused it.
    pair.target.violations.clear()


async def test_an_image_without_referrers_is_written_once_under_its_tag(pair: Pair) -> None:
    image = await pair.push()
    outcome = await pair.carry_out(image)
    assert isinstance(outcome, TransferCompleted)
    assert [it.path for it in pair.target_faults.matching("PUT", WRITE)] == ["/v2/qa/app/manifests/1.0"]


async def test_a_blob_that_several_repositories_want_at_once_is_sent_once_and_mounted(pair: Pair) -> None:
    engine = pair.engine()
    images = [
        await push_image(pair.source_client, f"dev/app{n}", "1.0", [b"shared layer", bytes([n])]) for n in range(5)
    ]
    held = Hold()
    pair.source_faults.on("GET", SHARED, held)
    copies = asyncio.gather(
        *(
            engine.copy(copy_command(f"source/dev/app{n}:1.0", image.digest, f"target/qa/app{n}:1.0"))
            for n, image in enumerate(images)
        )
    )
    await held.reached.wait()
    held.release.set()
    reports = await copies
    assert pair.source_faults.count("GET", SHARED) == 1
    assert sum(report.blobs_mounted for report in reports) == 4
    for n, image in enumerate(images):
        await assert_complete(pair.target_client, f"qa/app{n}", image.digest)


async def test_when_the_one_who_brings_a_blob_fails_another_one_does(pair: Pair) -> None:
    engine = pair.engine()
    images = [await push_image(pair.source_client, f"dev/app{n}", "1.0", [b"shared layer"]) for n in range(3)]
    pair.source_faults.on("GET", SHARED, Answer(403))
    reports = await asyncio.gather(
        *(
            engine.copy(copy_command(f"source/dev/app{n}:1.0", image.digest, f"target/qa/app{n}:1.0"))
            for n, image in enumerate(images)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(report, DeniedError) for report in reports) == 1
    assert sum(isinstance(report, CopyReport) for report in reports) == 2
