"""The pages of the console: they show what the API answers, and no name in them is more than text (S20)."""

from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from streams.gateway.console.console import FIELDS
from streams.gateway.console.pages import HEADERS
from streams.gateway.following import Follower
from streams.memory_log import MemoryLog
from streams.projection.asking import FILTERS
from streams.projection.projection import Projection
from tests.support.builders import at, completed, deleted, digest, failed, policy, published, pushed, rule, rule_on
from tests.support.gateways import NOW, app, calling, visiting
from tests.support.html import Page
from tests.support.world import World

TOKEN = "canary-reader-4711"
QA = "first/qa/app:v1"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    "</td></table><script src=//evil.example></script>",
    "\"'><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;&amp;",
    "\u202egpj.exe\u202c\u2066\u061c",
    "a\u0000\u001b[31m\u009b",
    "<!--",
    "]]><svg/onload=alert(1)>",
    "<style>@import '//evil.example'</style>",
]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR", TOKEN)


async def history() -> World:
    world = World()
    await world.record(
        published(
            policy("to-qa", "first/dev/app", "first/qa/app", rule("starts-with", "v"), overwrite="backup"),
            policy("to-prod", "first/qa/app", "first/prod/app", rule_on("approved", ">=", "1")),
            policy("scanned", "first/dev/*", "first/safe/{1}", rule_on("vulnerability_critical", "<=", "0")),
            policy(
                "tried",
                "first/dev/app",
                "first/tried/app",
                rule_on("window", "inside", "Mon-Fri 09:00-17:00", timezone="Europe/Berlin"),
                rule_on("label", "equals", "blue", name="team"),
                mode="shadow",
                platforms=("linux/amd64", "linux/arm64"),
                referrers=False,
                poll="30m",
            ),
        )
    )
    for number in range(3):
        await world.record(pushed(f"first/dev/app:v{number}", f"v{number}", time=at(number), actor="ann"))
    await world.end("first/qa/app:v0", completed)
    await world.end(QA, completed)
    await world.end("first/qa/app:v2", failed)
    await world.record(deleted("first/dev/app:v0", time=at(9)))
    return world


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with visiting((await history()).log, TOKEN) as (client, _):
        yield client


async def both(client: httpx.AsyncClient, path: str, api: str) -> tuple[Page, Any]:
    shown, told = await client.get(path), await client.get(api, headers=BEARER)
    assert (shown.status_code, told.status_code) == (200, 200)
    return Page(shown.text), told.json()


def leaves(value: Any) -> Iterator[str]:
    """All texts of an answer, but for the ids by which programs find other records."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in {"id", "event_id", "decision_id", "command_id", "caused_by", "events", "cursor"}:
                yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


def assert_shows(page: Page, answer: Any) -> None:
    found = list(leaves(answer))
    assert len(found) > 5
    missing = [text for text in found if " ".join(text.split()) not in page.text]
    assert missing == []


# -- What they show


async def test_the_first_page_shows_what_the_api_tells_of_the_trail(browser: httpx.AsyncClient) -> None:
    page, told = await both(browser, "/", "/api/v1/trail")
    assert_shows(page, told["trail"])
    named = {f"/lineage/{digest('v1')}", "/explain/first/dev/app:v1", f"/explain/{QA}"}
    assert named <= set(page.values("a", "href"))
    order = [page.text.index(f"id {entry['id']}") for entry in told["trail"]]
    assert order == sorted(order)
    for topic, offsets in told["as_of"].items():
        assert f"{topic} {', '.join(map(str, offsets))}" in page.text


@pytest.mark.parametrize(
    "reference", [QA, "first/dev/app:v2", "first/dev/app:v0", "first/prod/app:v1", "first/no/tag:1"]
)
async def test_explain_shows_what_the_api_tells(browser: httpx.AsyncClient, reference: str) -> None:
    page, told = await both(browser, f"/explain/{reference}", f"/api/v1/explain/{reference}")
    explanation = told["explanation"] | {"origin": told["explanation"]["origin"] or {}}
    # An origin that knows nothing is told in a sentence.
    explanation["origin"].pop("kept_from", None)
    assert all(text in page.text for text in leaves(explanation))
    assert explanation["is_known"] is not ("The log knows nothing of this tag" in page.text)


async def test_explain_shows_each_rule_with_its_result(browser: httpx.AsyncClient) -> None:
    page, told = await both(browser, f"/explain/{QA}", f"/api/v1/explain/{QA}")
    assert_shows(page, told["explanation"])
    (found,) = told["explanation"]["policies"]
    assert (found["policy"], found["verdict"]) == ("to-prod", "hold")
    assert "approved >= 1 waits" in page.text
    assert "What would have to arrive:" in page.text


@pytest.mark.parametrize("of", [digest("v0"), digest("v1"), digest("v2"), QA, "first/qa/app:v2"])
async def test_lineage_shows_what_the_api_tells(browser: httpx.AsyncClient, of: str) -> None:
    page, told = await both(browser, f"/lineage/{of}", f"/api/v1/lineage/{of}")
    for text in leaves([told["lineage"], told["origin"]]):
        assert text in page.text
    current = [place for place in (told["lineage"] or {}).get("places", []) if place["is_current"]]
    assert ("has it now" in page.text) or not current


async def test_policies_shows_what_the_api_tells(browser: httpx.AsyncClient) -> None:
    page, told = await both(browser, "/policies", "/api/v1/policies")
    for text in (told["in_force"]["published_at"], told["in_force"]["published_by"]):
        assert text in page.text
    for each in told["in_force"]["policies"]:
        for text in (each["name"], each["source"], each["target"], each["tag"], each["mode"]):
            assert text in page.text
        for one in each["rules"]:
            assert f"{one['operator']} {', '.join(one['values'])}" in page.text
    assert "window inside Mon-Fri 09:00-17:00 (timezone: Europe/Berlin)" in page.text
    assert "label team equals blue" in page.text
    assert "shadow platforms: linux/amd64, linux/arm64; referrers: no; poll: 30m" in page.text
    assert "overwrite: backup" in page.text
    assert page.text.count("overwrite") == 1


async def test_an_empty_log_is_told_on_every_page() -> None:
    async with visiting(World().log, TOKEN) as (client, _):
        told = {
            path: Page((await client.get(path)).text).text
            for path in ("/", "/policies", f"/explain/{QA}", f"/lineage/{QA}", f"/lineage/{digest('x')}")
        }
    assert "Nothing of this kind is in the log." in told["/"]
    assert "No policy was ever published." in told["/policies"]
    assert "The log knows nothing of this tag." in told[f"/explain/{QA}"]
    assert "The log does not know that this tag has anything." in told[f"/lineage/{QA}"]
    assert "The log does not know this digest." in told[f"/lineage/{digest('x')}"]


# -- Going on from one page to another


def test_the_form_has_every_filter_of_the_api() -> None:
    assert [field.name for field in FIELDS] == [*FILTERS, "order"]


async def test_filters_find_what_they_find_by_the_api_and_stay_in_the_form(browser: httpx.AsyncClient) -> None:
    query = "actor=ann&digest=" + quote(digest("v1"))
    # As a browser sends the form, with the fields that were left empty.
    empty = "".join(f"&{field.name}=" for field in FIELDS if field.name not in {"actor", "digest"})
    page, told = await both(browser, f"/?{query}{empty}", f"/api/v1/trail?{query}")
    assert [f"id {entry['id']}" in page.text for entry in told["trail"]] == [True]
    assert page.text.count("image.pushed") == 1
    assert {"ann", digest("v1")} <= set(page.values("input", "value"))
    chosen, told = await both(browser, "/?verdict=promote", "/api/v1/trail?verdict=promote")
    assert [values for name, values in chosen.elements if name == "option" and "selected" in values] == [
        {"value": "promote", "selected": ""}
    ]
    assert_shows(chosen, told["trail"])


async def test_what_a_filter_cannot_be_is_told_beside_the_form(browser: httpx.AsyncClient) -> None:
    for query, reason in (
        ("from=yesterday", "from: 'yesterday' is no moment"),
        ("actor=a&actor=b", "actor: given twice"),
        ("colour=red", "'colour': there is no such parameter"),
        ("cursor=x", "the cursor is none that was given"),
    ):
        answer = await browser.get(f"/?{query}")
        assert answer.status_code == 400
        page = Page(answer.text)
        assert reason in page.text
        assert "/" in page.values("form", "action")
    assert "yesterday" in Page((await browser.get("/?from=yesterday")).text).values("input", "value")


async def test_the_links_of_the_pages_lead_through_all_records_once(browser: httpx.AsyncClient) -> None:
    whole = (await browser.get("/api/v1/trail?limit=500&order=oldest", headers=BEARER)).json()["trail"]
    found, path, count = list[str](), "/?limit=4&order=oldest", 0
    while path:
        page, count = Page((await browser.get(path)).text), count + 1
        found += [entry["id"] for entry in whole if f"id {entry['id']}" in page.text]
        links = {href for href in page.values("a", "href") if "cursor=" in href}
        assert len(links) <= 1
        assert ("Back to the first page" in page.text) is (count > 1)
        path = links.pop() if links else ""
    assert found == [entry["id"] for entry in whole]
    assert count > 3


@pytest.mark.parametrize(
    ("of", "location"),
    [
        (QA, f"/explain/{QA}"),
        (f"  {digest('v1')} ", f"/lineage/{digest('v1')}"),
    ],
)
async def test_find_leads_to_a_tag_or_a_digest(browser: httpx.AsyncClient, of: str, location: str) -> None:
    answer = await browser.get("/find", params={"of": of})
    assert (answer.status_code, answer.headers["location"]) == (303, location)
    assert (await browser.get(location)).status_code == 200


@pytest.mark.parametrize("of", ["", "x", "//evil.example", "https://evil.example/a:b", "sha256:../..", *HOSTILE])
async def test_find_leads_nowhere_else(browser: httpx.AsyncClient, of: str) -> None:
    answer = await browser.get("/find", params={"of": of})
    assert answer.status_code == 400 or answer.headers["location"].startswith("/explain/")
    assert answer.headers.get("location", "/explain/x")[:9] == "/explain/"


async def test_every_link_of_every_page_leads_to_a_page(browser: httpx.AsyncClient) -> None:
    todo, seen = ["/"], set[str]()
    while todo:
        path = todo.pop()
        seen.add(path)
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        found = set(Page(answer.text).values("a", "href")) - {"#content"}
        assert all(href.startswith("/") and not href.startswith("//") for href in found)
        todo += found - seen - set(todo)
    assert {"/policies", f"/explain/{QA}", f"/lineage/{digest('v1')}", "/?policy=to-qa"} <= seen


# -- Names that want to be more than text


def assert_harmless(answer: httpx.Response) -> Page:
    page = Page(answer.text)
    assert {name for name, _ in page.elements}.isdisjoint({"script", "img", "svg", "style", "iframe", "object", "base"})
    attributes = {name for _, values in page.elements for name in values}
    assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc", "formaction"}]
    targets = [value for name in ("href", "src", "action") for _, v in page.elements if (value := v.get(name))]
    assert all(target.startswith(("/", "#")) and not target.startswith(("//", "/\\")) for target in targets)
    assert not set(answer.text) & set("\u202e\u202c\u2066\u061c\u0000\u001b\u009b")
    return page


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_in_the_log_is_text_on_every_page(name: str) -> None:
    world = World()
    told = policy(
        "to-qa",
        "first/dev/app",
        "first/qa/app",
        rule_on("label", "equals", name, name=name),
        rule("not-one-of", name),
    )
    await world.record(published(told), pushed("first/dev/app:v1", "v1", actor=name))
    async with visiting(world.log, TOKEN) as (client, _):
        for path in ("/", "/policies", "/explain/first/dev/app:v1", f"/lineage/{digest('v1')}"):
            page = assert_harmless(await client.get(path))
            visible = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
            assert " ".join(visible.split()) in page.text


@pytest.mark.parametrize(
    "path", ["/?{}=1", "/?actor={}", "/?type={}", "/?cursor={}", "/explain/{}", "/lineage/{}", "/find?of={}"]
)
async def test_a_hostile_text_in_an_address_is_text_in_the_answer(browser: httpx.AsyncClient, path: str) -> None:
    addresses = [path.format(quote(name, safe="")) for name in HOSTILE]
    for address in addresses:
        answer = await browser.get(address)
        assert answer.status_code in {200, 400}
        assert_harmless(answer)
    browser.cookies.clear()
    for address in addresses:
        assert_harmless(await browser.get(address))


# -- Every page


async def test_every_answer_of_the_console_has_the_strict_headers(browser: httpx.AsyncClient) -> None:
    answers = [
        await browser.get("/"),
        await browser.get("/?from=x"),
        await browser.get("/policies"),
        await browser.get(f"/explain/{QA}"),
        await browser.get("/explain/x"),
        await browser.get(f"/lineage/{digest('v1')}"),
        await browser.get("/find?of=x"),
        await browser.get(f"/find?of={QA}"),
        await browser.get("/console.css"),
        await browser.get("/login"),
        await browser.post("/login", data={"token": "x"}),
        await browser.post("/login", data={"token": TOKEN}),
        await browser.post("/login", headers={"Origin": "null"}),
        await browser.post("/logout"),
        await browser.get("/"),
    ]
    async with calling(app(MemoryLog())) as client:
        answers.append(await client.get("/"))
    assert {answer.status_code for answer in answers} == {200, 303, 400, 401, 403}
    for answer in answers:
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)


async def test_every_page_can_be_used_without_seeing_it(browser: httpx.AsyncClient) -> None:
    paths = ["/", "/?from=x", "/policies", f"/explain/{QA}", f"/lineage/{digest('v1')}", f"/lineage/{QA}", "/explain/x"]
    pages = [await browser.get(path) for path in paths]
    browser.cookies.clear()
    pages.append(await browser.get("/"))
    titles = set()
    for answer in pages:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = Page(answer.text)
        titles.add(answer.text.partition("<title>")[2].partition("</title>")[0])
        assert page.values("html", "lang") == ["en"]
        assert [name for name, _ in page.elements].count("h1") == 1
        assert [name for name, _ in page.elements].count("main") == 1
        assert page.elements[[name for name, _ in page.elements].index("a")][1]["href"] == "#content"
        labelled = set(page.values("label", "for"))
        inputs = [v for name, v in page.elements if name in {"input", "select"} and v.get("type") != "hidden"]
        assert {v["id"] for v in inputs} == labelled
        assert all("scope" in values for name, values in page.elements if name == "th")
        ids = [values["id"] for _, values in page.elements if "id" in values]
        assert len(ids) == len(set(ids))
        levels = [int(name[1]) for name, _ in page.elements if name in {"h1", "h2", "h3"}]
        assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(titles) >= len(pages) - 2


async def test_before_the_log_was_read_once_the_page_says_so() -> None:
    world = await history()
    async with Projection(world.log) as projection:
        follower = Follower(projection, lambda: NOW)
        async with calling(app(world.log, readers={"auditor": "env:AUDITOR"}, follower=follower)) as client:
            client.headers["Origin"] = "http://gateway"
            await client.post("/login", data={"token": TOKEN})
            before = await client.get("/")
            await follower.look()
            after = await client.get("/")
    assert (before.status_code, after.status_code) == (503, 200)
    assert "the log is being read from its beginning" in Page(before.text).text
    assert int(before.headers["retry-after"]) > 0


async def test_the_stylesheet_asks_for_nothing_and_is_there_for_light_and_dark(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "text-overflow" not in answer.text
