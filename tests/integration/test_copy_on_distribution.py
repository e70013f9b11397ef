"""Copies between real registries: two of CNCF distribution, with every way of access."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, Descriptor
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from streams.serving import serving
from tests.support.certificates import make_server_certificate, make_token_certificate
from tests.support.distribution import PASSWORD, USER, TokenAuth, distribution
from tests.support.images import (
    assert_complete,
    copy_command,
    entry,
    push_docker_image,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
    push_platforms,
    push_referrer,
)
from tests.support.tokens import TokenService
from towline import limits
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, RegistryClient, TransferOutcome, carry_out, push_image
from towline.registry.errors import NotFoundError, UnreachableError
from towline.registry.images import push_blob, push_manifest
from towline.registry.referrers import fallback_tag, find_attached
from towline.registry.targettag import backup_tag
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution


@pytest.fixture(scope="module")
def two_urls() -> Iterator[tuple[str, str]]:
    with distribution() as source, distribution() as target:
        yield source, target


@pytest.fixture
async def registries(two_urls: tuple[str, str]) -> AsyncIterator[Registries]:
    source, target = two_urls
    async with Registries({"source": RegistrySettings(url=source), "target": RegistrySettings(url=target)}) as made:
        yield made


async def transfer(registries: Registries, source: str, digest: str, target: str, **options: Any) -> TransferOutcome:
    command = copy_command(source, digest, target, **options)
    return await carry_out("c" * 64, command, CopyEngine(registries, Failpoints()))


async def push_shape(client: RegistryClient, shape: str) -> Descriptor:
    repository = f"dev/{shape}"
    match shape:
        case "image":
            return await push_image(client, repository, "1.0", [b"one", b"", b"x" * 3_000_000])
        case "index":
            return await push_platforms(client, repository, "1.0")
        case "nested":
            inner = await push_platforms(client, repository, "inner")
            return await push_index(client, repository, "1.0", [inner])
        case "docker-image":
            return await push_docker_image(client, repository, "1.0")
        case "docker-list":
            return await push_docker_index(client, repository, "1.0")
        case _:
            layer = await push_blob(client, repository, b"text", "text/plain")
            return await push_manifest_of(client, repository, "1.0", [layer], artifactType="application/x.mine")


SHAPES = ["image", "index", "nested", "docker-image", "docker-list", "artifact"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_image_of_any_shape_is_mirrored_whole_and_a_second_time_skipped(
    registries: Registries, shape: str
) -> None:
    image = await push_shape(registries("source"), shape)
    source, target = f"source/dev/{shape}:1.0", f"target/mirror/{shape}:1.0"
    outcome = await transfer(registries, source, image.digest, target)
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve(f"mirror/{shape}", "1.0") == image.digest
    assert await assert_complete(registries("target"), f"mirror/{shape}", image.digest) >= outcome.blobs_copied > 0
    assert isinstance(await transfer(registries, source, image.digest, target), TransferSkipped)


async def test_a_source_tag_that_moved_does_not_change_what_is_copied(registries: Registries) -> None:
    image = await push_image(registries("source"), "dev/moved", "1.0", [b"commanded"])
    await push_image(registries("source"), "dev/moved", "1.0", [b"pushed later"])
    outcome = await transfer(registries, "source/dev/moved:1.0", image.digest, "target/qa/moved:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve("qa/moved", "1.0") == image.digest


async def test_a_newer_image_copies_only_what_is_new_and_records_what_it_replaced(registries: Registries) -> None:
    older = await push_image(registries("source"), "dev/grown", "1.0", [b"base"])
    await transfer(registries, "source/dev/grown:1.0", older.digest, "target/qa/grown:1.0")
    newer = await push_image(registries("source"), "dev/grown", "1.0", [b"base", b"more"])
    outcome = await transfer(registries, "source/dev/grown:1.0", newer.digest, "target/qa/grown:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.blobs_skipped, outcome.blobs_copied, outcome.previous_digest) == (1, 2, older.digest)


async def test_within_one_registry_everything_is_mounted(registries: Registries) -> None:
    image = await push_image(registries("source"), "dev/promoted", "1.0", [b"one", b"two"])
    outcome = await transfer(registries, "source/dev/promoted:1.0", image.digest, "source/qa/promoted:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    assert (outcome.blobs_mounted, outcome.bytes_copied) == (3, 0)
    await assert_complete(registries("source"), "qa/promoted", image.digest)


async def test_distribution_wants_every_platform_of_an_index_and_the_outcome_says_so(registries: Registries) -> None:
    index, _ = await push_multi_platform(registries("source"), "dev/multi", "1.0", "linux/amd64", "linux/arm64")
    outcome = await transfer(
        registries, "source/dev/multi:1.0", index.digest, "target/qa/multi:1.0", platforms=("linux/amd64",)
    )
    assert isinstance(outcome, TransferFailed)
    assert (outcome.cause, outcome.attempts) == ("sparse-index-refused", 1)
    with pytest.raises(NotFoundError):
        await registries("target").resolve("qa/multi", "1.0")


async def test_what_belongs_to_an_image_travels_between_registries_without_the_referrers_listing(
    registries: Registries,
) -> None:
    source, target = registries("source"), registries("target")
    image = await push_image(source, "dev/signed", "1.0", [b"layer"])
    report = await push_referrer(source, "dev/signed", image, "report")
    entries = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(report)]}).encode()
    await push_manifest(source, "dev/signed", fallback_tag(image.digest), entries, OCI_INDEX)
    signature = await push_manifest_of(source, "dev/signed", f"{fallback_tag(image.digest)}.sig", [])
    assert await source.list_referrers("dev/signed", image.digest) is None
    outcome = await transfer(registries, "source/dev/signed:1.0", image.digest, "target/qa/signed:1.0")
    assert isinstance(outcome, TransferCompleted), outcome
    found = await find_attached(target, "qa/signed", image.digest)
    assert set(found.digests) == {report.digest, signature.digest}
    await assert_complete(target, "qa/signed", report.digest)


async def test_a_tag_that_moves_keeps_its_old_image_under_a_backup_tag(registries: Registries) -> None:
    older = await push_image(registries("target"), "qa/kept", "1.0", [b"older"])
    newer = await push_image(registries("source"), "dev/kept", "1.0", [b"newer"])
    refused = await transfer(registries, "source/dev/kept:1.0", newer.digest, "target/qa/kept:1.0", overwrite="never")
    assert isinstance(refused, TransferFailed)
    assert refused.cause == "target-exists"
    outcome = await transfer(registries, "source/dev/kept:1.0", newer.digest, "target/qa/kept:1.0", overwrite="backup")
    assert isinstance(outcome, TransferCompleted), outcome
    assert await registries("target").resolve("qa/kept", backup_tag("1.0", older.digest)) == older.digest
    await assert_complete(registries("target"), "qa/kept", older.digest)


async def test_images_that_share_layers_are_promoted_one_after_the_other_and_side_by_side(
    registries: Registries,
) -> None:
    shared = [bytes([n]) * 1000 for n in range(4)]
    images = [
        await push_image(registries("source"), "dev/many", f"{n}", [*shared, b"own", b"%d" % n]) for n in range(60)
    ]
    engine = CopyEngine(registries, Failpoints())
    waiting = iter(enumerate(images))

    async def work() -> None:
        for n, image in waiting:
            # The engine itself and not its retries: nothing here is a failure that has to pass.
            report = await engine.copy(copy_command(f"source/dev/many:{n}", image.digest, f"source/qa/many:{n}"))
            assert report.bytes_copied == 0

    await asyncio.gather(*(work() for _ in range(limits.parallel_transfer_count)))
    assert {tag async for tag in registries("source").list_tags("qa/many")} == {str(n) for n in range(60)}


async def copied(one: RegistrySettings) -> tuple[TransferOutcome, TransferOutcome]:
    """Copy an image into and out of a registry, and promote it inside."""
    with distribution() as plain:
        async with Registries({"plain": RegistrySettings(url=plain), "guarded": one}) as registries:
            image = await push_image(registries("plain"), "dev/app", "1.0", [b"layer"])
            inward = await transfer(registries, "plain/dev/app:1.0", image.digest, "guarded/qa/app:1.0")
            assert not isinstance(inward, TransferFailed), inward
            inside = await transfer(registries, "guarded/qa/app:1.0", image.digest, "guarded/prod/app:1.0")
            outward = await transfer(registries, "guarded/prod/app:1.0", image.digest, "plain/back/app:1.0")
            assert not isinstance(outward, TransferFailed), outward
            await assert_complete(registries("plain"), "back/app", image.digest)
            return inward, inside


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    return f"file:{path}"


async def test_a_registry_with_basic_access(password: str) -> None:
    with distribution(basic=True) as url:
        inward, inside = await copied(RegistrySettings(url=url, username=USER, password=password))
    assert isinstance(inward, TransferCompleted)
    assert isinstance(inside, TransferCompleted)


@asynccontextmanager
async def token_registry(tmp_path: Path, tokens: TokenService) -> AsyncIterator[str]:
    async with serving(tokens) as realm:
        with distribution(token=TokenAuth(f"{realm}/token", tmp_path / "issuer.pem")) as url:
            yield url


async def test_a_registry_with_token_access_is_asked_for_no_more_than_needed(tmp_path: Path, password: str) -> None:
    tokens = TokenService({USER: PASSWORD}, key=make_token_certificate(tmp_path / "issuer.pem"))
    async with token_registry(tmp_path, tokens) as url:
        inward, inside = await copied(RegistrySettings(url=url, username=USER, password=password))
    assert isinstance(inward, TransferCompleted)
    assert isinstance(inside, TransferCompleted)
    assert inside.blobs_mounted == 2
    assert {tuple(scopes) for scopes in tokens.asked} == {
        ("repository:qa/app:pull,push",),
        ("repository:qa/app:pull",),
        ("repository:prod/app:pull,push",),
        ("repository:prod/app:pull",),
        ("repository:prod/app:pull,push", "repository:qa/app:pull"),
    }


async def test_a_token_service_that_does_not_know_us_ends_the_transfer_at_once(tmp_path: Path) -> None:
    tokens = TokenService({USER: PASSWORD}, key=make_token_certificate(tmp_path / "issuer.pem"))
    async with (
        token_registry(tmp_path, tokens) as url,
        Registries({"guarded": RegistrySettings(url=url)}) as registries,
    ):
        outcome = await transfer(registries, "guarded/a:1", f"sha256:{'0' * 64}", "guarded/b:1")
    assert isinstance(outcome, TransferFailed)
    assert (outcome.cause, outcome.attempts) == ("unauthorised", 1)


async def test_a_registry_with_a_private_authority(tmp_path: Path) -> None:
    certificate = make_server_certificate(tmp_path)
    with distribution(tls=certificate) as url:
        inward, inside = await copied(RegistrySettings(url=url, ca_file=certificate.ca_file))
        assert isinstance(inward, TransferCompleted)
        assert isinstance(inside, TransferCompleted)
        async with Registries({"guarded": RegistrySettings(url=url)}) as untrusting:
            with pytest.raises(UnreachableError):
                await untrusting("guarded").resolve("qa/app", "1.0")


async def test_a_registry_whose_certificate_is_not_to_be_checked_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = make_server_certificate(tmp_path)
    with distribution(tls=certificate) as url:
        inward, _ = await copied(RegistrySettings(url=url, insecure=True))
    assert isinstance(inward, TransferCompleted)
    warnings = [it.getMessage() for it in caplog.records if it.name.startswith("towline.registry")]
    assert warnings == [f"registry guarded: certificates of {url} are not checked"]
