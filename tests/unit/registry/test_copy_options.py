"""What a command may ask of a copy: some platforms only, and what becomes of a target tag with another digest."""

import pytest

from schemas.events import TransferCompleted, TransferSkipped
from tests.support.faults import Answer, Before
from tests.support.images import assert_complete, push_index, push_multi_platform
from tests.support.pairs import Pair
from tests.unit.registry.copying import TAG, UPLOAD, errors, failed
from towline.registry import push_image
from towline.registry.targettag import backup_tag


async def present(pair: Pair, repository: str = "qa/app") -> set[str]:
    return set(pair.target.store.repositories[repository].manifests)


@pytest.mark.parametrize(
    ("wanted", "copied"),
    [
        (("linux/amd64",), {"linux/amd64"}),
        (("linux/arm",), {"linux/arm/v6", "linux/arm/v7"}),
        (("linux/arm/v7",), {"linux/arm/v7"}),
        (("linux/amd64", "windows/amd64"), {"linux/amd64", "windows/amd64"}),
    ],
)
async def test_only_the_wanted_platforms_are_copied_under_the_very_same_index(
    pair: Pair, wanted: tuple[str, ...], copied: set[str]
) -> None:
    pair.target.store.sparse = True
    platforms = ("linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "windows/amd64")
    index, images = await push_multi_platform(pair.source_client, "dev/app", "1.0", *platforms)
    outcome = await pair.carry_out(index, platforms=wanted)
    assert isinstance(outcome, TransferCompleted), outcome
    assert pair.target_digest() == index.digest
    assert await present(pair) == {index.digest, *(images[platform].digest for platform in copied)}
    for platform in copied:
        await assert_complete(pair.target_client, "qa/app", images[platform].digest)


@pytest.mark.parametrize("referrers", [True, False])
async def test_attestations_inside_of_an_index_travel_with_their_platform_as_referrers_do(
    pair: Pair, referrers: bool
) -> None:
    pair.target.store.sparse = True
    index, images = await push_multi_platform(
        pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64", attested=True
    )
    outcome = await pair.carry_out(index, platforms=("linux/amd64",), referrers=referrers)
    assert isinstance(outcome, TransferCompleted), outcome
    attestation = {images["attestation linux/amd64"].digest} if referrers else set()
    assert await present(pair) == {index.digest, images["linux/amd64"].digest} | attestation


async def test_a_wanted_platform_is_found_in_an_index_inside_of_the_index(pair: Pair) -> None:
    pair.target.store.sparse = True
    inner, images = await push_multi_platform(pair.source_client, "dev/app", "inner", "linux/amd64", "linux/arm64")
    other, _ = await push_multi_platform(pair.source_client, "dev/app", "other", "linux/s390x")
    index = await push_index(pair.source_client, "dev/app", "1.0", [inner, other])
    outcome = await pair.carry_out(index, platforms=("linux/arm64",))
    assert isinstance(outcome, TransferCompleted), outcome
    assert await present(pair) == {index.digest, inner.digest, images["linux/arm64"].digest}


async def test_an_index_without_a_wanted_platform_ends_as_platform_missing_and_says_what_there_is(pair: Pair) -> None:
    index, _ = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    outcome = failed(await pair.carry_out(index, platforms=("linux/riscv64",)))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("platform-missing", False, 1)
    assert "linux/riscv64" in outcome.detail
    assert "linux/amd64, linux/arm64" in outcome.detail
    assert pair.target_digest() is None


async def test_the_platforms_of_a_manifest_that_is_no_index_are_not_asked(pair: Pair) -> None:
    image = await pair.push()
    assert isinstance(await pair.carry_out(image, platforms=("linux/riscv64",)), TransferCompleted)
    assert pair.target_digest() == image.digest


async def test_a_tag_that_is_never_overwritten_keeps_another_digest_and_nothing_is_copied(pair: Pair) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    outcome = failed(await pair.carry_out(await pair.push(), overwrite="never"))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("target-exists", False, 1)
    assert outcome.previous_digest == old.digest
    assert pair.target_digest() == old.digest
    assert await present(pair) == {old.digest}


async def test_a_tag_that_is_never_overwritten_is_written_once_and_then_skipped(pair: Pair) -> None:
    image = await pair.push()
    assert isinstance(await pair.carry_out(image, overwrite="never"), TransferCompleted)
    assert isinstance(await pair.carry_out(image, overwrite="never"), TransferSkipped)


async def test_a_tag_that_somebody_writes_while_the_content_is_copied_is_not_overwritten_either(pair: Pair) -> None:
    image = await pair.push()

    async def other_writer() -> None:
        await push_image(pair.target_client, "qa/app", "1.0", [b"theirs"])

    pair.target_faults.on("PUT", UPLOAD, Before(other_writer))
    outcome = failed(await pair.carry_out(image, overwrite="never"))
    assert outcome.cause == "target-exists"
    assert pair.target_digest() not in {None, image.digest}


@pytest.mark.parametrize("tag", ["1.0", "t" * 128])
async def test_what_a_tag_had_is_kept_under_a_backup_tag_before_it_is_moved(pair: Pair, tag: str) -> None:
    old = await push_image(pair.target_client, "qa/app", tag, [b"old"])
    image = await pair.push()
    backup = backup_tag(tag, old.digest)
    assert len(backup) <= 128
    assert backup.endswith(f"-backup-{old.digest[7:19]}")
    pair.target_faults.on("PUT", rf"/manifests/{tag}\?", Before(lambda: kept.append(pair.target_digest(tag=backup))))
    kept: list[str | None] = []
    outcome = await pair.carry_out(image, f"target/qa/app:{tag}", overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert outcome.previous_digest == old.digest
    assert kept == [old.digest]
    assert pair.target_digest(tag=tag) == image.digest


async def test_what_somebody_writes_while_the_content_is_copied_is_kept_as_well(pair: Pair) -> None:
    image = await pair.push()
    theirs: list[str] = []

    async def other_writer() -> None:
        theirs.append((await push_image(pair.target_client, "qa/app", "1.0", [b"theirs"])).digest)

    pair.target_faults.on("POST", "/uploads/", Before(other_writer))
    outcome = await pair.carry_out(image, overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert pair.target_digest(tag=backup_tag("1.0", theirs[0])) == theirs[0]


async def test_a_backup_that_cannot_be_made_leaves_the_tag_as_it_was(pair: Pair) -> None:
    old = await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    pair.target_faults.on("PUT", "-backup-", Answer(403, body=errors("DENIED")), times=1000)
    outcome = failed(await pair.carry_out(await pair.push(), overwrite="backup"))
    assert outcome.cause == "denied"
    assert pair.target_digest() == old.digest


async def test_an_attempt_that_is_repeated_makes_no_second_backup(pair: Pair) -> None:
    await push_image(pair.target_client, "qa/app", "1.0", [b"old"])
    pair.target_faults.on("PUT", TAG, Answer(503))
    outcome = await pair.carry_out(await pair.push(), overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert pair.target_faults.count("PUT", "-backup-") == 1
    assert sum("-backup-" in tag for tag in pair.target.store.repositories["qa/app"].tags) == 1


async def test_a_denial_for_a_repository_that_is_called_immutable_is_a_denial(pair: Pair) -> None:
    pair.target_faults.on("PUT", TAG, Answer(403, body=errors("DENIED")), times=1000)
    outcome = failed(await pair.carry_out(await pair.push(), "target/qa/immutable:1.0"))
    assert outcome.cause == "denied"
