"""The way into the console: a reader's token for a cookie; nothing for anybody else, and no way in from other sites."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest
from starlette.routing import Route

from streams.gateway.console import sessions as remembered
from streams.gateway.console.entrance import COOKIE, FORM_BYTES
from streams.gateway.console.sessions import SESSION_SECONDS, Sessions
from streams.gateway.readers import CONSOLE_ROLES, ROLES
from streams.memory_log import MemoryLog
from tests.support.builders import digest, pushed
from tests.support.gateways import app, calling, visiting
from tests.support.html import Page
from tests.support.world import World

TOKEN = "canary-reader-4711"
PAGES = ["/", "/?actor=ann", "/policies", "/explain/first/dev/app:v1", f"/lineage/{digest('v1')}", "/find?of=x"]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR", TOKEN)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.record(pushed("first/dev/app:v1", "v1", actor="ann"))
    return world


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with visiting(world.log, TOKEN) as (client, answer):
        assert answer.status_code == 303
        yield client


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"]


# -- Who gets in


def test_every_page_that_tells_something_is_for_visitors_alone() -> None:
    told = {path for path, role in CONSOLE_ROLES.items() if role == "visitor"}
    assert told == {"/", "/explain/{reference:path}", "/lineage/{of:path}", "/policies", "/find"}
    assert set(CONSOLE_ROLES) - told == {"/login", "/logout", "/console.css"}
    assert set(CONSOLE_ROLES) < set(ROLES)


async def test_the_pages_change_nothing_whatever_is_sent_to_them(browser: httpx.AsyncClient) -> None:
    for route in app(MemoryLog()).routes:
        if isinstance(route, Route) and CONSOLE_ROLES.get(route.path) == "visitor":
            assert route.methods == {"GET", "HEAD"}
    for path in PAGES:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await browser.request(method, path, content=b"")).status_code == 405


@pytest.mark.parametrize("path", PAGES)
async def test_whoever_is_not_logged_in_gets_the_form_and_nothing_of_the_log(world: World, path: str) -> None:
    async with visiting(world.log, "wrong") as (client, _):
        for headers in ({}, {"Cookie": f"{COOKIE}=x"}, {"Cookie": f"{COOKIE}={TOKEN}"}, {"Authorization": TOKEN}):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 401
            page = Page(answer.text)
            assert page.values("form", "action") == ["/login"]
            assert "ann" not in page.text.split()


async def test_a_bearer_token_is_no_way_around_the_form(world: World) -> None:
    async with visiting(world.log, "wrong") as (client, _):
        assert (await client.get("/", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 401


async def test_the_cookie_opens_the_pages_and_not_the_api(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/api/v1/trail")).status_code == 401


async def test_wrong_tokens_get_equal_answers_and_no_cookie(world: World) -> None:
    answers = set()
    async with visiting(world.log, "wrong") as (client, _):
        for wrong in ("", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f" {TOKEN}", "\u0000", "\u00e4" * 99):
            answer = await client.post("/login", data={"token": wrong})
            assert "set-cookie" not in answer.headers
            answers.add((answer.status_code, answer.content))
        answers.add(((bare := await client.post("/login", data={"other": "x"})).status_code, bare.content))
    ((status, content),) = answers
    assert status == 401
    assert b"not one of a reader" in content


async def test_without_readers_the_console_is_off_and_says_how_to_switch_it_on() -> None:
    async with calling(app(MemoryLog())) as client:
        for path in PAGES:
            answer = await client.get(path, headers={"Cookie": f"{COOKIE}=x"})
            assert answer.status_code == 403
            told = Page(answer.text).text
            assert "to switch the console on, name readers in the settings, under gateway.readers" in told
        posted = await client.post("/login", data={"token": ""}, headers={"Origin": "http://gateway"})
        assert posted.status_code == 403
        assert "set-cookie" not in posted.headers


# -- The cookie


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_is_not_the_token(world: World) -> None:
    async with visiting(world.log, TOKEN) as (client, answer):
        morsel = SimpleCookie(cookie_of(answer))[COOKIE]
        again = await client.post("/login", data={"token": TOKEN})
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/")
    assert (morsel["max-age"], morsel["domain"], morsel["secure"]) == ("28800", "", "")
    assert TOKEN not in cookie_of(answer)
    assert len(morsel.value) >= 43
    assert SimpleCookie(cookie_of(again))[COOKIE].value != morsel.value


async def test_the_cookie_is_secure_where_the_browser_sees_https_whatever_a_proxy_says(world: World) -> None:
    async with visiting(world.log, TOKEN) as (client, _):
        behind = await client.post("/login", data={"token": TOKEN}, headers={"Origin": "https://gateway"})
        direct = await client.post("https://gateway/login", data={"token": TOKEN}, headers={"Origin": "http://gateway"})
        claimed = await client.post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert [bool(SimpleCookie(cookie_of(each))[COOKIE]["secure"]) for each in (behind, direct, claimed)] == [
        True,
        True,
        False,
    ]


async def test_logging_out_ends_the_session_and_not_only_the_cookie(browser: httpx.AsyncClient) -> None:
    kept = browser.cookies[COOKIE]
    answer = await browser.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert SimpleCookie(cookie_of(answer))[COOKIE].value == ""
    assert (await browser.get("/", headers={"Cookie": f"{COOKIE}={kept}"})).status_code == 401


async def test_logging_in_again_ends_the_session_before(browser: httpx.AsyncClient) -> None:
    before = browser.cookies[COOKIE]
    assert (await browser.post("/login", data={"token": TOKEN})).status_code == 303
    assert (await browser.get("/")).status_code == 200
    browser.cookies.clear()
    assert (await browser.get("/", headers={"Cookie": f"{COOKIE}={before}"})).status_code == 401


async def test_a_session_ends_after_eight_hours(world: World) -> None:
    now = [100.0]
    async with visiting(world.log, TOKEN, monotonic=lambda: now[0]) as (client, _):
        kept = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        now[0] += 8 * 3600 - 1
        assert (await client.get("/", headers=kept)).status_code == 200
        now[0] += 1
        assert (await client.get("/", headers=kept)).status_code == 401


def test_sessions_that_are_over_make_room_and_too_many_end_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SESSION_COUNT", 3)
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    ids = [sessions.begin(f"reader-{number}") for number in range(4)]
    assert [sessions.reader_of(one) for one in ids] == [None, "reader-1", "reader-2", "reader-3"]
    now[0] += SESSION_SECONDS
    late = sessions.begin("late")
    now[0] -= SESSION_SECONDS
    assert [sessions.reader_of(one) for one in (*ids, late)] == [None, None, None, None, "late"]


# -- From other sites


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://gateway.evil.example"},
        {"Origin": "http://gateway:81"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "gateway"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_a_form_of_another_site_neither_logs_in_nor_out(
    browser: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    answer = await browser.post(path, data={"token": TOKEN}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert (await browser.get("/")).status_code == 200


async def test_a_form_without_any_word_of_where_it_is_from_is_refused(browser: httpx.AsyncClient) -> None:
    browser.headers.pop("Origin")
    assert (await browser.post("/logout")).status_code == 403


async def test_a_browser_that_says_that_the_form_is_ours_is_believed_behind_a_proxy_with_another_name(
    browser: httpx.AsyncClient,
) -> None:
    headers = {"Origin": "https://towline.example", "Sec-Fetch-Site": "same-origin"}
    assert (await browser.post("/login", data={"token": TOKEN}, headers=headers)).status_code == 303


@pytest.mark.parametrize(
    "page",
    ["/", "/?actor=ann&from=2026-11-24T08%3A00Z", "/policies", "/explain/first/dev/app:v1", f"/lineage/{digest('v1')}"],
)
async def test_logging_in_leads_back_to_the_page_that_was_wanted(world: World, page: str) -> None:
    async with visiting(world.log, "wrong") as (client, _):
        form = Page((await client.get(page)).text)
        (back,) = (found["value"] for name, found in form.elements if name == "input" and found["name"] == "next")
        assert form.values("a", "href")[-1] == back
        answer = await client.post("/login", data={"token": TOKEN, "next": back})
        assert answer.headers["location"] == back
        assert (await client.get(back)).status_code == 200
    assert httpx.URL(back) == httpx.URL(page)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "///evil.example",
        "javascript:alert(1)",
        "/policies\r\nSet-Cookie: x=y",
        "/policies\n",
        " /policies",
        "/%0d%0a/x",
        "/?a\n//evil.example",
        "/explain/\u202egpj.exe",
        "/login",
        "/logout",
        "/hooks/local",
        "/explain/" + "a" * 5000,
        "",
    ],
)
async def test_logging_in_leads_nowhere_else(world: World, elsewhere: str) -> None:
    async with visiting(world.log, TOKEN) as (client, _):
        answer = await client.post("/login", data={"token": TOKEN, "next": elsewhere})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_opening_the_address_of_the_form_leads_to_the_form(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/login")).headers["location"] == "/"


# -- What is sent


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"token=" + TOKEN.encode(), "text/plain", 415),
        (b'{"token": "' + TOKEN.encode() + b'"}', "application/json", 415),
        (b"token=" + b"a" * FORM_BYTES, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=b" for _ in range(9)), "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe=%ff%00&token=%ff", "application/x-www-form-urlencoded", 401),
    ],
)
async def test_a_form_that_cannot_be_used_is_refused_as_a_page(
    browser: httpx.AsyncClient, content: bytes, content_type: str, status: int
) -> None:
    answer = await browser.post("/login", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert Page(answer.text).values("html", "lang") == ["en"]


async def test_the_token_is_in_no_page_no_address_and_no_log(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with visiting(world.log, TOKEN) as (client, login):
        answers = [login, *[await client.get(path) for path in PAGES], await client.get("/metrics")]
        answers += [await client.post("/login", data={"token": wrong}) for wrong in (TOKEN + "x", TOKEN[:-1])]
    for answer in answers:
        assert TOKEN not in answer.text + str(answer.headers)
    written = capsys.readouterr()
    assert TOKEN not in written.out + written.err + caplog.text
