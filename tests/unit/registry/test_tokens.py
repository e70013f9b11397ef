"""Tokens: who may ask for them and how, for how long they are used, and what a bad answer becomes.

OCI.md "A correct copier" 8 and 13, fault catalogue R16, security catalogue S05, S08, S09, S13.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.descriptors import Descriptor
from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.faults import Answer, Break, Faults
from tests.support.tokens import TokenService
from tests.unit.registry.test_access import CANARY, Guarded, client_of, guarded
from towline import limits
from towline.net.egress.guard import Egress
from towline.net.http import open_http, open_transport
from towline.registry import Registries, RegistryClient, push_image
from towline.registry.auth import Authority
from towline.registry.blobs import digest_of
from towline.registry.challenges import Challenge
from towline.registry.credentials import Login
from towline.registry.errors import RegistryError, UnauthorisedError
from towline.settings import RegistrySettings

LAYER = bytes(range(256)) * 400
BLOB = Descriptor(media_type="a/b", digest=digest_of(LAYER), size=len(LAYER))
SCOPES = frozenset({"repository:team/app:pull"})


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(CANARY)
    return path


async def push(client: RegistryClient) -> Descriptor:
    return await push_image(client, "team/app", "1.0", [LAYER])


async def read(client: RegistryClient) -> bytes:
    async with client.open_blob("team/app", BLOB) as chunks:
        return b"".join([chunk async for chunk in chunks])


# -- OAuth2: an identity token instead of a password -------------------------------------------------------------------


@dataclass
class OAuth:
    """A token service that takes refresh tokens, as Azure's does; ``forms`` has what it was asked."""

    tokens: TokenService
    secret: str
    forms: list[Mapping[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] in {"http", "lifespan"}
        if scope["type"] == "lifespan":
            return
        request = Request(scope, receive)
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append(form)
        self.headers.append(request.headers)
        response: Response = HTMLResponse("<html>no</html>", status_code=401)
        if request.method == "POST" and form.get("refresh_token") == self.secret:
            self.tokens.given.append(f"access-{len(self.forms)}")
            answer = {"access_token": self.tokens.given[-1], "refresh_token": "another", "expires_in": 300}
            response = JSONResponse(answer)
        await response(scope, receive, send)


def asking(realm: str) -> httpx.AsyncClient:
    return open_http(open_transport(Egress().with_server(realm)))


@asynccontextmanager
async def azure(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[OAuth, Registries]]:
    """Yield a registry whose docker login is an identity token, and its token service."""
    tokens = TokenService()
    service = OAuth(tokens, CANARY)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with serving(service) as realm:
        guard = Guarded(LocalRegistry(), lambda: f"{realm}/oauth2/token", tokens)
        async with serving(guard) as url:
            auth = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
            login = {"auth": auth, "identitytoken": token}
            (tmp_path / "config.json").write_text(json.dumps({"auths": {url.removeprefix("http://"): login}}))
            settings = {"one": RegistrySettings(url=url, credentials="docker")}
            async with Registries(settings, egress=guard.egress) as registries:
                yield service, registries


async def test_an_identity_token_is_changed_into_tokens_by_oauth2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with azure(tmp_path, CANARY, monkeypatch) as (service, registries):
        await push(registries("one"))
        assert await read(registries("one")) == LAYER
        await registries("one").mount_blob("team/other", BLOB.digest, "team/app")
    assert service.forms[0] == {
        "grant_type": "refresh_token",
        "client_id": "towline",
        "service": "registry, of tests",
        "scope": "repository:team/app:pull,push",
        "refresh_token": CANARY,
    }
    scopes = [form["scope"] for form in service.forms[1:]]
    assert scopes == ["repository:team/app:pull", "repository:team/app:pull repository:team/other:pull,push"]
    assert all("authorization" not in headers for headers in service.headers)
    assert all(headers["content-type"] == "application/x-www-form-urlencoded" for headers in service.headers)


async def test_an_identity_token_that_is_not_accepted_ends_at_once_and_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with azure(tmp_path, "canary-stale", monkeypatch) as (service, registries):
        with pytest.raises(UnauthorisedError) as caught:
            await push(registries("one"))
    assert len(service.forms) == 1
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(Login("", "canary", is_identity_token=True))


async def test_an_identity_token_is_no_password_of_a_registry_that_wants_one() -> None:
    async def login() -> Login:
        return Login("00000000-0000-0000-0000-000000000000", CANARY, is_identity_token=True)

    async with asking("http://127.0.0.1:1") as http:
        authority = Authority(http, httpx.URL("https://registry.example"), login)
        with pytest.raises(UnauthorisedError):
            await authority.answer([Challenge("basic", {"realm": "a"})], SCOPES, refused=None)


async def test_an_identity_token_does_not_go_to_another_site() -> None:
    service = OAuth(TokenService(), CANARY)

    async def login() -> Login:
        return Login("", CANARY, is_identity_token=True)

    async with serving(service) as realm, asking(realm) as http:
        authority = Authority(http, httpx.URL("http://localhost:5000"), login)
        with pytest.raises(UnauthorisedError):
            await authority.answer([Challenge("bearer", {"realm": f"{realm}/token"})], SCOPES, refused=None)
    assert service.forms == [{}]


# -- What is asked, and how often --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("life", "later", "asked"),
    [
        (300, 289.0, 1),
        (300, 291.0, 2),
        (None, 49.0, 1),
        (None, 51.0, 2),
        (0, 51.0, 2),
        (-5, 51.0, 2),
        ("soon", 51.0, 2),
        (4, 1.9, 1),
        (4, 2.1, 2),
    ],
)
async def test_a_token_is_renewed_before_its_end_by_our_own_clock(
    monkeypatch: pytest.MonkeyPatch, life: object, later: float, asked: int
) -> None:
    # A clock of the token service that is wrong by years changes nothing.
    tokens = TokenService(answer={"expires_in": life, "issued_at": "1999-01-01T00:00:00Z"})
    now = 1000.0
    monkeypatch.setattr("towline.registry.tokens.time.monotonic", lambda: now)

    async def anonymous() -> None:
        return None

    async with serving(tokens) as realm, asking(realm) as http:
        authority = Authority(http, httpx.URL("http://127.0.0.1:5000"), anonymous)
        await authority.answer([Challenge("bearer", {"realm": f"{realm}/token"})], SCOPES, refused=None)
        now += later
        await authority.header(SCOPES)
    assert len(tokens.asked) == asked


async def test_a_token_belongs_to_its_realm_service_scopes_and_login() -> None:
    tokens = TokenService()
    who: Login | None = None

    async def login() -> Login | None:
        return who

    def challenge(service: str, path: str = "token") -> list[Challenge]:
        return [Challenge("bearer", {"realm": f"{realm}/{path}", "service": service})]

    async with serving(tokens) as realm, asking(realm) as http:
        authority = Authority(http, httpx.URL("http://127.0.0.1:5000"), login)
        first = await authority.answer(challenge("a"), SCOPES, refused=None)
        others = [
            await authority.answer(challenge("b"), SCOPES, refused=None),
            await authority.answer(challenge("a", "other"), SCOPES, refused=None),
            await authority.answer(challenge("a"), frozenset({"repository:team/app:pull,push"}), refused=None),
        ]
        for another in (Login("mover", "one"), Login("mover", "two"), Login("other", "two")):
            who = another
            others.append(await authority.answer(challenge("a"), SCOPES, refused=None))
        who = None
        again = await authority.answer(challenge("a"), SCOPES, refused=None)
    assert len({first, *others}) == 1 + len(others)
    assert again == first


async def test_without_credentials_a_token_is_asked_for_anonymously() -> None:
    tokens = TokenService()
    async with guarded(tokens) as (url, app, _), client_of(url, None, app.egress) as client:
        await push(client)
    assert tokens.authorizations == [None]


async def test_a_token_that_grants_less_than_was_asked_is_renewed_once_and_then_the_request_fails(
    password_file: Path,
) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, faults), client_of(url, password_file, app.egress) as client:
        image = await push(client)
        asked, seen = len(tokens.asked), len(faults.requests)
        app.refuse_all = True
        with pytest.raises(UnauthorisedError) as caught:
            await client.resolve("team/app", "1.0", push=True)
        app.refuse_all = False
        assert await client.resolve("team/app", "1.0", push=True) == image.digest
    assert caught.value.retryable is False
    assert len(tokens.asked) == asked + 1
    assert len(faults.requests) == seen + 1


@dataclass
class Ending:
    """Something happens, and then the connection breaks amid the answer."""

    act: Callable[[], None]

    async def meet(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.act()
        await Break(after_bytes=1000).meet(app, scope, receive, send)


async def test_a_token_that_ends_amid_a_blob_is_renewed_for_the_rest(password_file: Path) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, faults), client_of(url, password_file, app.egress) as client:
        await push(client)
        await read(client)
        faults.on("GET", BLOB.digest, Ending(lambda: app.revoked.update(tokens.given)))
        assert await read(client) == LAYER
    assert [it.headers.get("range") for it in faults.matching("GET", BLOB.digest)] == [None, None, "bytes=1000-"]
    assert len(tokens.asked) == 3


async def test_a_token_that_ends_before_an_upload_is_renewed_and_the_whole_blob_sent_again(
    password_file: Path,
) -> None:
    tokens = TokenService({"mover": CANARY})
    async with guarded(tokens) as (url, app, faults), client_of(url, password_file, app.egress) as client:
        upload = await client.start_upload("team/app")
        app.revoked.update(tokens.given)
        opened = []

        async def chunks() -> AsyncIterator[bytes]:
            opened.append(True)
            yield LAYER

        await client.put_blob(upload, BLOB, chunks)
        assert await client.has_blob("team/app", BLOB.digest)
    assert len(opened) == 2
    assert faults.count("PATCH", ".") == 0


# -- Bad answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "cause", "retryable"),
    [
        (Answer(200, body=b"<html>log in here</html>"), "protocol", False),
        (Answer(200, body=b"[]"), "protocol", False),
        (Answer(200, body=b"{}"), "protocol", False),
        (Answer(200, body=b'{"token": 7}'), "protocol", False),
        (Answer(200, body=b'{"token": "a\\r\\nx: y"}'), "protocol", False),
        (Answer(200, body=b'{"token": "\\u00e9"}'), "protocol", False),
        (Answer(200, body=b" " * (limits.token_bytes + 1)), "too-large", False),
        (Answer(302, {"location": "/elsewhere"}), "refused", False),
        (Answer(403, body=b"<html>"), "denied", False),
        (Answer(429, {"retry-after": "3"}), "rate-limited", True),
        (Answer(503), "server-error", True),
    ],
)
async def test_a_token_answer_that_is_none_is_a_clear_error(
    password_file: Path, answer: Answer, cause: str, retryable: bool
) -> None:
    service = Faults(TokenService())
    service.on("GET", "/token", answer, times=1000)
    async with serving(service) as realm:
        guard = Guarded(LocalRegistry(), lambda: f"{realm}/token", TokenService())
        async with serving(guard) as url, client_of(url, password_file, guard.egress) as client:
            with pytest.raises(RegistryError) as caught:
                await client.resolve("team/app", "1.0")
    assert (caught.value.cause, caught.value.retryable) == (cause, retryable)
    assert service.count("GET", ".") == 1


async def test_a_token_service_that_cannot_be_reached_is_a_failure_that_may_pass(password_file: Path) -> None:
    service = Faults(TokenService())
    service.on("GET", "/token", Break(), times=1000)
    async with serving(service) as realm:
        guard = Guarded(LocalRegistry(), lambda: f"{realm}/token", TokenService())
        async with serving(guard) as url, client_of(url, password_file, guard.egress) as client:
            with pytest.raises(RegistryError) as caught:
                await client.resolve("team/app", "1.0")
    assert (caught.value.cause, caught.value.retryable) == ("unreachable", True)
