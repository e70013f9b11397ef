"""What is read of a manifest, and what is too much (fault catalogue: R18, R19)."""

import json
from typing import Any

import pytest

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from tests.support.images import push_index
from tests.support.pairs import Pair
from tests.unit.registry.copying import MANIFEST, completed, failed
from towline import limits
from towline.registry.blobs import digest_of
from towline.registry.errors import TooLargeError, UnsupportedManifestError
from towline.registry.manifests import Manifest, parse_manifest


def entry(name: str, media_type: str = OCI_MANIFEST) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(name.encode()), "size": 1}


def parse(document: object, content_type: str = "") -> Manifest:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_manifest(content, digest_of(content), content_type)


async def test_indexes_may_be_nested_to_the_bound_and_no_deeper(pair: Pair) -> None:
    image = await pair.push()
    for _ in range(limits.index_depth):
        image = await push_index(pair.source_client, "dev/app", "1.0", [image])
    await completed(pair, image)
    deeper = await push_index(pair.source_client, "dev/app", "1.0", [image])
    outcome = failed(await pair.carry_out(deeper))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("too-large", False, 1)
    assert pair.target_digest() == image.digest


async def test_a_manifest_that_is_named_many_times_is_read_once(pair: Pair) -> None:
    image = await pair.push()
    left, right = [
        await push_index(pair.source_client, "dev/app", name, [image], media_type=OCI_INDEX) for name in ("l", "r")
    ]
    root = await push_index(pair.source_client, "dev/app", "1.0", [image, left, right, image])
    reads = pair.source_faults.count("GET", MANIFEST)
    await completed(pair, root)
    assert pair.source_faults.count("GET", MANIFEST) == reads + len(
        {root.digest, left.digest, right.digest, image.digest}
    )


def test_an_index_has_no_more_manifests_than_the_bound() -> None:
    fitting = [entry(str(number)) for number in range(limits.index_manifest_count)]
    assert len(parse({"manifests": fitting}).manifests) == limits.index_manifest_count
    with pytest.raises(TooLargeError):
        parse({"manifests": [*fitting, entry("one more")]})


@pytest.mark.parametrize(
    "document",
    [
        {"config": entry("config"), "layers": [entry("layer")], "manifests": [entry("child")]},
        {"layers": [{"mediaType": "a/b", "digest": "md5:00", "size": 1}]},
        {"layers": [{"mediaType": "a/b", "digest": digest_of(b""), "size": -1}]},
        {"layers": ["text"]},
        {"config": 1},
        {"schemaVersion": 1},
        [],
        b"{",
        b"",
    ],
)
def test_what_is_no_manifest_is_refused(document: object) -> None:
    with pytest.raises(UnsupportedManifestError):
        parse(document)


def test_the_documents_own_media_type_wins_over_the_registrys_word() -> None:
    assert parse({"mediaType": "application/x.own"}, "text/html").media_type == "application/x.own"
    assert parse({"layers": []}, f"{OCI_MANIFEST}; charset=utf-8").media_type == OCI_MANIFEST
    assert parse({"manifests": []}, "application/json").media_type == OCI_INDEX


def test_a_build_cache_lists_its_layers_in_an_index() -> None:
    layer = entry("layer", "application/vnd.oci.image.layer.v1.tar+gzip")
    cache = parse({"mediaType": OCI_INDEX, "manifests": [layer]})
    assert [blob.digest for blob in cache.blobs] == [layer["digest"]]
    assert cache.manifests == ()
