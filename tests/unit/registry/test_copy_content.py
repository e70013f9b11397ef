"""Which content a copy moves, and what it does when content is lost, refused or shared (R rows, I7, I8, I9)."""

import asyncio
import json
from dataclasses import replace

import pytest

from schemas.descriptors import DOCKER_SCHEMA1, Descriptor
from schemas.events import TransferCompleted
from streams.local_registry.store import Store
from tests.support.faults import Alter, Answer, Answered, Before, Hold
from tests.support.images import assert_complete, push_manifest_of
from tests.support.pairs import Pair
from tests.unit.registry.copying import BLOB, TAG, UPLOAD, WRITE, completed, errors, failed
from towline import limits
from towline.failpoints import FailpointError
from towline.registry import push_image
from towline.registry.blobs import digest_of
from towline.registry.images import push_blob


async def test_blobs_that_are_there_are_not_sent_again(pair: Pair) -> None:
    await push_image(pair.target_client, "qa/app", "older", [b"first layer"])
    image = await pair.push()
    outcome = await completed(pair, image)
    assert (outcome.blobs_copied, outcome.blobs_skipped) == (2, 1)
    assert pair.source_faults.count("GET", digest_of(b"first layer")) == 0


async def test_within_one_registry_blobs_are_mounted_and_no_byte_moves(pair: Pair) -> None:
    image = await pair.push()
    outcome = await pair.carry_out(image, "source/qa/app:1.0")
    assert isinstance(outcome, TransferCompleted)
    assert (outcome.blobs_mounted, outcome.bytes_copied) == (3, 0)
    assert pair.source_faults.count("GET", BLOB) == 0
    await assert_complete(pair.source_client, "qa/app", image.digest)


async def test_a_blob_that_is_there_is_not_mounted_again(pair: Pair) -> None:
    images = [await pair.push(b"shared layer", bytes([n]), tag=f"{n}.0") for n in range(4)]
    engine = pair.engine()
    commands = [pair.command(image, f"source/qa/app:{n}") for n, image in enumerate(images)]
    reports = await asyncio.gather(*(engine.copy(command) for command in commands))
    shared = f"mount={digest_of(b'shared layer')}".replace(":", "(:|%3A)")
    assert pair.source_faults.count("POST", shared) == 1
    assert sum(report.blobs_mounted for report in reports) == 1 + 2 * len(images)
    later = await pair.push(b"shared layer", b"later", tag="later")
    assert (await engine.copy(pair.command(later, "source/qa/app:later"))).blobs_skipped == 1
    assert pair.source_faults.count("POST", shared) == 1


async def test_only_the_repositories_of_the_command_are_named_in_a_mount(pair: Pair) -> None:
    image = await pair.push()
    await pair.carry_out(image, "source/qa/app:1.0")
    mounts = pair.source_faults.matching("POST", "mount=")
    assert {request.path for request in mounts} == {"/v2/qa/app/blobs/uploads/"}
    assert all("from=dev%2Fapp" in it.query or "from=dev/app" in it.query for it in mounts)


@pytest.mark.parametrize("refusal", [Answer(404), Answer(405), Answer(403), Answer(400)])
async def test_a_mount_that_is_refused_becomes_a_copy(pair: Pair, refusal: Answer) -> None:
    image = await pair.push()
    pair.source_faults.on("POST", "mount=", refusal, times=1000)
    outcome = await pair.carry_out(image, "source/qa/app:1.0")
    assert isinstance(outcome, TransferCompleted)
    assert (outcome.blobs_mounted, outcome.blobs_copied) == (0, 3)


async def test_a_mount_that_is_answered_with_a_session_goes_on_with_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await pair.push()
    repository = pair.source.store.repositories["dev/app"]

    def never(store: Store, name: str, digest: str, origin: str) -> bool:
        return False

    monkeypatch.setattr(Store, "mount", never)
    outcome = await pair.carry_out(image, "source/qa/app:1.0")
    assert isinstance(outcome, TransferCompleted)
    assert outcome.blobs_copied == len(repository.blobs)
    assert pair.source_faults.count("POST", "uploads/") == 2 * len(repository.blobs)
    assert pair.source.store.uploads == {}


async def test_a_retag_within_one_repository_moves_the_tag_alone(pair: Pair) -> None:
    image = await pair.push()
    writes = pair.source_faults.count("PUT", ".") + pair.source_faults.count("POST", ".")
    outcome = await pair.carry_out(image, "source/dev/app:stable")
    assert isinstance(outcome, TransferCompleted)
    assert pair.source_faults.count("PUT", ".") + pair.source_faults.count("POST", ".") == writes + 1


async def test_an_upload_session_that_is_lost_is_opened_anew(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", UPLOAD, Answer(404, body=errors("BLOB_UPLOAD_UNKNOWN")))
    await completed(pair, image)
    assert pair.pauses == []
    # Three blobs: the whole blob again, and nothing else.
    assert pair.target_faults.count("PUT", UPLOAD) == 4


async def test_upload_sessions_that_are_always_lost_end_the_transfer(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", UPLOAD, Answer(404, body=errors("BLOB_UPLOAD_UNKNOWN")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("upload-lost", True)


@pytest.mark.parametrize(
    ("location", "state"),
    [
        ("{session}", ""),
        ("../uploads/{session}?_state=a%2Fb%3D%3A&x=1+2", "_state=a%2Fb%3D%3A&x=1+2&"),
        ("/v2/qa/app/blobs/uploads/{session}?_state=", "_state=&"),
    ],
)
async def test_an_upload_location_may_be_relative_and_keeps_its_query(pair: Pair, location: str, state: str) -> None:
    image = await pair.push()

    def relocated(answered: Answered) -> Answered:
        given = location.format(session=answered.headers["docker-upload-uuid"])
        return replace(answered, headers={**answered.headers, "location": given})

    pair.target_faults.on("POST", "uploads/", Alter(relocated), times=1000)
    await completed(pair, image)
    queries = [it.query for it in pair.target_faults.matching("PUT", UPLOAD)]
    assert len(queries) == 3
    assert all(query.startswith(f"{state}digest=sha256") for query in queries)


async def test_content_that_the_target_lost_is_sent_again_once(pair: Pair) -> None:
    image = await pair.push(b"lost")
    lost = digest_of(b"lost")

    def lose() -> None:
        pair.target.store.repositories["qa/app"].blobs.discard(lost)

    pair.target_faults.on("PUT", WRITE, Before(lose))
    outcome = await pair.carry_out(image)
    # The local registry takes a manifest before its content for a fault of ours; here the content was taken away.
    assert len(pair.target.violations) == 1
    pair.target.violations.clear()
    assert isinstance(outcome, TransferCompleted)
    assert pair.source_faults.count("GET", lost) == 2
    assert pair.pauses == []


async def test_a_target_that_never_finds_the_content_ends_the_transfer(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", WRITE, Answer(400, body=errors("MANIFEST_BLOB_UNKNOWN")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("content-missing", False, 1)
    assert pair.target_faults.count("PUT", WRITE) == 2
    assert pair.target_digest() is None


async def test_an_answer_lost_after_the_tag_was_written_is_a_completion_not_a_skip(pair: Pair) -> None:
    image = await pair.push()
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    pair.target_faults.on("PUT", TAG, Alter(lambda written: replace(written, status=502)))
    outcome = await completed(pair, image)
    assert len(pair.pauses) == 1
    assert pair.target_faults.count("PUT", TAG) == 2
    assert outcome.previous_digest == old.digest
    assert outcome.blobs_copied == 3


async def test_schema_1_is_refused_with_a_reason(pair: Pair) -> None:
    content = json.dumps({"schemaVersion": 1, "name": "dev/app", "fsLayers": [], "history": []}).encode()
    digest, _ = pair.source.store.put_manifest("dev/app", "1.0", DOCKER_SCHEMA1, content)
    outcome = failed(await pair.carry_out(digest))
    assert (outcome.cause, outcome.attempts) == ("unsupported-manifest", 1)
    assert "schema 1" in outcome.detail
    assert pair.target.store.repositories == {}


async def test_unknown_media_types_foreign_layers_and_empty_blobs_are_copied_as_they_are(pair: Pair) -> None:
    client = pair.source_client
    layers = [
        await push_blob(client, "dev/app", b"", "application/x-nothing"),
        await push_blob(client, "dev/app", b"anything", "text/x.of-my-own"),
        Descriptor(
            media_type="application/vnd.oci.image.layer.nondistributable.v1.tar", digest=digest_of(b"elsewhere"), size=9
        ),
    ]
    subject = {"mediaType": "application/x.gone", "digest": digest_of(b"gone"), "size": 4}
    image = await push_manifest_of(
        client, "dev/app", "1.0", layers, artifactType="application/x.mine", subject=subject, unheard={"of": [1.5]}
    )
    assert isinstance(await pair.carry_out(image), TransferCompleted)
    source, target = pair.source.store.repositories["dev/app"], pair.target.store.repositories["qa/app"]
    assert target.manifests[image.digest].content == source.manifests[image.digest].content
    assert target.manifests[image.digest].media_type == source.manifests[image.digest].media_type
    assert pair.source_faults.count("GET", digest_of(b"elsewhere")) == 0
    assert pair.target.store.blobs[digest_of(b"")] == b""


async def test_sha512_digests_are_copied(pair: Pair) -> None:
    content = b"wide"
    digest = digest_of(content, "sha512")
    pair.source.store.put_blob("dev/app", digest, content)
    image = await push_manifest_of(
        pair.source_client, "dev/app", "1.0", [Descriptor(media_type="a/b", digest=digest, size=4)]
    )
    await completed(pair, image)
    assert pair.target.store.blobs[digest] == content


async def test_an_encoded_blob_is_refused(pair: Pair) -> None:
    image = await pair.push()

    def encoded(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "content-encoding": "gzip"})

    pair.source_faults.on("GET", BLOB, Alter(encoded), times=1000)
    assert failed(await pair.carry_out(image)).cause == "protocol"


async def test_a_blob_wanted_by_several_transfers_at_once_is_sent_once(pair: Pair) -> None:
    shared = b"shared layer"
    images = [await pair.push(shared, bytes([n]), tag=f"{n}.0") for n in range(4)]
    held = Hold()
    pair.source_faults.on("GET", digest_of(shared), held)
    engine = pair.engine()
    commands = [pair.command(image, f"target/qa/app:{n}") for n, image in enumerate(images)]
    async with asyncio.TaskGroup() as group:
        copies = [group.create_task(engine.copy(command)) for command in commands]
        await held.reached.wait()
        held.release.set()
    assert pair.source_faults.count("GET", digest_of(shared)) == 1
    assert sum(copy.result().blobs_copied for copy in copies) == 2 + 2 * len(images) - 1


async def test_when_the_one_who_sends_a_shared_blob_fails_the_next_takes_over(pair: Pair) -> None:
    images = [await pair.push(b"shared layer", bytes([n]), tag=f"{n}.0") for n in range(2)]
    held = Hold()
    pair.source_faults.on("GET", digest_of(b"shared layer"), held)
    engine = pair.engine()
    first, second = (
        asyncio.create_task(engine.copy(pair.command(image, f"target/qa/app:{n}"))) for n, image in enumerate(images)
    )
    await held.reached.wait()
    first.cancel()
    held.release.set()
    report = await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert report.skipped is False
    assert pair.target_digest(tag="1") == images[1].digest


async def test_a_transfer_that_is_cancelled_in_a_blob_gives_up_its_upload_session(pair: Pair) -> None:
    image = await pair.push()
    held = Hold()
    pair.source_faults.on("GET", BLOB, held, times=1000)
    copying = asyncio.create_task(pair.engine().copy(pair.command(image)))
    await held.reached.wait()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert pair.target_faults.count("DELETE", UPLOAD) >= 1
    assert pair.target.store.uploads == {}
    held.release.set()


@pytest.mark.parametrize(
    "site",
    [
        "transfer.authorised",
        "transfer.blob_chunk",
        "transfer.blobs_copied",
        "transfer.children_copied",
        "transfer.tag_next",
        "transfer.tag_written",
        "transfer.verified",
    ],
)
async def test_a_transfer_that_breaks_at_any_step_leaves_a_whole_target_and_can_be_repeated(
    pair: Pair, site: str
) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    image = await pair.push()
    with pytest.raises(FailpointError, match=site):
        await pair.engine(f"{site}:raise@1").copy(pair.command(image))
    assert pair.target_digest() in {old.digest, image.digest}
    pair.assert_clean()
    await pair.carry_out(image)
    assert pair.target_digest() == image.digest
    await assert_complete(pair.target_client, "qa/app", image.digest)


async def test_a_registry_that_is_not_in_the_settings_ends_the_transfer_with_a_clear_reason(pair: Pair) -> None:
    image = await pair.push()
    outcome = failed(await pair.carry_out(image, "nowhere/qa/app:1.0"))
    assert (outcome.cause, outcome.retryable) == ("misconfigured", False)
    assert "'nowhere' is not in the settings" in outcome.detail


async def test_a_transfer_that_takes_too_long_ends(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await pair.push()
    held = Hold()
    pair.source_faults.on("GET", BLOB, held, times=1000)
    monkeypatch.setattr(limits, "transfer_deadline_seconds", 0.2)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("deadline", True)
    held.release.set()
