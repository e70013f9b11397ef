"""Where signatures are found: cosign's tag, referrers of both kinds, and nowhere else."""

from pathlib import Path

import pytest

from schemas.references import Repository
from tests.support.faults import Answer
from tests.support.images import entry, push_manifest_of
from tests.support.pairs import Pair
from tests.support.signing import BUNDLE, Signer, payload_for, push_signatures, statement_for
from tests.unit.registry.copying import errors
from towline import limits
from towline.errors import SettingsError
from towline.registry.cosign import find_signers, load_keys
from towline.registry.errors import ServerError, TooLargeError
from towline.registry.images import push_blob
from towline.registry.signatures import load_key
from towline.settings import KeySettings

RELEASE, OTHER = Signer.make(), Signer.make()
KEYS = {"release": load_key("release", RELEASE.pem), "other": load_key("other", OTHER.pem)}
DEV = Repository.parse("source/dev/app")


async def found(pair: Pair, digest: str) -> tuple[str, ...]:
    return await find_signers(pair.source_client, KEYS, DEV, digest)


async def test_an_image_without_signatures_has_no_signers(pair: Pair) -> None:
    assert await found(pair, (await pair.push()).digest) == ()


async def test_signatures_under_the_tag_of_cosign_are_found(pair: Pair) -> None:
    image = await pair.push()
    bad = Signer.make().sign(payload_for(image.digest))
    await push_signatures(pair.source_client, DEV.name, image, bad, RELEASE.sign(payload_for(image.digest)))
    assert await found(pair, image.digest) == ("release",)


@pytest.mark.parametrize("artifact_type", ["application/vnd.dev.cosign.artifact.sig.v1+json", None])
async def test_signatures_that_are_referrers_are_found_whatever_their_artifact_type(
    pair: Pair, artifact_type: str | None
) -> None:
    image = await pair.push()
    signature = RELEASE.sign(payload_for(image.digest))
    members = {"artifactType": artifact_type} if artifact_type else {}
    await push_signatures(pair.source_client, DEV.name, image, signature, tag="any", subject=entry(image), **members)
    assert await found(pair, image.digest) == ("release",)


async def test_a_bundle_that_is_a_referrer_is_found(pair: Pair) -> None:
    image = await pair.push()
    bundle = await push_blob(pair.source_client, DEV.name, RELEASE.bundle(statement_for(image.digest)), BUNDLE)
    await push_manifest_of(
        pair.source_client,
        DEV.name,
        "any",
        [bundle],
        subject=entry(image),
        artifactType="application/vnd.oci.empty.v1+json",
    )
    assert await found(pair, image.digest) == ("release",)


async def test_signers_in_several_places_are_all_found(pair: Pair) -> None:
    image = await pair.push()
    first, second = [signer.sign(payload_for(image.digest)) for signer in (RELEASE, OTHER)]
    await push_signatures(pair.source_client, DEV.name, image, first)
    await push_signatures(pair.source_client, DEV.name, image, second, tag="any", subject=entry(image))
    assert await found(pair, image.digest) == ("other", "release")


async def test_the_signature_of_another_image_is_not_one_of_this(pair: Pair) -> None:
    image, another = await pair.push(b"one"), await pair.push(b"two")
    await push_signatures(pair.source_client, DEV.name, image, RELEASE.sign(payload_for(another.digest)))
    assert await found(pair, image.digest) == ()


async def test_layers_that_are_no_payloads_are_not_read(pair: Pair) -> None:
    image = await pair.push()
    signature = RELEASE.sign(payload_for(image.digest))
    layers = [{"mediaType": "text/plain", "digest": image.digest, "size": 1}]
    await push_signatures(pair.source_client, DEV.name, image, signature, layers=layers)
    assert await found(pair, image.digest) == ()
    assert pair.source_faults.count("GET", r"/blobs/sha256:") == 0


async def test_a_payload_that_is_gone_or_too_large_is_not_signed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await pair.push()
    await push_signatures(pair.source_client, DEV.name, image, RELEASE.sign(payload_for(image.digest)))
    monkeypatch.setattr(limits, "signature_payload_bytes", 10)
    assert await found(pair, image.digest) == ()
    monkeypatch.undo()
    pair.source_faults.on("GET", r"/blobs/sha256:", Answer(404, body=errors("BLOB_UNKNOWN")))
    assert await found(pair, image.digest) == ()
    assert await found(pair, image.digest) == ("release",)


async def test_a_registry_that_fails_is_no_missing_signature(pair: Pair) -> None:
    image = await pair.push()
    await push_signatures(pair.source_client, DEV.name, image, RELEASE.sign(payload_for(image.digest)))
    pair.source_faults.on("GET", r"/blobs/sha256:", Answer(503))
    with pytest.raises(ServerError):
        await found(pair, image.digest)


async def test_more_signatures_than_the_bound_are_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "signature_count", 1)
    image = await pair.push()
    signature = RELEASE.sign(payload_for(image.digest))
    await push_signatures(pair.source_client, DEV.name, image, signature, signature)
    with pytest.raises(TooLargeError):
        await found(pair, image.digest)


async def test_without_keys_nothing_is_asked(pair: Pair) -> None:
    image = await pair.push()
    before = len(pair.source_faults.requests)
    assert await find_signers(pair.source_client, {}, DEV, image.digest) == ()
    assert len(pair.source_faults.requests) == before


def test_keys_of_the_settings_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "cosign.pub").write_bytes(RELEASE.pem)
    assert load_keys({"release": KeySettings(file=tmp_path / "cosign.pub")}) == {"release": KEYS["release"]}


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"keys\.release\.file .*none\.pub: No such file"):
        load_keys({"release": KeySettings(file=tmp_path / "none.pub")})
