"""Whatever the image specification knows arrives whole between any two real registries, or fails clearly."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.descriptors import Descriptor
from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from tests.support.images import copy_command, push_manifest_of, push_multi_platform
from tests.support.registries import OCIREGISTRY, REAL, RealRegistry
from tests.support.shapes import REFERRER_TITLES, SHAPES, everything_under, with_referrers
from towline.failpoints import Failpoints
from towline.registry import Attempts, CopyEngine, Registries, RegistryClient, TransferOutcome, carry_out
from towline.registry.errors import NotFoundError
from towline.registry.referrers import fallback_tag, find_attached
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution

PAIRS = [(source, target) for source in REAL for target in REAL]


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Two of each kind: those to copy from take everything that they can be told to take."""
    with ExitStack() as running:
        sources = {f"source {kind.name}": running.enter_context(kind.process(elsewhere=True)) for kind in REAL}
        yield sources | {f"target {kind.name}": running.enter_context(kind.process()) for kind in REAL}


@dataclass(frozen=True)
class Copies:
    registries: Registries
    source: RegistryClient
    target: RegistryClient

    async def transfer(self, name: str, image: Descriptor, **options: Any) -> TransferOutcome:
        command = copy_command(f"source/dev/{name}:1.0", image.digest, f"target/{name}:1.0", **options)
        engine = CopyEngine(self.registries, Failpoints(), sleep=_no_pause)
        return await carry_out("c" * 64, command, engine, attempts=Attempts(sleep=_no_pause))


async def _no_pause(seconds: float) -> None:
    """What a registry refuses it refuses at once."""


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0].name} to {pair[1].name}")
def pair(request: pytest.FixtureRequest) -> tuple[RealRegistry, RealRegistry]:
    found: tuple[RealRegistry, RealRegistry] = request.param
    return found


@pytest.fixture
async def copies(urls: dict[str, str], pair: tuple[RealRegistry, RealRegistry]) -> AsyncIterator[Copies]:
    settings = {
        role: RegistrySettings(url=urls[f"{role} {kind.name}"])
        for role, kind in zip(("source", "target"), pair, strict=True)
    }
    async with Registries(settings) as registries:
        yield Copies(registries, registries("source"), registries("target"))


def name_of(shape: str, pair: tuple[RealRegistry, RealRegistry]) -> str:
    """A repository that no other test uses."""
    return f"{shape}-from-{pair[0].name}".replace(" ", "-")


def refusal(shape: str, target: RealRegistry) -> str | None:
    """Return the cause with which a shape fails at a target; None: it arrives."""
    match shape, target.name:
        case "foreign layers", "distribution 2.8" | "distribution 3":
            return "unsupported-manifest"
        case "sha512 layer", "ociregistry":
            return "digest-mismatch"
    return None


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_shape_arrives_whole_or_fails_clearly_and_leaves_no_name(
    shape: str, pair: tuple[RealRegistry, RealRegistry], copies: Copies
) -> None:
    if shape == "sha512 layer" and not pair[0].can("sha512 blobs"):
        pytest.skip(f"{pair[0].name} cannot hold it: {pair[0].lacks['sha512 blobs']}")
    name = name_of(shape, pair)
    root = await SHAPES[shape](copies.source, f"dev/{name}")
    outcome = await copies.transfer(name, root)
    if (cause := refusal(shape, pair[1])) is not None:
        assert isinstance(outcome, TransferFailed), outcome
        assert outcome.cause == cause, outcome.detail
        with pytest.raises(NotFoundError):
            await copies.target.resolve(name, "1.0")
        return
    assert isinstance(outcome, TransferCompleted), outcome
    assert await copies.target.resolve(name, "1.0") == root.digest
    there = await everything_under(copies.target, name, root.digest)
    assert there == await everything_under(copies.source, f"dev/{name}", root.digest)
    assert isinstance(await copies.transfer(name, root), TransferSkipped)


async def test_referrers_and_their_referrers_arrive_and_are_listed(
    pair: tuple[RealRegistry, RealRegistry], copies: Copies
) -> None:
    name = name_of("referrers", pair)
    root = await with_referrers(copies.source, f"dev/{name}")
    outcome = await copies.transfer(name, root)
    assert isinstance(outcome, TransferCompleted), outcome
    there = await everything_about(copies.target, name, root.digest)
    assert sorted(title for titles in there.values() for title in titles) == sorted(REFERRER_TITLES)
    assert there == await everything_about(copies.source, f"dev/{name}", root.digest)


async def everything_about(client: RegistryClient, repository: str, digest: str) -> dict[str, list[str]]:
    """Return the titles of the referrers of all that is under a digest, and of the referrers, by their subjects."""
    found: dict[str, list[str]] = {}
    waiting = [digest]
    while waiting:
        subject = waiting.pop()
        manifest = await client.get_manifest(repository, subject)
        referrers = sorted((await find_attached(client, repository, subject)).referrers)
        documents = [(await client.get_manifest(repository, referrer)).document() for referrer in referrers]
        found[subject] = [str(document["annotations"]["title"]) for document in documents]
        waiting += [*referrers, *(child.digest for child in manifest.manifests)]
    return found


async def test_an_index_that_lost_an_image_is_not_copied(
    pair: tuple[RealRegistry, RealRegistry], copies: Copies
) -> None:
    name = name_of("lost", pair)
    index, images = await push_multi_platform(copies.source, f"dev/{name}", "1.0", "linux/amd64", "linux/arm64")
    await copies.source.delete_manifest(f"dev/{name}", images["linux/arm64"].digest)
    outcome = await copies.transfer(name, index)
    assert isinstance(outcome, TransferFailed), outcome
    assert (outcome.cause, outcome.attempts) == ("source-gone", 1)
    with pytest.raises(NotFoundError):
        await copies.target.resolve(name, "1.0")


async def test_real_registries_get_the_index_of_the_wanted_platforms_and_the_outcome_says_so(
    pair: tuple[RealRegistry, RealRegistry], copies: Copies
) -> None:
    name = name_of("sparse", pair)
    wanted = ("linux/amd64",)
    index, images = await push_multi_platform(copies.source, f"dev/{name}", "1.0", "linux/amd64", "linux/arm64")
    of_all, of_one = (f"{fallback_tag(it.digest)}.sig" for it in (index, images["linux/amd64"]))
    await push_manifest_of(copies.source, f"dev/{name}", of_all, [])
    signature = await push_manifest_of(copies.source, f"dev/{name}", of_one, [])
    await copies.source.delete_manifest(f"dev/{name}", images["linux/arm64"].digest)
    outcome = await copies.transfer(name, index, platforms=wanted)
    if pair[1] is OCIREGISTRY:
        # It says that something is missing under a status that says nothing: it may as well be out of order.
        assert isinstance(outcome, TransferFailed), outcome
        assert outcome.cause == "server-error", outcome.detail
        with pytest.raises(NotFoundError):
            await copies.target.resolve(name, "1.0")
        return
    assert isinstance(outcome, TransferCompleted), outcome
    assert await copies.target.resolve(name, "1.0") == outcome.reduced_digest
    there = await copies.target.get_manifest(name, outcome.arrived_digest)
    assert [child.digest for child in there.manifests] == [images["linux/amd64"].digest]
    assert await everything_under(copies.target, name, outcome.arrived_digest)
    assert await copies.target.resolve(name, of_one) == signature.digest
    with pytest.raises(NotFoundError):
        await copies.target.resolve(name, of_all)
    again = await copies.transfer(name, index, platforms=wanted)
    assert isinstance(again, TransferSkipped), again
    assert again.reduced_digest == outcome.reduced_digest


async def test_layers_that_are_kept_elsewhere_stay_there_where_a_target_takes_them(urls: dict[str, str]) -> None:
    settings = {
        "source": RegistrySettings(url=urls["source distribution 2.8"]),
        "target": RegistrySettings(url=urls["source distribution 3"]),
    }
    async with Registries(settings) as registries:
        copies = Copies(registries, registries("source"), registries("target"))
        root = await SHAPES["foreign layers"](copies.source, "dev/windows")
        outcome = await copies.transfer("windows", root)
        assert isinstance(outcome, TransferCompleted), outcome
        assert outcome.blobs_copied == 2
        there = await everything_under(copies.target, "windows", root.digest)
        assert there == await everything_under(copies.source, "dev/windows", root.digest)
