"""What a decision put at a target can be attested there: by a statement that others can verify, before the tag."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.events import TransferCompleted, TransferFailed, TransferSkipped
from tests.support.faults import Answer
from tests.support.images import copy_command, push_multi_platform
from tests.support.pairs import Pair, pair_of_registries
from tests.support.signing import Signer
from towline.errors import SettingsError
from towline.failpoints import FailpointError
from towline.registry import TransferOutcome, carry_out
from towline.registry.attestation import Attestor, attestor_of
from towline.registry.cosign import find_signatures
from towline.registry.signatures import Signature, is_signed_by, load_key
from towline.registry.statements import PREDICATE_TYPE, AttestingKey, bundle, statement
from towline.settings import AttestationSettings

KINDS = ("ecdsa", "ed25519")
SIGNER = Signer.make()
OTHER = "sha256:" + "1" * 64


def attestor(*registries: str) -> Attestor:
    return Attestor(AttestingKey(SIGNER.private_pem), registries or ("target",))


async def transferred(pair: Pair, digest: str, by: Attestor | None = None, **options: Any) -> TransferOutcome:
    command = pair.command(digest, **options)
    engine = pair.engine(attestor=by or attestor())
    return await carry_out("c" * 64, command, engine, attempts=pair.attempts)


async def attested(pair: Pair, digest: str, repository: str = "qa/app") -> Sequence[Signature]:
    """What is signed about a digest at the target."""
    return await find_signatures(pair.target_client, repository, digest)


def said(signature: Signature) -> dict[str, Any]:
    return dict(json.loads(signature.payload))


async def test_what_is_attested_names_the_image_the_decision_and_where_it_came_from(pair: Pair) -> None:
    image = await pair.push()
    assert isinstance(await transferred(pair, image.digest), TransferCompleted)
    (found,) = await attested(pair, image.digest)
    assert is_signed_by(load_key("ours", SIGNER.pem), found)
    assert said(found) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "target/qa/app", "digest": {"sha256": image.digest.removeprefix("sha256:")}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "decision": "0" * 64,
            "policy": "to-qa",
            "source": "source/dev/app:1.0",
            "sourceDigest": image.digest,
            "target": "target/qa/app:1.0",
            "hops": 1,
            "pushedBy": None,
        },
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_command_is_attested_in_the_same_bytes(kind: str) -> None:
    signer = Signer.make(kind)
    command = copy_command("source/dev/app:1.0", OTHER, "target/qa/app:1.0")
    one, again = (bundle(AttestingKey(signer.private_pem), statement(command, OTHER)) for _ in range(2))
    assert one == again
    envelope = json.loads(one)["dsseEnvelope"]
    signature = Signature(
        base64.b64decode(envelope["payload"]), envelope["signatures"][0]["sig"], envelope["payloadType"]
    )
    assert is_signed_by(load_key("ours", signer.pem), signature)
    assert not is_signed_by(load_key("another", Signer.make(kind).pem), signature)


async def test_it_is_at_the_target_before_the_tag_is(pair: Pair) -> None:
    image = await pair.push()
    with pytest.raises(FailpointError, match="tag_next"):
        await pair.engine("transfer.tag_next:raise@1", attestor()).copy(pair.command(image))
    assert pair.target_digest() is None
    assert len(await attested(pair, image.digest)) == 1


async def test_a_target_that_takes_no_attestation_keeps_its_old_tag(pair: Pair) -> None:
    image = await pair.push()
    pair.target_faults.on("PUT", r"/manifests/sha256:", Answer(403), times=1000)
    outcome = await transferred(pair, image.digest)
    assert isinstance(outcome, TransferFailed)
    assert pair.target_digest() is None


async def test_who_repeats_a_transfer_attests_it_once(pair: Pair) -> None:
    image = await pair.push()
    await transferred(pair, image.digest)
    assert isinstance(await transferred(pair, image.digest), TransferSkipped)
    assert len(await attested(pair, image.digest)) == 1


async def test_what_the_target_had_already_is_attested_as_well(pair: Pair) -> None:
    image = await pair.push()
    await pair.carry_out(image)
    assert await attested(pair, image.digest) == []
    assert isinstance(await transferred(pair, image.digest), TransferSkipped)
    assert len(await attested(pair, image.digest)) == 1


async def test_the_image_that_arrived_is_attested_where_only_some_platforms_did() -> None:
    async with pair_of_registries() as pair:  # The target refuses the whole index: that is no fault here.
        index, _ = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
        outcome = await transferred(pair, index.digest, platforms=("linux/amd64",))
        assert isinstance(outcome, TransferCompleted)
        (found,) = await attested(pair, outcome.arrived_digest)
    assert said(found)["predicate"]["sourceDigest"] == index.digest
    assert said(found)["subject"][0]["digest"]["sha256"] == outcome.arrived_digest.removeprefix("sha256:")


async def test_registries_that_are_not_named_learn_nothing(pair: Pair) -> None:
    image = await pair.push()
    await transferred(pair, image.digest, attestor("elsewhere"))
    assert await attested(pair, image.digest) == []


async def test_what_is_attested_travels_to_the_next_target(pair: Pair) -> None:
    image = await pair.push()
    await transferred(pair, image.digest)
    onward = copy_command("target/qa/app:1.0", image.digest, "target/prod/app:1.0")
    onward = onward.model_copy(update={"decision_id": "1" * 64})
    await carry_out("d" * 64, onward, pair.engine(attestor=attestor()), attempts=pair.attempts)
    found = await attested(pair, image.digest, "prod/app")
    assert {said(item)["subject"][0]["name"] for item in found} == {"target/qa/app", "target/prod/app"}


@pytest.mark.parametrize(
    "pem", [b"no key", Signer.make().pem, Signer.make("rsa").private_pem, Signer.make("p384").private_pem]
)
def test_a_key_that_cannot_attest_is_refused_without_showing_it(pem: bytes) -> None:
    with pytest.raises(SettingsError, match=r"attestation\.key") as refused:
        AttestingKey(pem)
    assert "BEGIN" not in str(refused.value)


def test_a_registry_that_the_settings_do_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(SIGNER.private_pem)
    settings = AttestationSettings(key=f"file:{tmp_path / 'key.pem'}", registries=("prod", "qa"))
    with pytest.raises(SettingsError, match="'prod' is not among the registries"):
        attestor_of(settings, {"qa"})
    assert attestor_of(None, {"qa"}) is None
