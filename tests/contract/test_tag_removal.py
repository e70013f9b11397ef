"""A tag that is to go is gone, whether the registry removes single tags or not; and nothing else goes with it."""

import pytest

from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved
from tests.support.distribution import distribution
from tests.support.images import assert_complete, never_reduced, push_index, remove_command
from tests.support.registries import Contract
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, RemovalOutcome, push_image, remove
from towline.settings import RegistrySettings

TARGET = "one/qa/app:1.0"


async def removal(registries: Registries, digest: str, target: str = TARGET) -> RemovalOutcome:
    command = remove_command(target, digest)
    return await remove("c" * 64, command, CopyEngine(registries, Failpoints()), never_reduced)


async def tags(registry: Contract) -> set[str]:
    return {tag async for tag in registry.client.list_tags("qa/app")}


async def test_a_tag_is_removed_and_the_others_stay(registry: Contract) -> None:
    image = await push_image(registry.client, "qa/app", "1.0", [b"one"])
    other = await push_image(registry.client, "qa/app", "2.0", [b"two"])
    outcome = await removal(registry.registries, image.digest)
    assert isinstance(outcome, TagRemoved)
    assert (outcome.previous_digest, outcome.command_id) == (image.digest, "c" * 64)
    assert await tags(registry) == {"2.0"}
    assert await assert_complete(registry.client, "qa/app", other.digest) == 2


async def test_a_tag_that_is_gone_or_has_another_digest_is_left(registry: Contract) -> None:
    other = await push_image(registry.client, "qa/app", "1.0", [b"one"])
    outcome = await removal(registry.registries, f"sha256:{'0' * 64}")
    assert isinstance(outcome, RemovalSkipped)
    assert other.digest in outcome.reason
    gone = await removal(registry.registries, other.digest, "one/qa/app:2.0")
    assert isinstance(gone, RemovalSkipped)
    assert "gone already" in gone.reason
    assert await registry.client.resolve("qa/app", "1.0") == other.digest


async def test_a_tag_whose_digest_another_tag_has_goes_alone_or_not_at_all(registry: Contract) -> None:
    image = await push_image(registry.client, "qa/app", "1.0", [b"one"])
    await push_image(registry.client, "qa/app", "latest", [b"one"])
    outcome = await removal(registry.registries, image.digest)
    if registry.kind.can("removal of a tag"):
        assert isinstance(outcome, TagRemoved)
        assert await tags(registry) == {"latest"}
    else:
        assert isinstance(outcome, RemovalFailed)
        assert (outcome.cause, outcome.retryable, outcome.attempts) == ("digest-shared", False, 1)
        assert "latest" in outcome.detail
        assert await tags(registry) == {"1.0", "latest"}
    assert await registry.client.resolve("qa/app", "latest") == image.digest


async def test_a_tag_whose_image_is_part_of_another_goes_alone_or_not_at_all(registry: Contract) -> None:
    part = await push_image(registry.client, "qa/app", "1.0", [b"one"])
    inner = await push_index(registry.client, "qa/app", "inner", [part])
    whole = await push_index(registry.client, "qa/app", "whole", [inner])
    outcome = await removal(registry.registries, part.digest)
    if registry.kind.can("removal of a tag"):
        assert isinstance(outcome, TagRemoved)
    else:
        assert isinstance(outcome, RemovalFailed)
        assert outcome.cause == "digest-shared"
        assert "inner, whole" in outcome.detail
    assert await assert_complete(registry.client, "qa/app", whole.digest) == 2


@pytest.mark.distribution
async def test_a_registry_that_removes_nothing_is_a_failure_that_says_so() -> None:
    with distribution(deletes=False) as url:
        async with Registries({"one": RegistrySettings(url=url)}) as registries:
            image = await push_image(registries("one"), "qa/app", "1.0", [b"one"])
            outcome = await removal(registries, image.digest)
            assert isinstance(outcome, RemovalFailed)
            assert (outcome.cause, outcome.retryable) == ("removal-refused", False)
            assert "UNSUPPORTED" in outcome.detail
            assert await registries("one").resolve("qa/app", "1.0") == image.digest
