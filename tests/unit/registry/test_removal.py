"""What registries do to the removal of a tag, and what becomes of it: one tag goes, or none."""

import asyncio
import json

import pytest

from schemas.commands import RemoveTag
from schemas.descriptors import Descriptor
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferCompleted
from tests.support.faults import Alter, Answer, Answered, Before, Break, Hold
from tests.support.images import assert_complete, never_reduced, push_index, push_multi_platform, remove_command
from tests.support.pairs import TARGET, Pair
from tests.unit.agents.harness import until
from towline import limits
from towline.failpoints import FailpointError
from towline.registry import CopyEngine, RemovalOutcome, carry_out, push_image, remove
from towline.registry.removal import Reduced
from towline.registry.targettag import VERIFY_PAUSES_SECONDS

TAG_PATH = "/v2/qa/app/manifests/1.0"
DIGEST_PATH = "/v2/qa/app/manifests/sha256:"
#: As distribution 2.8 says it.
NO_SINGLE_TAG = Answer(400, body=json.dumps({"errors": [{"code": "DIGEST_INVALID"}]}).encode())


async def push(pair: Pair, tag: str = "1.0", content: bytes = b"one") -> Descriptor:
    return await push_image(pair.target_client, "qa/app", tag, [content])


async def removal(
    pair: Pair,
    image: Descriptor,
    target: str = TARGET,
    engine: CopyEngine | None = None,
    reduced: Reduced = never_reduced,
) -> RemovalOutcome:
    command = remove_command(target, image.digest)
    return await remove("c" * 64, command, engine or pair.engine(), reduced, attempts=pair.attempts)


def failed(outcome: RemovalOutcome) -> RemovalFailed:
    assert isinstance(outcome, RemovalFailed)
    return outcome


def removes_no_single_tag(pair: Pair) -> None:
    pair.target_faults.on("DELETE", r"manifests/[^/:]+\?", NO_SINGLE_TAG, times=1000)


async def test_a_server_error_that_passes_is_tried_again(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("DELETE", TAG_PATH, Answer(503), times=2)
    assert isinstance(await removal(pair, image), TagRemoved)
    assert pair.target_digest() is None
    assert len(pair.pauses) == 2


async def test_a_server_error_that_stays_ends_the_removal_and_leaves_the_tag(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("DELETE", TAG_PATH, Answer(503), times=1000)
    outcome = failed(await removal(pair, image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == (
        "server-error",
        True,
        limits.transfer_attempt_count,
    )
    assert outcome.previous_digest == pair.target_digest() == image.digest


async def test_a_removal_whose_answer_was_lost_is_told_as_done(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("DELETE", TAG_PATH, Alter(lambda _: Answered(500, {}, b"")))
    outcome = await removal(pair, image)
    assert isinstance(outcome, TagRemoved)
    assert outcome.previous_digest == image.digest
    assert pair.target_digest() is None


@pytest.mark.parametrize("alone", [True, False])
async def test_the_index_of_the_wanted_platforms_that_a_tag_got_instead_is_ours_to_remove(
    pair: Pair, alone: bool
) -> None:
    index, _ = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    copied = await pair.carry_out(index, platforms=("linux/amd64",))
    assert isinstance(copied, TransferCompleted)
    pair.target.violations.clear()  # the index that was refused
    if not alone:
        removes_no_single_tag(pair)

    async def reduced(command: RemoveTag) -> str | None:
        return copied.reduced_digest if command.digest == index.digest else None

    assert pair.target_digest() == copied.reduced_digest
    outcome = await removal(pair, index, reduced=reduced)
    assert isinstance(outcome, TagRemoved)
    assert (outcome.digest, outcome.previous_digest) == (index.digest, copied.reduced_digest)
    assert pair.target_digest() is None


async def test_what_came_to_the_tag_after_such_an_index_is_not_ours(pair: Pair) -> None:
    image = await push(pair)
    theirs = await push(pair, content=b"theirs")

    async def reduced(_: RemoveTag) -> str:
        return image.digest

    other = image.model_copy(update={"digest": f"sha256:{'0' * 64}"})
    outcome = await removal(pair, other, reduced=reduced)
    assert isinstance(outcome, RemovalSkipped)
    assert pair.target_digest() == theirs.digest


async def test_a_tag_that_is_shown_for_a_while_after_its_removal_is_waited_for(pair: Pair) -> None:
    image = await push(pair)
    shown = Answer(200, {"docker-content-digest": image.digest, "content-length": "1"})
    pair.target_faults.on("HEAD", TAG_PATH, shown, nth=2, times=3)
    assert isinstance(await removal(pair, image), TagRemoved)
    assert pair.pauses == list(VERIFY_PAUSES_SECONDS[:3])
    assert pair.target_faults.count("DELETE", ".") == 1


async def test_a_tag_that_stays_although_the_registry_says_that_it_is_removed_is_a_failure(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("DELETE", TAG_PATH, Answer(202), times=1000)
    outcome = failed(await removal(pair, image))
    assert (outcome.cause, outcome.retryable) == ("not-removed", True)


async def test_what_somebody_pushes_right_after_the_removal_stays(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("HEAD", TAG_PATH, Before(lambda: push(pair, content=b"newer")), nth=2)
    outcome = await removal(pair, image)
    assert isinstance(outcome, RemovalSkipped)
    newer = pair.target_digest()
    assert newer is not None
    assert newer in outcome.reason
    assert pair.target_faults.count("DELETE", ".") == 1


async def test_credentials_that_do_not_suffice_are_a_failure_that_says_so(pair: Pair) -> None:
    image = await push(pair)
    pair.target_faults.on("DELETE", ".", Answer(403), times=1000)
    outcome = failed(await removal(pair, image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("denied", False, 1)


async def test_a_registry_that_is_not_in_the_settings_is_a_failure(pair: Pair) -> None:
    image = await push(pair)
    assert failed(await removal(pair, image, "nowhere/qa/app:1.0")).cause == "misconfigured"


async def test_without_single_tags_a_digest_that_nothing_else_needs_is_removed(pair: Pair) -> None:
    removes_no_single_tag(pair)
    image, other = await push(pair), await push(pair, "2.0", b"two")
    await push_index(pair.target_client, "qa/app", "all", [other])
    assert isinstance(await removal(pair, image), TagRemoved)
    assert set(pair.target.store.repositories["qa/app"].tags) == {"2.0", "all"}


async def test_without_single_tags_a_digest_that_another_tag_has_stays(pair: Pair) -> None:
    removes_no_single_tag(pair)
    image = await push(pair)
    for number in range(7):
        await push(pair, f"same-{number}")
    outcome = failed(await removal(pair, image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("digest-shared", False, 1)
    assert "same-4 too (7 tags)" in outcome.detail
    assert pair.target_faults.count("DELETE", DIGEST_PATH) == 0


async def test_without_single_tags_a_tag_that_moved_meanwhile_stays(pair: Pair) -> None:
    image = await push(pair)
    removes_no_single_tag(pair)
    pair.target_faults.on("HEAD", TAG_PATH, Before(lambda: push(pair, content=b"newer")), nth=2)
    outcome = await removal(pair, image)
    assert isinstance(outcome, RemovalSkipped)
    assert pair.target_faults.count("DELETE", DIGEST_PATH) == 0


async def test_without_single_tags_a_repository_with_too_many_is_a_failure(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "poll_tag_count", 2)
    removes_no_single_tag(pair)
    image = await push(pair)
    for number in range(2):
        await push(pair, f"other-{number}", b"other")
    assert failed(await removal(pair, image)).cause == "too-large"
    assert pair.target_digest() == image.digest


async def test_a_copy_under_way_of_what_would_be_removed_is_waited_for(pair: Pair) -> None:
    """Else its new tag, written after the look at the others, would go along."""
    removes_no_single_tag(pair)
    image, source = await push(pair, content=b"layer"), await pair.push(b"layer")
    assert image.digest == source.digest
    engine, hold = pair.engine(), Hold()
    pair.target_faults.on("PUT", "/v2/qa/app/manifests/2.0", hold)
    command = pair.command(source, "target/qa/app:2.0")
    copy = asyncio.create_task(carry_out("d" * 64, command, engine, attempts=pair.attempts))
    await hold.reached.wait()
    removing = asyncio.create_task(removal(pair, image, engine=engine))
    await until(lambda: pair.target_faults.count("DELETE", TAG_PATH) == 1, "the refusal")
    assert pair.target_faults.count("GET", "tags/list") == 0
    hold.release.set()
    assert isinstance(await copy, TransferCompleted)
    assert failed(await removing).cause == "digest-shared"
    assert await assert_complete(pair.target_client, "qa/app", image.digest)


async def test_a_copy_into_a_repository_waits_while_a_digest_is_removed_there(pair: Pair) -> None:
    removes_no_single_tag(pair)
    image, source = await push(pair, content=b"layer"), await pair.push(b"layer")
    engine, hold = pair.engine(), Hold()
    pair.target_faults.on("DELETE", DIGEST_PATH, hold)
    removing = asyncio.create_task(removal(pair, image, engine=engine))
    await hold.reached.wait()
    command = pair.command(source, "target/qa/app:2.0")
    copy = asyncio.create_task(carry_out("d" * 64, command, engine, attempts=pair.attempts))
    elsewhere = pair.command(source, "target/qa/tool:2.0")
    assert isinstance(await carry_out("e" * 64, elsewhere, engine, attempts=pair.attempts), TransferCompleted)
    assert pair.target_faults.count("HEAD", "/v2/qa/app/manifests/2.0") == 0, "it has begun"
    hold.release.set()
    assert isinstance(await removing, TagRemoved)
    assert isinstance(await copy, TransferCompleted)
    assert await assert_complete(pair.target_client, "qa/app", source.digest)


@pytest.mark.parametrize("site", ["removal.tag_next", "removal.tag_removed"])
async def test_a_removal_that_died_is_made_again_and_ends(pair: Pair, site: str) -> None:
    image = await push(pair)
    with pytest.raises(FailpointError):
        await removal(pair, image, engine=pair.engine(f"{site}:raise@1"))
    outcome = await removal(pair, image)
    assert isinstance(outcome, TagRemoved if site == "removal.tag_next" else RemovalSkipped)
    assert pair.target_digest() is None


async def test_a_connection_that_breaks_in_a_listing_begins_the_removal_anew(pair: Pair) -> None:
    removes_no_single_tag(pair)
    image = await push(pair)
    pair.target_faults.on("GET", "tags/list", Break(3))
    assert isinstance(await removal(pair, image), TagRemoved)


async def test_without_single_tags_an_image_that_a_sparse_index_names_stays(pair: Pair) -> None:
    """Such an index lacks the images of the platforms that are not wanted, and needs the others all the same."""
    removes_no_single_tag(pair)
    image, unwanted = await push(pair), await push(pair, "2.0", b"two")
    # The unwanted one first: what is missing must not end the search.
    await push_index(pair.target_client, "qa/app", "all", [unwanted, image])
    await pair.target_client.delete_manifest("qa/app", unwanted.digest)
    outcome = failed(await removal(pair, image))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("digest-shared", False, 1)
    assert pair.target_digest() == image.digest
