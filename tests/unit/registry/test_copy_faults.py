"""What registries do to a copy, and what becomes of it (fault catalogue: R rows, I7, I8, I9)."""

import asyncio
import socket
from dataclasses import replace

import pytest

from schemas.events import TransferSkipped
from tests.support.faults import Alter, Answer, Answered, Before, Break, Hold
from tests.support.images import assert_complete, push_platforms
from tests.support.pairs import Pair
from tests.support.waiting import eventually
from tests.unit.registry.copying import BLOB, MANIFEST, TAG, UPLOAD, WRITE, completed, errors, failed
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import Attempts, CopyEngine, CopyReport, Registries, carry_out, push_image
from towline.registry.blobs import digest_of
from towline.registry.errors import TagMovedError
from towline.registry.targettag import VERIFY_PAUSES_SECONDS
from towline.settings import RegistrySettings


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_server_error_that_passes_is_tried_again(pair: Pair, status: int) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", BLOB, Answer(status, body=b"<html>busy</html>"), times=2)
    await completed(pair, image)
    assert pair.pauses


async def test_a_server_error_that_stays_ends_the_transfer_after_its_attempts_with_doubling_pauses(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", WRITE, Answer(503), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("server-error", True)
    assert outcome.attempts == limits.transfer_attempt_count
    assert pair.pauses == [limits.backoff_first_seconds * 2**n for n in range(limits.transfer_attempt_count - 1)]
    assert pair.target_digest() is None


async def test_pauses_are_scaled_by_jitter(pair: Pair) -> None:
    image = await pair.push()
    pair.jitter = 0.25
    pair.target_faults.on("PUT", WRITE, Answer(503))
    await completed(pair, image)
    assert pair.pauses == [limits.backoff_first_seconds * 0.25]


@pytest.mark.parametrize("path", [".", TAG], ids=["all writes", "the last write"])
async def test_heads_that_work_do_not_hide_writes_that_fail(pair: Pair, path: str) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    image = await pair.push()
    pair.target_faults.on("PUT", path, Answer(503), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert outcome.previous_digest == old.digest
    assert pair.target_digest() == old.digest


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("7", 7.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", limits.retry_after_seconds),
        ("315360000", limits.retry_after_seconds),
        ("9" * 5000, limits.retry_after_seconds),
        ("Sat, 01 Jan 2000 00:00:00 GMT", limits.backoff_first_seconds),
        ("soon", limits.backoff_first_seconds),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", limits.backoff_first_seconds),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999999", limits.backoff_first_seconds),
        (None, limits.backoff_first_seconds),
    ],
)
async def test_retry_after_is_honoured_and_capped(pair: Pair, value: str | None, pause: float) -> None:
    image = await pair.push()
    headers = {} if value is None else {"retry-after": value}
    pair.source_faults.on("GET", MANIFEST, Answer(429, headers, errors("TOOMANYREQUESTS")))
    await completed(pair, image)
    assert pair.pauses == [pause]


async def test_a_connection_that_breaks_in_a_blob_is_tried_again_and_nothing_half_is_committed(pair: Pair) -> None:
    image = await pair.push(b"x" * 100_000)
    pair.source_faults.on("GET", BLOB, Break(after_bytes=0), times=2)
    await completed(pair, image)
    assert len(pair.pauses) in {1, 2}
    assert pair.target_faults.count("DELETE", UPLOAD) >= 1


async def test_a_connection_that_breaks_in_every_manifest_ends_as_unreachable(pair: Pair) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", MANIFEST, Break(after_bytes=1), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("unreachable", True)
    assert pair.source_faults.count("GET", MANIFEST) >= limits.transfer_attempt_count


async def test_a_registry_that_is_not_there_ends_as_unreachable(pair: Pair) -> None:
    image = await pair.push()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens, so that connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        source = pair.source_client
        async with Registries({"target": RegistrySettings(url=url)}) as absent:
            engine = CopyEngine(lambda name: source if name == "source" else absent(name), Failpoints())
            outcome = failed(
                await carry_out("c" * 64, pair.command(image), engine, attempts=Attempts(sleep=pair.sleep))
            )
    assert (outcome.cause, outcome.retryable) == ("unreachable", True)
    assert outcome.attempts == limits.transfer_attempt_count


def truncated(answered: Answered) -> Answered:
    body = answered.body[:-1]
    return replace(answered, body=body, headers={**answered.headers, "content-length": str(len(body))})


def longer(answered: Answered) -> Answered:
    body = answered.body + b"!"
    return replace(answered, body=body, headers={**answered.headers, "content-length": str(len(body))})


def wrong_bytes(answered: Answered) -> Answered:
    return replace(answered, body=b"?" * len(answered.body))


def lying_header(answered: Answered) -> Answered:
    return replace(answered, headers={**answered.headers, "docker-content-digest": digest_of(b"something else")})


@pytest.mark.parametrize(
    ("change", "cause"), [(truncated, "size-mismatch"), (longer, "size-mismatch"), (wrong_bytes, "digest-mismatch")]
)
async def test_a_blob_with_other_bytes_is_never_committed(pair: Pair, change: object, cause: str) -> None:
    image = await pair.push(b"the one layer")
    blob = digest_of(b"the one layer")
    pair.source_faults.on("GET", blob, Alter(change), times=1000)  # type: ignore[arg-type]
    outcome = failed(await pair.carry_out(image))
    assert outcome.cause == cause
    assert blob not in pair.target.store.blobs
    assert pair.target_digest() is None
    assert blob in outcome.detail
    assert "status" not in outcome.detail, "it was left to the target to notice"


@pytest.mark.parametrize("change", [truncated, wrong_bytes, lying_header])
async def test_a_manifest_that_does_not_fit_the_commanded_digest_is_rejected(pair: Pair, change: object) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", MANIFEST, Alter(change), times=1000)  # type: ignore[arg-type]
    outcome = failed(await pair.carry_out(image))
    assert outcome.cause == "digest-mismatch"
    assert pair.target.store.repositories == {}


async def test_a_target_that_claims_another_digest_for_what_was_written_fails_the_copy(pair: Pair) -> None:
    index = await push_platforms(pair.source_client, "dev/app", "1.0")
    pair.target_faults.on("PUT", MANIFEST, Alter(lying_header), times=1000)
    assert failed(await pair.carry_out(index)).cause == "digest-mismatch"
    assert pair.target_digest() is None


async def test_the_commanded_digest_is_copied_although_the_source_tag_has_moved(pair: Pair) -> None:
    image = await pair.push()
    await pair.push(b"pushed in between")
    await completed(pair, image)


async def test_the_commanded_digest_is_copied_although_the_source_tag_moves_meanwhile(pair: Pair) -> None:
    image = await pair.push()
    pair.source_faults.on("GET", BLOB, Before(lambda: pair.push(b"pushed meanwhile")))
    await completed(pair, image)


async def test_a_source_digest_that_is_gone_ends_the_transfer_at_once(pair: Pair) -> None:
    await pair.push()
    outcome = failed(await pair.carry_out(digest_of(b"never pushed")))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("source-gone", False, 1)


async def test_a_source_blob_that_is_collected_meanwhile_ends_the_transfer_at_once(pair: Pair) -> None:
    image = await pair.push(b"collected")
    repository = pair.source.store.repositories["dev/app"]
    gone = digest_of(b"collected")
    pair.source_faults.on("GET", gone, Before(lambda: repository.blobs.discard(gone)))
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("source-gone", False, 1)
    assert pair.target_digest() is None


async def test_a_tag_that_somebody_moves_after_us_is_told(pair: Pair) -> None:
    image = await pair.push()
    other = await push_image(pair.target_client, "qa/app", "other", [b"other"])
    tags = pair.target.store.repositories["qa/app"].tags
    pair.target_faults.on("HEAD", TAG, Before(lambda: tags.update({"1.0": other.digest})), nth=2)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("tag-moved", False, 1)
    assert pair.target_digest() == other.digest


async def test_what_somebody_else_put_there_before_is_recorded(pair: Pair) -> None:
    image = await pair.push()
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    assert (await completed(pair, image)).previous_digest == old.digest


async def test_a_tag_that_shows_late_is_waited_for(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("HEAD", TAG, Answer(404), nth=2, times=3)
    await completed(pair, image)
    assert len(pair.pauses) == 3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, errors("TAG_ALREADY_EXISTS")),
        (412, errors("PRECONDITION", "configured as immutable")),
        (403, errors("DENIED", "this tag is immutable")),
        (400, errors("TAG_INVALID", "the tag already exists and cannot be overwritten")),
    ],
)
async def test_an_immutable_tag_with_another_digest_ends_the_transfer_at_once(
    pair: Pair, status: int, body: bytes
) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    image = await pair.push()
    pair.target_faults.on("PUT", TAG, Answer(status, body=body), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("target-immutable", False, 1)
    assert pair.target_digest() == old.digest


async def test_an_immutable_tag_with_the_commanded_digest_is_skipped(pair: Pair) -> None:
    image = await pair.push()
    await completed(pair, image)
    pair.target_faults.on("PUT", ".", Answer(409), times=1000)
    outcome = await pair.carry_out(image)
    assert isinstance(outcome, TransferSkipped)
    assert outcome.previous_digest == image.digest


async def test_an_immutable_tag_that_another_writer_gave_the_same_image_is_a_success(pair: Pair) -> None:
    image = await pair.push()
    tags = pair.target.store.repositories

    def other_writer(answered: Answered) -> Answered:
        assert tags["qa/app"].tags["1.0"] == image.digest
        return Answered(409, {"content-length": "0"}, b"")

    pair.target_faults.on("PUT", TAG, Alter(other_writer))
    await completed(pair, image)


async def test_a_tag_that_never_shows_is_no_success(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("HEAD", TAG, Answer(404), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("not-written", True)
    assert outcome.attempts == limits.transfer_attempt_count
    assert "is not there" in outcome.detail


async def test_a_tag_that_still_shows_what_it_had_is_waited_for_and_then_not_fought_over(pair: Pair) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    image = await pair.push()
    stale = Answer(200, {"docker-content-digest": old.digest})
    pair.target_faults.on("HEAD", TAG, stale, times=1000)
    outcome = failed(await pair.carry_out(image))
    # It may as well have been put back by somebody else.
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("tag-moved", False, 1)
    assert pair.pauses == list(VERIFY_PAUSES_SECONDS)
    assert sum(VERIFY_PAUSES_SECONDS) > 5


@pytest.mark.parametrize("status", [429, 503])
async def test_patience_that_a_busy_registry_asks_for_is_given(pair: Pair, status: int) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", WRITE, Answer(status, {"retry-after": "11"}, b"<html>come again</html>"))
    await completed(pair, image)
    assert pair.pauses == [11.0]


@pytest.mark.parametrize(("status", "cause"), [(400, "refused"), (403, "denied"), (413, "too-large")])
async def test_a_refusal_is_not_tried_again_whatever_its_body_is(pair: Pair, status: int, cause: str) -> None:
    image = await pair.push()
    bodies = (b"", b"<html>no</html>", b"[]", b'{"errors": 7}', b'{"errors": [7, {"code": 7, "message": []}]}', b"\xff")
    for body in bodies:
        pair.target_faults.on("POST", "/uploads/", Answer(status, {"content-type": "text/html"}, body), times=3)
        outcome = failed(await pair.carry_out(image))
        assert (outcome.cause, outcome.retryable, outcome.attempts) == (cause, False, 1)
        pair.target_faults.stop()


async def test_two_commands_for_one_tag_at_once_leave_the_whole_of_one_of_them(pair: Pair) -> None:
    images = [await pair.push(b"shared layer", bytes([number]), tag=f"{number}") for number in range(2)]
    held, engine = Hold(), pair.engine()
    pair.source_faults.on("GET", digest_of(b"shared layer"), held)
    # One brings the layer, and while it does the other one has everything else.
    copies = asyncio.gather(*(engine.copy(pair.command(image)) for image in images), return_exceptions=True)
    await held.reached.wait()

    async def has_the_rest() -> bool:
        return pair.target_faults.count("PUT", UPLOAD) == 4

    await eventually(has_the_rest, seconds=10, what="everything but the shared layer sent")
    held.release.set()
    reports = await copies
    assert all(isinstance(report, CopyReport | TagMovedError) for report in reports), reports
    digest = pair.target_digest()
    assert digest in {image.digest for image in images}
    await assert_complete(pair.target_client, "qa/app", str(digest))
