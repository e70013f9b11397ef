"""Who gets which credentials (security catalogue: S04, S05, S08; faults R13, R16)."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.descriptors import Descriptor
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.egress import allowing
from tests.support.faults import Alter, Answer, Answered, Faults
from tests.support.tokens import TokenService
from towline.registry import Registries, RegistryClient, push_image
from towline.registry.blobs import digest_of
from towline.registry.challenges import parse_challenges
from towline.registry.errors import RedirectRefusedError, RegistryError, UnauthorisedError
from towline.registry.tokens import is_same_site
from towline.settings import EgressSettings, RegistrySettings

CANARY = "canary-4711"


class Guarded:
    """A registry that asks for a bearer token of a token service, and remembers which it was shown."""

    def __init__(self, app: ASGIApp, realm: Callable[[], str], tokens: TokenService) -> None:
        self._app = app
        self._realm = realm
        self._tokens = tokens
        self.revoked: set[str] = set()
        self.refuse_all = False

    @property
    def egress(self) -> EgressSettings:
        """What lets a client ask the token service, which is at a port of its own."""
        return allowing(self._realm())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
            if self.refuse_all or token not in self._tokens.given or token in self.revoked:
                challenge = f'Basic realm="a, b", Bearer realm="{self._realm()}",service="registry, of tests",scope="x"'
                await Answer(401, {"www-authenticate": challenge}).meet(self._app, scope, receive, send)
                return
        await self._app(scope, receive, send)


@asynccontextmanager
async def client_of(
    url: str, password_file: Path | None = None, egress: EgressSettings | None = None
) -> AsyncIterator[RegistryClient]:
    credentials = {"username": "mover", "password": f"file:{password_file}"} if password_file else {}
    settings = {"one": RegistrySettings.model_validate({"url": url, **credentials})}
    async with Registries(settings, egress=egress or EgressSettings()) as registries:
        yield registries("one")


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(CANARY)
    return path


async def push(client: RegistryClient) -> Descriptor:
    return await push_image(client, "team/app", "1.0", [b"layer"])


@asynccontextmanager
async def guarded(tokens: TokenService) -> AsyncIterator[tuple[str, Guarded, Faults]]:
    faults = Faults(LocalRegistry())
    async with serving(tokens) as realm:
        app = Guarded(faults, lambda: f"{realm}/token?account=a", tokens)
        async with serving(app) as url:
            yield url, app, faults


async def test_one_token_serves_a_repository_and_is_asked_with_the_narrowest_scope(password_file: Path) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, _), client_of(url, password_file, app.egress) as client:
        image = await push(client)
        await client.get_manifest("team/app", image.digest)
        assert tokens.asked == [["repository:team/app:pull,push"], ["repository:team/app:pull"]]
        await client.mount_blob("team/other", digest_of(b"layer"), "team/app")
    assert tokens.asked[2:] == [["repository:team/app:pull", "repository:team/other:pull,push"]]


async def test_a_token_of_one_client_is_not_used_by_another(password_file: Path) -> None:
    tokens = TokenService()
    async with (
        guarded(tokens) as (url, app, _),
        client_of(url, password_file, app.egress) as named,
        client_of(url, None, app.egress) as anonymous,
    ):
        image = await push(named)
        await anonymous.get_manifest("team/app", image.digest)
    assert tokens.authorizations[-1] is None
    assert len(set(tokens.given)) == len(tokens.given)


async def test_a_token_under_its_other_name_is_taken(password_file: Path) -> None:
    class OtherName(TokenService):
        def _token(self, user: str, service: str, scopes: list[str]) -> str:
            token = super()._token(user, service, scopes)
            self.answer = {"token": None, "access_token": token}
            return token

    async with (
        guarded(OtherName({"mover": CANARY})) as (url, app, _),
        client_of(url, password_file, app.egress) as client,
    ):
        await push(client)


@pytest.mark.parametrize("life", [0, -1, None, "soon", 10**12])
async def test_a_strange_life_of_a_token_does_not_make_a_loop(password_file: Path, life: object) -> None:
    tokens = TokenService({"mover": CANARY}, answer={"expires_in": life})
    async with guarded(tokens) as (url, app, _), client_of(url, password_file, app.egress) as client:
        await push(client)
    assert len(tokens.asked) == 1


async def test_a_token_refused_before_its_time_is_renewed_once(password_file: Path) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, _), client_of(url, password_file, app.egress) as client:
        image = await push(client)
        app.revoked.update(tokens.given)
        assert await client.resolve("team/app", "1.0", push=True) == image.digest
    assert len(tokens.asked) == 2


async def test_a_registry_that_refuses_every_token_is_asked_twice_and_no_more(password_file: Path) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, _), client_of(url, password_file, app.egress) as client:
        app.refuse_all = True
        with pytest.raises(UnauthorisedError) as caught:
            await client.resolve("team/app", "1.0")
    assert caught.value.retryable is False
    assert len(tokens.asked) == 1


async def test_a_token_service_on_another_site_is_asked_without_credentials(password_file: Path) -> None:
    tokens = TokenService()
    faults = Faults(LocalRegistry())
    async with serving(tokens) as realm:
        elsewhere = realm.replace("127.0.0.1", "localhost")
        app = Guarded(faults, lambda: f"{elsewhere}/token", tokens)
        async with serving(app) as url, client_of(url, password_file, app.egress) as client:
            await push(client)
    assert tokens.authorizations == [None]


@pytest.mark.parametrize("realm", ["", "ftp://127.0.0.1/", "//nowhere", "http://user:secret@127.0.0.1/token"])
async def test_a_challenge_without_a_usable_realm_is_an_error(password_file: Path, realm: str) -> None:
    app = Guarded(LocalRegistry(), lambda: realm, TokenService())
    async with serving(app) as url, client_of(url, password_file) as client:
        with pytest.raises(RegistryError) as caught:
            await client.resolve("team/app", "1.0")
    assert caught.value.cause == "protocol"
    assert "secret" not in str(caught.value)


async def test_basic_credentials_are_sent_after_a_challenge_and_wrong_ones_fail_at_once(password_file: Path) -> None:
    faults = Faults(LocalRegistry())
    faults.on("HEAD", "manifests", Answer(401, {"www-authenticate": 'Basic realm="a"'}), times=1000)
    async with serving(faults) as url, client_of(url, password_file) as client:
        with pytest.raises(UnauthorisedError) as caught:
            await client.resolve("team/app", "1.0")
    sent = [request.headers.get("authorization", "")[:6] for request in faults.requests]
    assert sent == ["", "Basic "]
    assert CANARY not in str(caught.value)


@asynccontextmanager
async def two_hosts(password_file: Path) -> AsyncIterator[tuple[Faults, Faults, str, RegistryClient, Descriptor]]:
    """A registry that wants basic credentials, and a second host that records what it is sent."""
    own, other = Faults(LocalRegistry()), Faults(LocalRegistry())
    async with (
        serving(own) as url,
        serving(other) as other_url,
        client_of(url, password_file, allowing(other_url)) as client,
    ):
        own.on("HEAD", "blobs", Answer(401, {"www-authenticate": 'Basic realm="a"'}))
        image = await push(client)
        yield own, other, other_url, client, image


LAYER = Descriptor(media_type="a/b", digest=digest_of(b"layer"), size=5)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_credentials_do_not_follow_a_redirect_to_another_host(password_file: Path, status: int) -> None:
    async with two_hosts(password_file) as (own, other, other_url, client, _):
        own.on("GET", "blobs", Answer(status, {"location": f"{other_url}/store?sig={CANARY}"}))
        other.on("GET", "/store", Answer(200, {"set-cookie": "a=b"}, b"layer"))
        async with client.open_blob("team/app", LAYER) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"layer"
        await client.has_blob("team/app", LAYER.digest)
    assert [request.path for request in other.requests] == ["/store"]
    assert "authorization" not in other.requests[0].headers
    assert "authorization" in own.requests[-1].headers
    assert "cookie" not in own.requests[-1].headers


async def test_another_host_that_asks_for_credentials_gets_none(password_file: Path) -> None:
    async with two_hosts(password_file) as (own, other, other_url, client, _):
        own.on("GET", "blobs", Answer(307, {"location": f"{other_url}/store?sig={CANARY}"}))
        other.on("GET", "/store", Answer(401, {"www-authenticate": 'Basic realm="give"'}), times=1000)
        with pytest.raises(UnauthorisedError) as caught:
            async with client.open_blob("team/app", LAYER):
                pass
    assert all("authorization" not in request.headers for request in other.requests)
    assert CANARY not in str(caught.value)


async def test_credentials_do_not_follow_an_upload_location_to_another_host(password_file: Path) -> None:
    async with two_hosts(password_file) as (own, other, other_url, client, _):

        def elsewhere(answered: Answered) -> Answered:
            return replace(answered, headers={**answered.headers, "location": f"{other_url}/put?state=1"})

        own.on("POST", "uploads", Alter(elsewhere))
        other.on("PUT", "/put", Answer(201))
        upload = await client.start_upload("team/app")

        async def chunks() -> AsyncIterator[bytes]:
            yield b"layer"

        await client.put_blob(upload, LAYER, chunks)
    assert [request.query for request in other.requests] == [f"state=1&digest={LAYER.digest.replace(':', '%3A')}"]
    assert "authorization" not in other.requests[0].headers


async def test_redirects_end_after_five(password_file: Path) -> None:
    async with two_hosts(password_file) as (own, _, _, client, _):
        own.on("GET", "blobs", Answer(307, {"location": f"/v2/team/app/blobs/{LAYER.digest}"}), times=1000)
        with pytest.raises(RedirectRefusedError):
            async with client.open_blob("team/app", LAYER):
                pass
    assert own.count("GET", "blobs") == 6


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/a"])
async def test_a_location_that_is_no_http_address_is_an_error(password_file: Path, location: str) -> None:
    async with two_hosts(password_file) as (own, _, _, client, _):
        own.on("GET", "blobs", Answer(307, {"location": location}))
        with pytest.raises(RegistryError) as caught:
            async with client.open_blob("team/app", LAYER):
                pass
    assert caught.value.cause == "protocol"


async def test_the_next_page_of_tags_is_never_read_from_another_host(password_file: Path) -> None:
    async with two_hosts(password_file) as (own, other, other_url, client, _):
        own.on("GET", "tags/list", Answer(200, {"link": f'<{other_url}/v2/>; rel="next"'}, b'{"tags":["1.0"]}'))
        with pytest.raises(RedirectRefusedError):
            assert [tag async for tag in client.list_tags("team/app")] == []
    assert other.requests == []


async def test_a_loop_of_tag_pages_ends(password_file: Path) -> None:
    async with two_hosts(password_file) as (own, _, _, client, _):
        again = Answer(200, {"link": '</v2/team/app/tags/list>; rel="next"'}, json.dumps({"tags": ["1.0"]}).encode())
        own.on("GET", "tags/list", again, times=1000)
        with pytest.raises(RegistryError) as caught:
            assert [tag async for tag in client.list_tags("team/app")] == []
    assert caught.value.cause == "protocol"
    assert own.count("GET", "tags/list") == 1


@pytest.mark.parametrize(
    ("registry", "realm", "same"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://ghcr.io", "https://ghcr.io:8443/token", True),
        ("https://ghcr.io", "http://ghcr.io/token", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.2/token", False),
        ("https://registry.example.com", "https://example.com.evil.net/token", False),
        ("https://registry.example.com", "https://evilexample.com/token", False),
        ("https://ghcr.io", "https://evil.io/token", False),
        ("https://example.co.uk", "https://evil.co.uk/token", False),
        ("https://registry", "https://other/token", False),
    ],
)
def test_same_site_is_decided_by_the_documented_rule(registry: str, realm: str, same: bool) -> None:
    assert is_same_site(httpx.URL(registry), httpx.URL(realm)) is same


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Bearer realm="https://a/t",service="s, t",scope="r:a:pull,push"'],
         [("bearer", {"realm": "https://a/t", "service": "s, t", "scope": "r:a:pull,push"})]),
        (['Basic realm="x", Bearer realm=y , service = z'],
         [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})]),
        (["Negotiate", 'BASIC Realm="a \\"quoted\\" b"'], [("negotiate", {}), ("basic", {"realm": 'a "quoted" b'})]),
        (['Negotiate, Basic realm="x"'], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (['Bearer realm="open'], [("bearer", {})]),
        ([", ,", "", '="x"'], []),
    ],
)  # fmt: skip
def test_challenges_are_read_with_quoted_commas_and_several_at_once(
    values: list[str], expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert [(found.scheme, found.parameters) for found in parse_challenges(values)] == expected
