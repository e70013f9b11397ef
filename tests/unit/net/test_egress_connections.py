"""Where connections are made to, judged when they are made (security catalogue S01 to S05, S12, S13, S23)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp.resolver import ThreadedResolver
from starlette.types import Receive, Scope, Send

from schemas.descriptors import Descriptor
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.certificates import make_server_certificate
from tests.support.faults import Alter, Answer, Answered, Faults
from tests.support.internet import Internet
from towline import limits
from towline.net.egress.client import GuardedClient, NoReplyError, RedirectNotFollowedError, ReplyTooLargeError
from towline.net.egress.dialling import VettingResolver
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.guard import Egress
from towline.net.http import open_http, open_transport
from towline.registry import Registries, RegistryClient, push_image
from towline.registry.blobs import digest_of
from towline.registry.errors import ProtocolError, RedirectRefusedError, UnreachableError
from towline.settings import EgressSettings, RegistrySettings

LAYER = Descriptor(media_type="a/b", digest=digest_of(b"layer"), size=5)
PUBLIC, OTHER, INSIDE = "8.8.8.8", "9.9.9.9", "10.0.0.7"


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(monkeypatch)


@asynccontextmanager
async def asked(internet: Internet, *answers: Answer) -> AsyncIterator[Faults]:
    """Serve what is at a public address."""
    faults = Faults(LocalRegistry())
    for answer in answers:
        faults.on("GET", "/", answer)
    async with serving(faults) as url:
        internet.serve("a.example", PUBLIC, url)
        yield faults


# -- Names -------------------------------------------------------------------------------------------------------------


async def test_a_name_is_looked_up_once_for_a_connection_and_what_was_found_is_dialled(internet: Internet) -> None:
    async with asked(internet, Answer(200, {}, b"here")) as faults:
        internet.names["a.example"] = [[PUBLIC], ["127.0.0.1"]]
        async with GuardedClient(Egress()) as client:
            reply = await client.send("GET", "http://a.example/")
    assert (reply.status, reply.body) == (200, b"here")
    assert internet.looked_up == ["a.example"]
    assert internet.dialled == [PUBLIC]
    assert faults.requests[0].headers["host"] == "a.example"


async def test_a_name_that_turns_private_is_not_dialled_again(internet: Internet) -> None:
    async with asked(internet, Answer(200, {}), Answer(200, {})):
        internet.names["a.example"] = [[PUBLIC], ["169.254.169.254"], ["127.0.0.1"]]
        for refused in (False, True, True):
            async with GuardedClient(Egress()) as client:
                if not refused:
                    await client.send("GET", "http://a.example/")
                    continue
                with pytest.raises(EgressRefusedError):
                    await client.send("GET", "http://a.example/")
    assert internet.looked_up == ["a.example"] * 3
    assert internet.dialled == [PUBLIC]


async def test_of_several_addresses_only_public_ones_are_dialled(internet: Internet) -> None:
    # As for an alias, whose answer is that of the name that it stands for.
    async with asked(internet, Answer(200, {})):
        internet.names["a.example"] = [["127.0.0.1", "::1", "2606:4700::1", "fd00::1", PUBLIC, "::ffff:127.0.0.1"]]
        async with GuardedClient(Egress()) as client:
            assert (await client.send("GET", "http://a.example/")).status == 200
    assert set(internet.dialled) <= {PUBLIC, "2606:4700::1"}
    assert PUBLIC in internet.dialled


async def test_a_lookup_gives_nothing_that_must_not_be_dialled(internet: Internet) -> None:
    internet.names["a.example"] = [["127.0.0.1", PUBLIC, "::1", INSIDE]]
    found = await VettingResolver(Egress()).resolve("a.example", 443)
    assert [result["host"] for result in found] == [PUBLIC]


async def test_a_name_that_leads_to_nothing_that_may_be_asked_is_refused_with_what_to_set(internet: Internet) -> None:
    internet.names["a.example"] = [[INSIDE, "::1"]]
    async with GuardedClient(Egress()) as client:
        with pytest.raises(EgressRefusedError) as caught:
            await client.send("GET", "https://a.example/?sig=canary")
    said = str(caught.value)
    assert all(word in said for word in ("a.example:443", f"{INSIDE} (private)", "::1 (loopback)", "egress.allow"))
    assert "canary" not in said
    assert internet.dialled == []


async def test_what_comes_past_the_lookup_is_judged_again_before_it_is_dialled(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VettingResolver, "resolve", ThreadedResolver.resolve)
    internet.names["a.example"] = [[INSIDE]]
    async with GuardedClient(Egress()) as client:
        with pytest.raises(EgressRefusedError, match="private"):
            await client.send("GET", "http://a.example/")
    assert internet.dialled == []


@pytest.mark.parametrize("found", [None, []])
async def test_a_name_that_cannot_be_looked_up_is_not_dialled(internet: Internet, found: list[str] | None) -> None:
    if found is not None:
        internet.names["a.example"] = [found]
    async with GuardedClient(Egress()) as client:
        with pytest.raises((NoReplyError, EgressRefusedError)):
            await client.send("GET", "http://a.example/")
    assert internet.dialled == []


async def test_a_connection_that_is_kept_open_is_used_again_without_another_lookup(internet: Internet) -> None:
    async with asked(internet, Answer(200, {}), Answer(200, {})):
        internet.names["a.example"] = [[PUBLIC], ["127.0.0.1"]]
        async with GuardedClient(Egress()) as client:
            for _ in range(2):
                await client.send("GET", "http://a.example/")
    assert internet.dialled == [PUBLIC]


async def test_the_certificate_is_asked_for_by_the_name_and_not_by_the_address(
    internet: Internet, tmp_path: Path
) -> None:
    named: list[str | None] = []
    certificate = make_server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    context.sni_callback = lambda _, name, __: named.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        internet.serve("a.example", PUBLIC, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with GuardedClient(Egress(), ca_file=certificate.ca_file) as client:
            with pytest.raises(NoReplyError):  # the certificate is for another name, so nothing is sent
                await client.send("GET", "https://a.example/")
        async with open_http(open_transport(Egress(), insecure=True)) as http:
            assert (await http.get("https://a.example/")).status_code == 200
    assert named == ["a.example"] * 2
    assert internet.dialled == [PUBLIC] * 2


# -- Registries --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def registry(
    internet: Internet, allowed: EgressSettings, tmp_path: Path, url: str = "http://registry.example"
) -> AsyncIterator[tuple[Faults, Faults, RegistryClient]]:
    """Yield a public registry that wants basic credentials, a server inside, and a client of the registry."""
    own, inside = Faults(LocalRegistry()), Faults(LocalRegistry())
    (tmp_path / "password").write_text("canary-4711")
    settings = RegistrySettings(url=url, username="mover", password=f"file:{tmp_path / 'password'}")
    async with serving(own) as own_url, serving(inside) as inside_url:
        internet.serve("registry.example", PUBLIC, own_url)
        internet.serve("inside.example", INSIDE, inside_url)
        async with Registries({"one": settings}, egress=allowed) as registries:
            own.on("HEAD", "blobs", Answer(401, {"www-authenticate": 'Basic realm="a"'}))
            await push_image(registries("one"), "team/app", "1.0", [b"layer"])
            inside.on("GET", "/x", Answer(200, {}, b"layer"), times=10)
            inside.on("PUT", "/x", Answer(201))
            yield own, inside, registries("one")


async def _redirected(own: Faults, client: RegistryClient, address: str) -> None:
    own.on("GET", "blobs", Answer(307, {"location": address, "set-cookie": "a=b"}))
    async with client.open_blob("team/app", LAYER) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"layer"


async def _relocated(own: Faults, client: RegistryClient, address: str) -> None:
    def elsewhere(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "location": address})

    async def chunks() -> AsyncIterator[bytes]:
        yield b"layer"

    own.on("POST", "uploads", Alter(elsewhere))
    await client.put_blob(await client.start_upload("team/app"), LAYER, chunks)


async def _sent_to_a_token_service(own: Faults, client: RegistryClient, address: str) -> None:
    own.on("GET", "blobs", Answer(401, {"www-authenticate": f'Bearer realm="{address}",service="a"'}))
    async with client.open_blob("team/app", LAYER):
        pass


Way = Callable[[Faults, RegistryClient, str], Awaitable[None]]

WAYS: list[Way] = [_redirected, _relocated, _sent_to_a_token_service]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("address", ["http://inside.example/x", f"http://{INSIDE}/x", "http://registry.example:22/x"])
async def test_a_registry_leads_nobody_behind_the_guard(
    internet: Internet, tmp_path: Path, way: Way, address: str
) -> None:
    async with registry(internet, EgressSettings(), tmp_path) as (own, inside, client):
        with pytest.raises(RedirectRefusedError, match=r"egress\.allow") as caught:
            await way(own, client, address)
    assert caught.value.retryable is False
    assert set(internet.dialled) == {PUBLIC}
    assert inside.requests == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entry", ["10.0.0.0/8", "inside.example", "inside.example:80"])
async def test_what_the_settings_allow_is_followed_without_credentials_or_cookies(
    internet: Internet, tmp_path: Path, way: Way, entry: str
) -> None:
    async with registry(internet, EgressSettings(allow=(entry,)), tmp_path) as (own, inside, client):
        with suppress(ProtocolError):  # the layer is no answer of a token service
            await way(own, client, "http://inside.example/x?account=a")
    assert INSIDE in internet.dialled
    assert inside.requests
    for request in inside.requests:
        assert not {"authorization", "cookie"} & set(request.headers)
        assert "canary" not in str(request)


async def test_a_registry_of_the_settings_may_be_private_at_its_own_port_alone(internet: Internet) -> None:
    own = Faults(LocalRegistry())
    async with serving(own) as url:
        internet.serve("registry.corp", INSIDE, url)
        settings = {
            "one": RegistrySettings(url="http://registry.corp:5000"),
            "two": RegistrySettings(url="http://b.example"),
        }
        async with Registries(settings) as registries:
            await push_image(registries("one"), "team/app", "1.0", [b"layer"])
            own.on("GET", "blobs", Answer(307, {"location": "http://registry.corp/x"}))
            with pytest.raises(RedirectRefusedError):
                async with registries("one").open_blob("team/app", LAYER):
                    pass
            # What one registry may be is nothing that another leads to.
            other = Faults(LocalRegistry())
            async with serving(other) as other_url:
                internet.serve("b.example", OTHER, other_url)
                other.on("GET", "blobs", Answer(307, {"location": "http://registry.corp:5000/x"}))
                with pytest.raises(RedirectRefusedError):
                    async with registries("two").open_blob("team/app", LAYER):
                        pass


async def test_a_registry_whose_name_leads_to_the_credentials_of_a_cloud_is_not_asked(internet: Internet) -> None:
    internet.names["registry.example"] = [["169.254.169.254"]]
    async with Registries({"one": RegistrySettings(url="http://registry.example")}) as registries:
        with pytest.raises(RedirectRefusedError, match="link-local"):
            await registries("one").resolve("team/app", "1.0")
    assert internet.dialled == []


async def test_a_registry_whose_name_is_not_known_is_a_failure_that_may_pass(internet: Internet) -> None:
    async with Registries({"one": RegistrySettings(url="http://registry.example")}) as registries:
        with pytest.raises(UnreachableError):
            await registries("one").resolve("team/app", "1.0")
    assert internet.dialled == []


# -- Requests to addresses that others name ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(internet: Internet, status: int) -> None:
    elsewhere = Answer(status, {"location": "http://a.example/elsewhere?sig=canary"})
    async with asked(internet, elsewhere) as faults, GuardedClient(Egress()) as client:
        with pytest.raises(RedirectNotFollowedError, match=str(status)) as caught:
            await client.send("GET", "http://a.example/?key=canary")
    assert "canary" not in str(caught.value)
    assert len(faults.requests) == 1


async def test_an_answer_is_read_to_its_bound_and_no_further(internet: Internet) -> None:
    answers = [Answer(200, {}, b"x" * 10), Answer(200, {}, b"x" * 11)]
    async with asked(internet, *answers), GuardedClient(Egress()) as client:
        assert (await client.send("GET", "http://a.example/", reply_bytes=10)).body == b"x" * 10
        with pytest.raises(ReplyTooLargeError):
            await client.send("GET", "http://a.example/", reply_bytes=10)


async def test_an_answer_that_does_not_end_is_given_up(internet: Internet) -> None:
    ended = asyncio.Event()

    async def dribble(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await ended.wait()

    async with serving(dribble) as url:
        internet.serve("a.example", PUBLIC, url)
        async with GuardedClient(Egress()) as client:
            with pytest.raises(NoReplyError) as caught:
                await client.send("GET", "http://a.example/", deadline_seconds=0.2)
        ended.set()
    assert caught.value.retryable


async def test_one_host_gets_so_many_requests_at_a_time(internet: Internet) -> None:
    running: list[str] = []
    full, go_on = asyncio.Event(), asyncio.Event()

    async def hold(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == "/held":
                running.append(scope["path"])
                if len(running) >= limits.requests_per_host_count:
                    full.set()
                await go_on.wait()
            await Answer(200).meet(hold, scope, receive, send)

    async with serving(hold) as url:
        internet.serve("a.example", PUBLIC, url)
        internet.serve("b.example", OTHER, url)
        async with asyncio.timeout(20), GuardedClient(Egress()) as client, asyncio.TaskGroup() as group:
            for _ in range(limits.requests_per_host_count + 3):
                group.create_task(client.send("GET", "http://a.example/held"))
            await full.wait()
            for _ in range(20):  # others are not held up, and meanwhile no more came
                assert (await client.send("GET", "http://b.example/")).status == 200
            assert len(running) == limits.requests_per_host_count
            go_on.set()
    assert len(running) == limits.requests_per_host_count + 3
