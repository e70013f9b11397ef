"""How a blob is written, and what becomes of its upload session (OCI.md 10, 11, 12; fault catalogue R12, R13)."""

from dataclasses import replace

import pytest

from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.egress import allowing
from tests.support.faults import Alter, Answer, Answered, Break, Faults
from tests.support.pairs import Pair, pair_of_registries
from tests.unit.registry.copying import BLOB, UPLOAD, completed, errors, failed
from towline import limits
from towline.registry.blobs import digest_of

SESSION = "/blobs/uploads/"


async def test_a_blob_is_one_post_and_one_put_of_announced_length(pair: Pair) -> None:
    image = await pair.push(b"x" * 3_000_000)
    await completed(pair, image)
    puts = pair.target_faults.matching("PUT", UPLOAD)
    assert pair.target_faults.count("POST", SESSION) == len(puts) == 2
    assert {int(it.headers["content-length"]) for it in puts} >= {3_000_000}
    assert all("transfer-encoding" not in it.headers and "expect" not in it.headers for it in puts)
    assert pair.target_faults.count("PATCH", ".") == 0
    assert all(it.query.startswith("digest=") for it in puts)
    assert not any("digest=" in it.query for it in pair.target_faults.matching("POST", SESSION))


LOST = [
    Answer(404, body=errors("BLOB_UPLOAD_UNKNOWN")),
    Answer(404, body=b"<html>not found</html>"),
    Answer(416, body=errors("RANGE_INVALID")),
    Answer(400, body=errors("BLOB_UPLOAD_INVALID")),
]


@pytest.mark.parametrize("answer", LOST)
async def test_a_session_that_is_not_what_it_was_is_given_up_and_the_whole_blob_sent_over_another(
    pair: Pair, answer: Answer
) -> None:
    image = await pair.push(b"the layer")
    layer = digest_of(b"the layer")
    pair.target_faults.on("PUT", UPLOAD + ".*" + layer.replace(":", "%3A"), answer)
    await completed(pair, image)
    assert pair.pauses == []
    assert pair.source_faults.count("GET", layer) == 2
    assert all("range" not in it.headers for it in pair.source_faults.matching("GET", layer))
    assert pair.target_faults.count("PATCH", ".") == 0


@pytest.mark.parametrize("answer", LOST)
async def test_sessions_that_are_lost_again_and_again_end_the_transfer(pair: Pair, answer: Answer) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", UPLOAD, answer, times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("upload-lost", True)
    assert outcome.attempts == limits.transfer_attempt_count
    blobs = len(pair.source.store.blobs)
    assert pair.target_faults.count("PUT", UPLOAD) <= 2 * blobs * limits.transfer_attempt_count


async def test_a_session_that_is_still_in_use_when_it_is_given_up_is_given_up_again(pair: Pair) -> None:
    image = await pair.push(b"the layer")
    pair.target_faults.on("PUT", UPLOAD, Answer(400, body=errors("DIGEST_INVALID")), times=1000)
    pair.target_faults.on("DELETE", UPLOAD, Answer(404, body=errors("BLOB_UPLOAD_INVALID")))
    failed(await pair.carry_out(image))
    assert pair.target_faults.count("DELETE", UPLOAD) == pair.target_faults.count("POST", SESSION) + 1
    assert pair.target.store.uploads == {}


async def test_a_session_at_another_host_that_is_lost_is_opened_anew() -> None:
    elsewhere = Faults(LocalRegistry())
    elsewhere.on("PUT", "/put", Answer(404), times=1000)
    async with serving(elsewhere) as url, pair_of_registries(egress=allowing(url)) as pair:
        image = await pair.push(b"the layer")

        def relocated(answered: Answered) -> Answered:
            return replace(answered, headers={**answered.headers, "location": f"{url}/put?state=a%2Fb"})

        pair.target_faults.on("POST", SESSION, Alter(relocated))
        await completed(pair, image)
    assert [it.query.partition("&")[0] for it in elsewhere.matching("PUT", "/put")] == ["state=a%2Fb"]
    assert all("authorization" not in it.headers for it in elsewhere.requests)


async def test_what_the_source_does_not_have_is_not_taken_for_a_lost_session(pair: Pair) -> None:
    image = await pair.push(b"the layer")
    pair.source_faults.on("GET", digest_of(b"the layer"), Answer(404, body=errors("BLOB_UPLOAD_UNKNOWN")), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.attempts) == ("source-gone", 1)


async def test_a_range_that_the_source_does_not_serve_is_no_lost_session_and_the_blob_is_read_anew(pair: Pair) -> None:
    content = bytes(range(256)) * 400
    image = await pair.push(content)
    layer = digest_of(content)
    pair.source_faults.on("GET", layer, Break(after_bytes=1000))
    pair.source_faults.on("GET", layer, Answer(416))
    await completed(pair, image)
    asked = [it.headers.get("range") for it in pair.source_faults.matching("GET", layer)]
    assert asked == [None, "bytes=1000-", None]
    assert len(pair.pauses) == 1


async def test_an_upload_that_is_broken_off_amid_the_blob_begins_anew_from_its_first_byte(pair: Pair) -> None:
    image = await pair.push(b"the layer")
    pair.target_faults.on("PUT", UPLOAD, Break(), times=2)
    await completed(pair, image)
    assert pair.target_faults.count("PATCH", ".") == 0
    assert all("content-range" not in it.headers for it in pair.target_faults.matching("PUT", UPLOAD))


async def test_a_target_that_claims_another_digest_for_a_blob_is_asked_what_it_has(pair: Pair) -> None:
    image = await pair.push(b"the layer")
    layer = digest_of(b"the layer")

    def lying(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "docker-content-digest": digest_of(b"something else")})

    pair.target_faults.on("PUT", UPLOAD + ".*" + layer.replace(":", "%3A"), Alter(lying), times=1000)
    await completed(pair, image)
    assert len(pair.pauses) == 1
    assert pair.target_faults.count("HEAD", layer) == 2


async def test_what_the_source_claims_of_a_blob_is_not_trusted_over_its_bytes(pair: Pair) -> None:
    image = await pair.push()

    def lying(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "docker-content-digest": digest_of(b"something else")})

    pair.source_faults.on("GET", BLOB, Alter(lying), times=1000)
    await completed(pair, image)


async def test_a_registry_that_makes_no_repositories_ends_the_transfer_at_once_and_says_what_to_do(pair: Pair) -> None:
    image = await pair.push()
    words = "The repository with name 'qa/app' does not exist"
    pair.target_faults.on("POST", SESSION, Answer(404, body=errors("NAME_UNKNOWN", words)), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("not-found", False, 1)
    assert "target has no repository qa/app and makes none by itself: create it there" in outcome.detail
    assert words in outcome.detail


async def test_a_mount_that_is_said_to_be_done_and_is_not_ends_the_transfer(pair: Pair) -> None:
    image = await pair.push(b"the layer")
    location = {"location": f"/v2/qa/app/blobs/{digest_of(b'the layer')}"}
    pair.source_faults.on("POST", "mount=", Answer(201, location), times=1000)
    outcome = failed(await pair.carry_out(image, "source/qa/app:1.0"))
    assert (outcome.cause, outcome.retryable) == ("content-missing", False)
    assert "1.0" not in pair.source.store.repositories["qa/app"].tags
    pair.source.violations.clear()  # the local registry was offered the image without its content, and refused it


async def test_a_session_that_is_opened_as_done_is_a_protocol_error(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("POST", SESSION, Answer(201, {"location": "/v2/"}), times=1000)
    assert failed(await pair.carry_out(image)).cause == "protocol"
