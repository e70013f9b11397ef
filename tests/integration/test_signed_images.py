"""A signed multi-architecture image with an SBOM arrives with everything, and is accepted where it arrives."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from schemas.commands import CopyImage
from schemas.descriptors import Descriptor
from schemas.events import TransferCompleted
from schemas.references import Repository
from tests.support.cosign import Cosign
from tests.support.images import assert_complete, copy_command, push_multi_platform
from tests.support.registries import CRANE, DISTRIBUTION_2, DISTRIBUTION_3, OCIREGISTRY, RealRegistry
from tests.support.signing import BUNDLE, Signer, attach, payload_for, push_signatures, statement_for
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, RegistryClient, carry_out
from towline.registry.cosign import find_signatures, find_signers
from towline.registry.referrers import fallback_tag, find_attached
from towline.registry.signatures import load_key
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution

SBOM = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": []}).encode()
SBOM_TYPE = "application/vnd.cyclonedx+json"
CYCLONEDX = "https://cyclonedx.org/bom"

PAIRS = [
    (OCIREGISTRY, OCIREGISTRY),
    (OCIREGISTRY, DISTRIBUTION_2),
    (DISTRIBUTION_2, OCIREGISTRY),
    (DISTRIBUTION_3, DISTRIBUTION_2),
    (CRANE, DISTRIBUTION_3),
    (OCIREGISTRY, CRANE),
]


@dataclass(frozen=True)
class Place:
    """A repository by name, the client of its registry, and its host."""

    client: RegistryClient
    host: str
    repository: str

    def reference(self, digest: str) -> str:
        return f"{self.host}/{self.repository}@{digest}"


class Signing(Protocol):
    """Who signs and verifies: cosign, or our own check."""

    @property
    def public_key(self) -> bytes: ...
    async def sign(self, place: Place, index: Descriptor, images: Sequence[Descriptor]) -> None: ...
    async def verifies(self, place: Place, digest: str) -> bool: ...
    async def verifies_attestation(self, place: Place, digest: str) -> bool: ...


@dataclass(frozen=True)
class ByCosign:
    cosign: Cosign

    @property
    def public_key(self) -> bytes:
        return self.cosign.public_key

    async def sign(self, place: Place, index: Descriptor, images: Sequence[Descriptor]) -> None:
        for image in (index, *images):
            await self.cosign.sign(place.reference(image.digest))
        await self.cosign.attest(place.reference(index.digest), SBOM)

    async def verifies(self, place: Place, digest: str) -> bool:
        return await self.cosign.verifies(place.reference(digest))

    async def verifies_attestation(self, place: Place, digest: str) -> bool:
        return await self.cosign.verifies_attestation(place.reference(digest))


@dataclass(frozen=True)
class ByOurs:
    """The same shapes as cosign's, made and checked by us."""

    signer: Signer
    old_format: bool

    @property
    def public_key(self) -> bytes:
        return self.signer.pem

    async def sign(self, place: Place, index: Descriptor, images: Sequence[Descriptor]) -> None:
        for image in (index, *images):
            if self.old_format:
                signature = self.signer.sign(payload_for(image.digest))
                await push_signatures(place.client, place.repository, image, signature)
            else:
                bundle = self.signer.bundle(statement_for(image.digest))
                await attach(place.client, place.repository, image, bundle, BUNDLE)
        bundle = self.signer.bundle(statement_for(index.digest, CYCLONEDX))
        await attach(place.client, place.repository, index, bundle, BUNDLE)

    async def verifies(self, place: Place, digest: str) -> bool:
        keys = {"release": load_key("release", self.public_key)}
        return await find_signers(place.client, keys, Repository("any", place.repository), digest) == ("release",)

    async def verifies_attestation(self, place: Place, digest: str) -> bool:
        found = await find_signatures(place.client, place.repository, digest)
        return any(json.loads(signature.payload).get("predicateType") == CYCLONEDX for signature in found)


@pytest.fixture(params=["cosign", "cosign, old format", "ours", "ours, old format"])
async def signing(request: pytest.FixtureRequest, tmp_path: Path) -> Signing:
    old_format = "old format" in request.param
    if request.param.startswith("cosign"):
        return ByCosign(await Cosign.ready(tmp_path, old_format=old_format))
    return ByOurs(Signer.make(), old_format)


@asynccontextmanager
async def places(source: RealRegistry, target: RealRegistry) -> AsyncIterator[tuple[Place, Place, Registries]]:
    async with source.running() as source_url, target.running() as target_url:
        urls = {"source": source_url, "target": target_url}
        async with Registries({name: RegistrySettings(url=url) for name, url in urls.items()}) as registries:
            made = [
                Place(registries(name), urls[name].removeprefix("http://"), repository)
                for name, repository in (("source", "dev/app"), ("target", "mirror/app"))
            ]
            yield made[0], made[1], registries


async def push_signed(place: Place, signing: Signing) -> tuple[Descriptor, list[Descriptor]]:
    """Push an index of two images, all signed, the index attested, and each image with an SBOM."""
    index, by_platform = await push_multi_platform(place.client, place.repository, "1.0", "linux/amd64", "linux/arm64")
    images = list(by_platform.values())
    for image in images:
        await attach(place.client, place.repository, image, SBOM, SBOM_TYPE)
    await signing.sign(place, index, images)
    return index, images


def command(digest: str, **options: Any) -> CopyImage:
    return copy_command("source/dev/app:1.0", digest, "target/mirror/app:1.0", **options)


async def transfer(registries: Registries, digest: str, **options: Any) -> TransferCompleted:
    outcome = await carry_out("c" * 64, command(digest, **options), CopyEngine(registries, Failpoints()))
    assert isinstance(outcome, TransferCompleted), outcome
    return outcome


async def sboms(place: Place, digest: str) -> list[bytes]:
    """The content of the SBOMs that are listed under a digest."""
    found = []
    for referrer in (await find_attached(place.client, place.repository, digest)).referrers:
        manifest = await place.client.get_manifest(place.repository, referrer)
        found += [
            await place.client.read_blob(place.repository, blob, 1000)
            for blob in manifest.blobs
            if blob.media_type == SBOM_TYPE
        ]
    return found


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[f"{one.name} to {other.name}" for one, other in PAIRS])
async def test_a_signed_multi_architecture_image_is_accepted_where_it_arrives(
    signing: Signing, source: RealRegistry, target: RealRegistry
) -> None:
    async with places(source, target) as (here, there, registries):
        index, images = await push_signed(here, signing)
        await transfer(registries, index.digest)
        assert await there.client.resolve(there.repository, "1.0") == index.digest
        await assert_complete(there.client, there.repository, index.digest)
        for image in (index, *images):
            assert await signing.verifies(there, image.digest)
        assert await signing.verifies_attestation(there, index.digest)
        for image in images:
            assert await sboms(there, image.digest) == [SBOM]


@pytest.mark.parametrize("target", [OCIREGISTRY, DISTRIBUTION_2], ids=lambda kind: kind.name)
async def test_a_signature_that_is_made_after_the_copy_arrives_with_the_next(
    signing: Signing, target: RealRegistry
) -> None:
    async with places(OCIREGISTRY, target) as (here, there, registries):
        index, by_platform = await push_multi_platform(here.client, here.repository, "1.0", "linux/amd64")
        await transfer(registries, index.digest)
        await signing.sign(here, index, list(by_platform.values()))
        assert not await signing.verifies(there, index.digest)
        await carry_out("d" * 64, command(index.digest), CopyEngine(registries, Failpoints()))
        assert await signing.verifies(there, index.digest)


async def test_what_was_signed_is_not_accepted_where_signatures_stay_behind(signing: Signing) -> None:
    async with places(OCIREGISTRY, DISTRIBUTION_2) as (here, there, registries):
        index, _ = await push_signed(here, signing)
        await transfer(registries, index.digest, referrers=False)
        assert await signing.verifies(here, index.digest)
        assert not await signing.verifies(there, index.digest)
        assert not await signing.verifies_attestation(there, index.digest)


async def test_our_own_check_accepts_what_cosign_signed(tmp_path: Path) -> None:
    for old_format in (False, True):
        folder = tmp_path / f"{old_format}"
        folder.mkdir()
        cosign = await Cosign.ready(folder, old_format=old_format)
        async with places(OCIREGISTRY, DISTRIBUTION_2) as (here, there, registries):
            index, _ = await push_signed(here, ByCosign(cosign))
            await transfer(registries, index.digest)
            keys = {"release": load_key("release", cosign.public_key), "other": load_key("other", Signer.make().pem)}
            for place in (here, there):
                found = await find_signers(place.client, keys, Repository("any", place.repository), index.digest)
                assert found == ("release",)


async def test_the_signatures_of_cosign_2_arrive_under_their_tags(tmp_path: Path) -> None:
    cosign = await Cosign.ready(tmp_path, old_format=True)
    async with places(OCIREGISTRY, DISTRIBUTION_2) as (here, there, registries):
        index, images = await push_signed(here, ByCosign(cosign))
        await transfer(registries, index.digest)
        tags = {tag async for tag in there.client.list_tags(there.repository)}
        wanted = {f"{fallback_tag(image.digest)}.sig" for image in (index, *images)}
        assert wanted | {f"{fallback_tag(index.digest)}.att"} <= tags
