"""What registries tell of a push: the local registry says it as CNCF distribution does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.distribution import Endpoint, distribution
from towline.net.egress.guard import Egress
from towline.net.post import post_json
from towline.registry import Registries, push_image
from towline.settings import RegistrySettings

TYPE = "application/vnd.docker.distribution.events.v1+json"
BEARER = {"Authorization": "Bearer of-tests"}


class Receiver:
    """An ASGI app that keeps the manifest pushes it is told of, with the headers they came with."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.pushes: list[dict[str, Any]] = []
        self.told = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.json()
        self.headers.append(dict(request.headers))
        self.pushes += [
            event
            for event in body["events"]
            if event["action"] == "push" and "manifest" in event["target"]["mediaType"]
        ]
        if self.pushes:
            self.told.set()
        await Response()(scope, receive, send)


@pytest.fixture(params=["local", pytest.param("distribution", marks=pytest.mark.distribution)])
async def told(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Receiver, RegistrySettings]]:
    receiver = Receiver()
    async with serving(receiver) as address:
        if request.param == "distribution":
            with distribution(notify=[Endpoint(f"{address}/hooks/a", BEARER)]) as url:
                yield receiver, RegistrySettings(url=url)
        else:

            async def notify(envelope: dict[str, Any]) -> None:
                kept = {**BEARER, "Content-Type": TYPE}
                await post_json(f"{address}/hooks/a", envelope, kept, Egress().with_server(address))

            async with serving(LocalRegistry(notify)) as url:
                yield receiver, RegistrySettings(url=url)


async def test_a_push_is_told_with_repository_tag_digest_and_who_sent_it(
    told: tuple[Receiver, RegistrySettings],
) -> None:
    receiver, settings = told
    async with Registries({"one": settings}) as registries:
        image = await push_image(registries("one"), "team/app", "1.0", [b"layer"])
        async with asyncio.timeout(20):
            await receiver.told.wait()
    push, headers = receiver.pushes[0], receiver.headers[-1]
    target = push["target"]
    assert (target["repository"], target["tag"], target["digest"]) == ("team/app", "1.0", image.digest)
    assert (target["mediaType"], target["size"], target["length"]) == (image.media_type, image.size, image.size)
    assert [set(entry) for entry in target["references"]] == [{"mediaType", "size", "digest"}] * 2
    assert target["url"].endswith(f"/v2/team/app/manifests/{image.digest}")
    assert push["request"]["useragent"] == "image-pusher/1"
    assert push["request"]["method"] == "PUT"
    assert {"id", "timestamp", "actor", "source"} < set(push)
    assert headers["authorization"] == "Bearer of-tests"
    assert headers["content-type"] == TYPE
