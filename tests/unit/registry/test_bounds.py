"""Answers that are larger, longer or deeper than anything real (fault catalogue R17, R18; security catalogue S13)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.events import TransferCompleted
from tests.support.faults import Answer
from tests.support.images import entry, push_index, push_multi_platform
from tests.support.pairs import Pair
from tests.unit.registry.copying import MANIFEST, TAG, completed, failed
from towline import limits
from towline.registry import pages
from towline.registry.blobs import digest_of
from towline.registry.errors import RegistryError, TooLargeError
from towline.registry.images import push_manifest
from towline.registry.referrers import fallback_tag


async def names_in(listing: AsyncIterator[str]) -> list[str]:
    return [name async for name in listing]


def manifest_of(size: int) -> bytes:
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "padding": ""}).encode()
    return empty.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(empty)) + b'"')


async def test_a_manifest_may_have_as_many_bytes_as_the_bound_and_not_one_more(pair: Pair) -> None:
    fitting = await push_manifest(
        pair.source_client, "dev/app", "1.0", manifest_of(limits.manifest_bytes), OCI_MANIFEST
    )
    assert fitting.size == limits.manifest_bytes
    await completed(pair, fitting)
    larger = await push_manifest(
        pair.source_client, "dev/app", "2.0", manifest_of(limits.manifest_bytes + 1), OCI_MANIFEST
    )
    outcome = failed(await pair.carry_out(larger, "target/qa/app:2.0"))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("too-large", False, 1)
    assert pair.target_digest(tag="2.0") is None


@pytest.mark.parametrize("size", [limits.error_body_bytes, limits.error_body_bytes + 1, 8_000_000])
async def test_the_body_of_an_error_is_read_to_its_bound_and_the_status_counts_all_the_same(
    pair: Pair, size: int
) -> None:
    image = await pair.push()
    words = json.dumps({"errors": [{"code": "DENIED", "message": "x" * size}]}).encode()
    for body in (words, b"<html>" + b"y" * size):
        pair.target_faults.on("PUT", TAG, Answer(403, body=body))
        outcome = failed(await pair.carry_out(image))
        assert outcome.cause == "denied"
        assert len(outcome.detail) <= 1000


async def test_pages_that_never_end_are_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_COUNT", 20)
    number = 0

    class Endless:
        async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal number
            number += 1
            link = f'<{scope["path"]}?last={number}>; rel="next"'
            body = json.dumps({"tags": [f"{number}"], "repositories": [f"{number}"], "manifests": []}).encode()
            await Answer(200, {"link": link, "content-type": OCI_INDEX}, body).meet(app, scope, receive, send)

    pair.source_faults.on("GET", "tags/list|_catalog|referrers", Endless(), times=1000)
    readers: list[Callable[[], Awaitable[object]]] = [
        lambda: names_in(pair.source_client.list_tags("dev/app")),
        lambda: names_in(pair.source_client.list_repositories()),
        lambda: pair.source_client.list_referrers("dev/app", digest_of(b"")),
    ]
    for read in readers:
        with pytest.raises(TooLargeError):
            await read()
    assert number == 3 * pages.PAGE_COUNT


async def test_pages_that_lead_back_are_given_up(pair: Pair) -> None:
    path = "/v2/dev/app/tags/list"
    for here, there in (("a", "b"), ("b", "a")):
        link = {"link": f'<{path}?last={there}>; rel="next"'}
        pair.source_faults.on("GET", f"last={here}", Answer(200, link, b'{"tags": ["1"]}'), times=1000)
    pair.source_faults.on(
        "GET", r"tags/list\?$", Answer(200, {"link": f'<{path}?last=a>; rel="next"'}, b'{"tags": []}')
    )
    with pytest.raises(RegistryError) as caught:
        await names_in(pair.source_client.list_tags("dev/app"))
    assert caught.value.cause == "protocol"
    assert pair.source_faults.count("GET", "tags/list") == 3


async def test_a_page_beyond_the_bound_is_not_kept(pair: Pair) -> None:
    pair.source_faults.on("GET", "tags/list", Answer(200, body=b" " * (limits.manifest_bytes + 1)))
    with pytest.raises(TooLargeError):
        await names_in(pair.source_client.list_tags("dev/app"))


async def test_of_an_index_of_a_thousand_platforms_the_wanted_one_is_copied(pair: Pair) -> None:
    pair.source.store.sparse = pair.target.store.sparse = True
    image = await pair.push()
    absent = {"mediaType": OCI_MANIFEST, "size": 7}
    entries = [
        {**absent, "digest": digest_of(str(n).encode()), "platform": {"os": "linux", "architecture": f"cpu{n}"}}
        for n in range(999)
    ]
    entries.append(entry(image, platform={"os": "linux", "architecture": "amd64"}))
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    index = await push_manifest(pair.source_client, "dev/app", "1.0", content, OCI_INDEX)
    outcome = await pair.carry_out(index, platforms=("linux/amd64",))
    assert isinstance(outcome, TransferCompleted), outcome
    assert set(pair.target.store.repositories["qa/app"].manifests) == {index.digest, image.digest}


async def test_the_manifests_under_one_image_are_bounded_over_all_of_its_indexes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [await pair.push(bytes([number]), tag=f"{number}") for number in range(6)]
    halves = [await push_index(pair.source_client, "dev/app", f"half{n}", images[n::2]) for n in range(2)]
    root = await push_index(pair.source_client, "dev/app", "1.0", halves)
    monkeypatch.setattr(limits, "index_manifest_count", 5)
    reads = pair.source_faults.count("GET", MANIFEST)
    outcome = failed(await pair.carry_out(root))
    assert (outcome.cause, outcome.retryable, outcome.attempts) == ("too-large", False, 1)
    assert pair.source_faults.count("GET", MANIFEST) - reads <= 6


async def test_an_index_nested_fifty_deep_is_refused_before_the_bottom(pair: Pair) -> None:
    image = await pair.push()
    for _ in range(50):
        image = await push_index(pair.source_client, "dev/app", "1.0", [image])
    reads = pair.source_faults.count("GET", MANIFEST)
    assert failed(await pair.carry_out(image)).cause == "too-large"
    assert pair.source_faults.count("GET", MANIFEST) - reads == limits.index_depth + 1


async def test_a_listing_that_names_more_referrers_than_the_bound_ends_the_transfer(pair: Pair) -> None:
    image = await pair.push()
    many = [entry(image) | {"digest": digest_of(str(n).encode())} for n in range(limits.referrer_count + 1)]
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": many}).encode()
    pair.source_faults.on("GET", "/referrers/", Answer(200, {"content-type": OCI_INDEX}, body), times=1000)
    outcome = failed(await pair.carry_out(image))
    assert (outcome.cause, outcome.retryable) == ("too-large", False)
    assert pair.target_digest() is None


async def test_a_listing_and_a_fallback_index_are_bounded_together(pair: Pair) -> None:
    image = await pair.push()
    pair.source.store.sparse = True
    half = limits.referrer_count // 2 + 1

    def index_of(name: str) -> bytes:
        many = [entry(image) | {"digest": digest_of(f"{name} {n}".encode())} for n in range(half)]
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": many}).encode()

    pair.source_faults.on(
        "GET", "/referrers/", Answer(200, {"content-type": OCI_INDEX}, index_of("listing")), times=1000
    )
    await push_manifest(pair.source_client, "dev/app", fallback_tag(image.digest), index_of("fallback"), OCI_INDEX)
    outcome = failed(await pair.carry_out(image))
    assert outcome.cause == "too-large"
    assert pair.source_faults.count("GET", MANIFEST) <= 2  # none of what was listed


async def test_an_image_whose_manifests_are_together_too_large_is_not_held_in_memory(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = await push_multi_platform(pair.source_client, "dev/app", "1.0", "linux/amd64", "linux/arm64")
    monkeypatch.setattr("towline.registry.closure.CLOSURE_BYTES", index.size + 10)
    assert failed(await pair.carry_out(index)).cause == "too-large"
