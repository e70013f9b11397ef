"""A look at a tag whose digest is known: the same promises on every registry."""

from collections.abc import AsyncIterator

import httpx
import pytest

from schemas.descriptors import OCI_MANIFEST
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.faults import Answer, Faults
from tests.support.images import push_platforms
from tests.support.registries import Contract
from towline.registry import Registries, RegistryClient, push_image
from towline.registry.client import Named
from towline.registry.errors import DigestMismatchError, NotFoundError, ProtocolError
from towline.settings import RegistrySettings


async def test_an_unchanged_tag_tells_its_digest_alone(registry: Contract) -> None:
    registry.needs("conditional requests")
    client = registry.client
    image = await push_image(client, "team/app", "1.0", [b"one"])
    index = await push_platforms(client, "team/app", "all")
    for tag, digest in (("1.0", image.digest), ("all", index.digest)):
        assert await client.look_up("team/app", tag, known=digest) == Named(digest, None, None)


async def test_a_moved_tag_tells_what_it_points_to_now(registry: Contract) -> None:
    client = registry.client
    older = await push_image(client, "team/app", "1.0", [b"one"])
    newer = await push_image(client, "team/app", "1.0", [b"two"])
    assert await client.look_up("team/app", "1.0", known=older.digest) == await client.look_up("team/app", "1.0")
    assert (await client.look_up("team/app", "1.0", known=older.digest)).digest == newer.digest


async def test_a_tag_that_is_gone_is_not_found_although_its_digest_is_known(registry: Contract) -> None:
    client = registry.client
    image = await push_image(client, "team/app", "1.0", [b"one"])
    with pytest.raises(NotFoundError):
        await client.look_up("team/app", "2.0", known=image.digest)


@pytest.fixture
async def faults() -> AsyncIterator[tuple[Faults, RegistryClient]]:
    """The registry inside the process, with faults around it."""
    around = Faults(LocalRegistry())
    async with serving(around) as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        yield around, registries("one")


async def test_one_request_tells_of_a_known_tag_whether_it_moved_or_not(faults: tuple[Faults, RegistryClient]) -> None:
    around, client = faults
    older = await push_image(client, "team/app", "1.0", [b"one"])
    await push_image(client, "team/app", "2.0", [b"two"])
    around.requests.clear()
    for tag in ("1.0", "2.0"):
        await client.look_up("team/app", tag, known=older.digest)
    assert [(it.method, it.headers["if-none-match"]) for it in around.requests] == [("HEAD", f'"{older.digest}"')] * 2


async def test_a_registry_that_knows_no_conditions_answers_as_ever(faults: tuple[Faults, RegistryClient]) -> None:
    around, client = faults
    image = await push_image(client, "team/app", "1.0", [b"one"])
    plain = await client.look_up("team/app", "1.0")
    headers = {"docker-content-digest": image.digest, "content-type": OCI_MANIFEST, "content-length": str(image.size)}
    around.on("HEAD", "/manifests/", Answer(200, headers))
    assert await client.look_up("team/app", "1.0", known=image.digest) == plain


async def test_not_modified_without_a_condition_is_no_answer(faults: tuple[Faults, RegistryClient]) -> None:
    around, client = faults
    await push_image(client, "team/app", "1.0", [b"one"])
    around.on("HEAD", "/manifests/", Answer(304))
    with pytest.raises(ProtocolError, match="without a condition"):
        await client.look_up("team/app", "1.0")


async def test_not_modified_with_another_digest_is_not_believed(faults: tuple[Faults, RegistryClient]) -> None:
    around, client = faults
    older = await push_image(client, "team/app", "1.0", [b"one"])
    newer = await push_image(client, "team/app", "1.0", [b"two"])
    around.on("HEAD", "/manifests/", Answer(304, {"docker-content-digest": newer.digest}))
    with pytest.raises(DigestMismatchError):
        await client.look_up("team/app", "1.0", known=older.digest)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_registry_inside_the_process_takes_conditions_in_every_form(method: str) -> None:
    async with serving(LocalRegistry()) as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        image = await push_image(registries("one"), "team/app", "1.0", [b"one"])
        tag = f'"{image.digest}"'
        async with httpx.AsyncClient(base_url=url) as plain:
            for condition, status in (
                (tag, 304),
                (f"W/{tag}", 304),
                (f'"other" , {tag}', 304),
                ("*", 304),
                ('"other"', 200),
                (image.digest, 200),
                ("", 200),
            ):
                answer = await plain.request(method, "/v2/team/app/manifests/1.0", headers={"if-none-match": condition})
                assert (answer.status_code, answer.headers["etag"]) == (status, tag), condition
                assert (status, method) == (200, "GET") or answer.content == b""
