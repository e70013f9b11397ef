"""``/api/v1``: readers get what the commands tell, in the form of the document; everybody else gets nothing (S16)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from prometheus_client.utils import floatToGoString
from starlette.routing import Route

from schemas.references import Reference
from streams.audit.explain import explain
from streams.audit.lineage import lineage
from streams.audit.trail import entry_of
from streams.gateway.following import Follower, following
from streams.gateway.openapi import document
from streams.gateway.readers import ROLES, Readers
from streams.memory_log import MemoryLog
from streams.metrics import Metrics
from streams.projection.asking import FILTERS
from streams.projection.paging import Filter, Page, read_page
from streams.projection.projection import Projection
from streams.topics import EVENTS
from tests.support.builders import at, completed, digest, policy, published, pushed
from tests.support.gateways import NOW, app, calling, reading
from tests.support.projections import BreakingOff, asked
from tests.support.waiting import eventually
from tests.support.world import World
from towline import limits
from towline.errors import LogUnavailableError, SettingsError

TOKEN = "canary-reader-4711"
QA = "first/qa/app:v1"
API = sorted(path for path, role in ROLES.items() if role == "reader")
ASKED = {path: path.replace("{reference:path}", QA).replace("{of:path}", QA) for path in API}
DOCUMENT = document()


async def history(tags: int = 3) -> World:
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app")))
    for number in range(tags):
        tag = f"v{number}"
        await world.record(pushed(f"first/dev/app:{tag}", tag, time=at(number), actor="ann"))
        await world.end(f"first/qa/app:{tag}", completed)
    return world


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR", TOKEN)
    monkeypatch.setenv("AUDITOR_BEFORE", "the-one-before")


@pytest.fixture
async def world() -> World:
    return await history()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reading(world.log, TOKEN) as (opened, _):
        yield opened


def check(path: str, answer: httpx.Response) -> Any:
    """The document has this answer in this form."""
    operation = DOCUMENT["paths"][path.replace(":path}", "}")]["get"]
    described = operation["responses"][str(answer.status_code)]
    schema = described["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}
    assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []
    return answer.json()


# -- Who may


async def test_every_route_has_a_role_and_every_role_a_route() -> None:
    served = {route.path for route in app(MemoryLog()).routes if isinstance(route, Route)}
    assert served == set(ROLES)
    assert all(path.startswith("/api/v1/") == (role == "reader") for path, role in ROLES.items())


def test_a_route_without_a_role_cannot_be_served() -> None:
    async def answer(_: object) -> Any:
        raise AssertionError

    with pytest.raises(LookupError, match="/api/v2/new has no role"):
        Readers({}).guarded("/api/v2/new", answer, lambda given: given)


WRONG: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": TOKEN},
    {"Authorization": f"Bearer {TOKEN.upper()}"},
    {"X-Forwarded-User": "auditor", "X-HTTP-Method-Override": "GET"},
    {"Cookie": f"token={TOKEN}"},
]


@pytest.mark.parametrize("path", API)
async def test_whoever_shows_no_token_or_another_gets_the_same_401_from_every_route(world: World, path: str) -> None:
    answers = set()
    async with reading(world.log, "") as (client, _):
        del client.headers["Authorization"]
        for headers in WRONG:
            for suffix in ("", f"?token={TOKEN}", "?limit=0"):
                answer = await client.get(ASKED[path] + suffix, headers=headers)
                check(path, answer)
                answers.add((answer.status_code, answer.content, answer.headers["www-authenticate"]))
    assert answers == {(401, b'{"error":{"reason":"unauthorized"}}', "Bearer")}


async def test_two_tokens_at_once_are_none(world: World) -> None:
    async with reading(world.log, TOKEN) as (client, _):
        headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
        client.headers.pop("Authorization")
        assert (await client.get("/api/v1/trail", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", API)
async def test_without_readers_in_the_settings_nobody_may_and_that_is_said(path: str) -> None:
    async with calling(app(MemoryLog())) as client:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}"}):
            answer = await client.get(ASKED[path], headers=headers)
            assert answer.status_code == 403
            assert check(path, answer)["error"]["reason"].startswith("nobody may read: name readers in the settings")


@pytest.mark.parametrize("path", API)
async def test_readers_read_and_do_nothing_else(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(ASKED[path])).status_code == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await client.request(method, ASKED[path], content=b"{}")).status_code == 405


async def test_either_of_two_tokens_counts_while_one_is_being_replaced() -> None:
    async with Projection((await history()).log) as projection:
        follower = Follower(projection, lambda: NOW)
        await follower.look()
        readers: dict[str, str | tuple[str, ...]] = {"auditor": ("env:AUDITOR", "env:AUDITOR_BEFORE")}
        async with calling(app(MemoryLog(), readers=readers, follower=follower)) as client:
            codes = [
                (await client.get("/api/v1/policies", headers={"Authorization": f"Bearer {shown}"})).status_code
                for shown in (TOKEN, "the-one-before", "")
            ]
    assert codes == [200, 200, 401]


def test_a_token_that_is_empty_or_missing_is_found_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    for reference in ("env:EMPTY", "env:NOWHERE"):
        with pytest.raises(SettingsError, match=reference):
            app(MemoryLog(), readers={"auditor": reference})


# -- What they get


async def test_a_page_of_the_trail_is_that_of_the_command_and_says_how_far_the_log_was_read(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get("/api/v1/trail", params={"limit": 500, "order": "oldest"})
    told = check("/api/v1/trail", answer)
    assert answer.headers["cache-control"] == "no-store"
    kept = await asked(world.log, lambda records: records.select("TRUE", (), "time, topic, part, pos"))
    assert [entry["id"] for entry in told["trail"]] == [entry_of(item).id for item in kept]
    assert told["cursor"] is None
    ends = [await world.log.high_watermark("towline.events", partition) for partition in range(3)]
    assert told["as_of"]["towline.events"] == ends


async def test_all_pages_together_are_the_whole(client: httpx.AsyncClient) -> None:
    whole = (await client.get("/api/v1/trail", params={"limit": 500})).json()["trail"]
    found, cursor = [], None
    while True:
        params = {"limit": "4"} | ({} if cursor is None else {"cursor": cursor})
        page = check("/api/v1/trail", await client.get("/api/v1/trail", params=params))
        found += page["trail"]
        if (cursor := page["cursor"]) is None:
            break
    assert found == whole
    assert len(found) > 8


async def test_filters_are_those_of_the_command(client: httpx.AsyncClient) -> None:
    pushes = await client.get("/api/v1/trail", params={"actor": "ann", "digest": digest("v1")})
    assert [entry["type"] for entry in check("/api/v1/trail", pushes)["trail"]] == ["image.pushed"]
    found = await client.get("/api/v1/decisions", params={"verdict": "promote", "repository": "first/qa/*"})
    decisions = check("/api/v1/decisions", found)["decisions"]
    assert [item["decision"]["target"] for item in decisions] == [f"first/qa/app:v{n}" for n in (2, 1, 0)]
    assert {item["copies"] for item in decisions} == {1}


async def test_explain_and_lineage_are_those_of_the_commands(world: World, client: httpx.AsyncClient) -> None:
    told = check("/api/v1/explain/{reference}", await client.get(f"/api/v1/explain/{QA}"))["explanation"]
    expected = await asked(world.log, explain, Reference.parse(QA))
    assert (told["digest"], told["came_by"]) == (expected.digest, expected.came_by)
    assert [hop["source"] for hop in told["origin"]["hops"]] == ["first/dev/app:v1"]
    unknown = check("/api/v1/explain/{reference}", await client.get("/api/v1/explain/first/never:1"))
    assert unknown["explanation"]["is_known"] is False
    of_digest = check("/api/v1/lineage/{of}", await client.get(f"/api/v1/lineage/{digest('v1')}"))
    places = (await asked(world.log, lineage, digest("v1"))).places
    assert [place["reference"] for place in of_digest["lineage"]["places"]] == [place.reference for place in places]
    of_tag = check("/api/v1/lineage/{of}", await client.get(f"/api/v1/lineage/{QA}"))
    assert of_tag["origin"] == told["origin"]


async def test_the_policies_in_force_are_told(client: httpx.AsyncClient) -> None:
    found = check("/api/v1/policies", await client.get("/api/v1/policies"))["in_force"]
    assert (found["revision"], found["published_by"]) == (1, "operator")
    assert [item["name"] for item in found["policies"]] == ["to-qa"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "limit: write a number from 1 to 500"),
        ("limit=501", "limit: write a number from 1 to 500"),
        ("limit=%D9%A3", "limit: write a number from 1 to 500"),
        ("limit=1e3", "limit: write a number from 1 to 500"),
        ("order=best", "order: write newest or oldest, for what comes first"),
        ("verdict=maybe", "verdict: 'maybe' is none of"),
        ("type=image.eaten", "type: 'image.eaten' is none of"),
        ("from=yesterday", "from: 'yesterday' is no moment"),
        ("repository=local", "repository: 'local' is not a source"),
        ("digest=sha256:1", "digest: 'sha256:1' is no digest"),
        ("actor=", "actor: a name has 1 to 256 characters"),
        ("actor=a&actor=b", "actor: given twice"),
        ("colour=red", "'colour': there is no such parameter"),
        ("cursor=x", "the cursor is none that was given"),
        ("topic=towline.commands", "'topic': there is no such parameter"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_name(client: httpx.AsyncClient, query: str, reason: str) -> None:
    for path in ("/api/v1/trail", "/api/v1/decisions"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert check(path, answer)["error"]["reason"].startswith(reason)


@pytest.mark.parametrize("path", ["/api/v1/explain/first/dev/app", "/api/v1/lineage/sha256:abc", "/api/v1/lineage/x"])
async def test_a_path_that_names_nothing_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 400


async def test_the_largest_page_is_bounded(client: httpx.AsyncClient) -> None:
    assert limits.page_max_count == 500
    parameters = DOCUMENT["paths"]["/api/v1/trail"]["get"]["parameters"]
    assert {item["name"] for item in parameters} == {*FILTERS, "limit", "order", "cursor"}
    (limit,) = [item["schema"] for item in parameters if item["name"] == "limit"]
    assert (limit["maximum"], limit["default"]) == (500, 50)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_question_gets_an_answer_that_the_document_has(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(API))
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    query = data.draw(
        st.dictionaries(
            st.sampled_from([*FILTERS, "limit", "order", "cursor"]) | texts, texts | st.just("1"), max_size=3
        )
    )
    filled = path.replace("{reference:path}", "{}").replace("{of:path}", "{}")
    segment = data.draw(texts.filter(lambda text: text not in {"", ".", ".."} and "?" not in text and "#" not in text))

    async def ask() -> None:
        async with reading(WORLD.log, TOKEN) as (client, _):
            answer = await client.get(filled.format(quote(segment)), params=query)
            if answer.status_code != 404:
                check(path, answer)
                assert answer.status_code in {200, 400}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR", TOKEN)
        asyncio.run(ask())


WORLD = World()


# -- While the read side is behind, and what never shows


async def test_before_the_log_was_read_once_readers_are_asked_to_come_again(world: World) -> None:
    async with Projection(world.log) as projection:
        follower = Follower(projection, lambda: NOW)
        async with calling(app(world.log, readers={"auditor": "env:AUDITOR"}, follower=follower)) as client:
            client.headers["Authorization"] = f"Bearer {TOKEN}"
            before = await client.get("/api/v1/trail")
            await follower.look()
            after = await client.get("/api/v1/trail")
    assert (before.status_code, after.status_code) == (503, 200)
    check("/api/v1/trail", before)
    assert int(before.headers["retry-after"]) > 0


async def test_what_comes_later_is_there_after_the_next_look_and_the_lag_is_in_the_metrics(world: World) -> None:
    metrics = Metrics(["first"])
    async with reading(world.log, TOKEN, metrics=metrics) as (client, follower):
        await world.record(pushed("first/dev/app:late", "late", actor="zoe"))
        assert (await client.get("/api/v1/trail", params={"actor": "zoe"})).json()["trail"] == []
        await follower.look()
        assert len((await client.get("/api/v1/trail", params={"actor": "zoe"})).json()["trail"]) == 1
        shown = (await client.get("/metrics")).text
    assert "towline_projection_lag_records 0.0" in shown
    assert f"towline_projection_caught_up_timestamp_seconds {floatToGoString(NOW.timestamp())}" in shown


async def test_while_the_file_is_made_anew_nobody_is_told_that_the_log_knows_nothing(world: World) -> None:
    log = BreakingOff(world.log)
    async with reading(log, TOKEN) as (client, follower):  # type: ignore[arg-type]
        assert len((await client.get("/api/v1/trail")).json()["trail"]) > 1
        for partition in range(await world.log.partitions(EVENTS)):
            # What was read last is gone: this cannot be the log that was read.
            world.log.remove_before(EVENTS, partition, await world.log.high_watermark(EVENTS, partition))
        log.batches = 1
        with pytest.raises(LogUnavailableError):
            await follower.look()
        half = await client.get("/api/v1/trail")
        log.batches = None
        await follower.look()
        assert (await client.get("/api/v1/trail")).status_code == 200
    assert half.status_code == 503
    check("/api/v1/trail", half)


async def test_the_following_goes_on_after_what_nobody_foresaw(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "projection_pause_seconds", 0.001)
    monkeypatch.setattr(limits, "projection_pause_factor", 0.0)
    looks = 0

    class Surprising(Projection):
        async def catch_up(self) -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise ZeroDivisionError
            await super().catch_up()

    async with Surprising(world.log) as projection, following(Follower(projection, lambda: NOW)) as follower:

        async def is_read() -> bool:
            return follower.caught_up_at > 0

        await eventually(is_read, seconds=20, what="the follower has read the log at its second look")
        assert cast("Page", (await follower.ask(read_page, Filter(), 5)).answer).records


async def test_while_the_log_is_away_readers_get_what_was_read(world: World) -> None:
    async with reading(world.log, TOKEN) as (client, follower):
        await world.log.close()
        with pytest.raises(LogUnavailableError):
            await follower.look()
        assert (await client.get("/api/v1/trail")).status_code == 200


async def test_no_answer_has_a_secret(world: World) -> None:
    async with reading(world.log, TOKEN) as (client, _):
        texts = [
            (await client.get(ASKED[path] + query, headers=headers)).text
            for path in API
            for query in ("", f"?cursor={TOKEN[:-1]}")
            for headers in ({}, {"Authorization": f"Bearer {TOKEN[:-1]}"})
        ]
        texts.append((await client.get("/metrics")).text)
    assert all(TOKEN not in text for text in texts)
