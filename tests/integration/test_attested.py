"""What Towline attests at a real registry, others verify: cosign where it is built, openssl's primitives else."""

from pathlib import Path

import pytest

from schemas.events import TransferCompleted
from tests.support.cosign import Cosign
from tests.support.images import copy_command
from tests.support.registries import CRANE, DISTRIBUTION_2, DISTRIBUTION_3, OCIREGISTRY, RealRegistry
from tests.support.signing import Signer
from towline.failpoints import Failpoints
from towline.registry import CopyEngine, Registries, carry_out, push_image
from towline.registry.attestation import Attestor
from towline.registry.cosign import find_signatures
from towline.registry.signatures import is_signed_by, load_key
from towline.registry.statements import PREDICATE_TYPE, AttestingKey
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution

TARGETS = [OCIREGISTRY, CRANE, DISTRIBUTION_2, DISTRIBUTION_3]
KINDS = ("ecdsa", "ed25519")


async def promoted(registries: Registries, signer: Signer) -> str:
    """Promote an image, attested; return its digest."""
    image = await push_image(registries("one"), "dev/app", "1.0", [b"layer"])
    engine = CopyEngine(registries, Failpoints(), attestor=Attestor(AttestingKey(signer.private_pem), {"one"}))
    command = copy_command("one/dev/app:1.0", image.digest, "one/qa/app:1.0")
    assert isinstance(await carry_out("c" * 64, command, engine), TransferCompleted)
    return image.digest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_a_promotion_is_attested_once_on_any_registry(target: RealRegistry, kind: str) -> None:
    signer = Signer.make(kind)
    async with target.running() as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        digest = await promoted(registries, signer)
        (found,) = await find_signatures(registries("one"), "qa/app", digest)
        assert is_signed_by(load_key("ours", signer.pem), found)
        assert await find_signatures(registries("one"), "dev/app", digest) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [OCIREGISTRY, DISTRIBUTION_2], ids=lambda target: target.name)
async def test_cosign_verifies_what_is_attested_and_nothing_with_another_key(
    target: RealRegistry, kind: str, tmp_path: Path
) -> None:
    cosign = await Cosign.ready(tmp_path, old_format=False)
    signer = Signer.make(kind)
    async with target.running() as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        digest = await promoted(registries, signer)
        reference = f"{url.removeprefix('http://')}/qa/app@{digest}"
        assert not await cosign.verifies_attestation(reference, PREDICATE_TYPE)
        (tmp_path / "cosign.pub").write_bytes(signer.pem)
        assert await cosign.verifies_attestation(reference, PREDICATE_TYPE)
