"""Pages of records: each once however many come meanwhile, what is wanted and nothing else, from any text."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.patterns import SourcePattern
from schemas.references import Reference
from streams.projection.asking import FILTERS, filter_of
from streams.projection.paging import Filter, Order, read_page
from streams.projection.projection import Projection
from streams.projection.rows import PROJECTED, Kept
from tests.support.builders import at, completed, deleted, digest, failed, policy, published, pushed
from tests.support.facts import approved, scanned
from tests.support.projections import asked
from tests.support.world import World
from towline.errors import MisuseError

POLICIES = published(
    policy("to-qa", "first/dev/app", "first/qa/app"), policy("on", "first/qa/app", "second/app"), revision=1
)


async def history(tags: int = 4) -> World:
    world = World()
    await world.record(POLICIES)
    for number in range(tags):
        # Two at each moment, so that the place decides.
        await world.record(pushed(f"first/dev/app:v{number}", f"{number}", time=at(number // 2), actor=f"ann{number}"))
        await world.end(f"first/qa/app:v{number}", failed if number == 1 else completed)
    return world


def places(records: list[Kept]) -> list[tuple[str, int, int, int]]:
    return [(one.envelope.time, PROJECTED.index(one.position.topic), *one.position[1:]) for one in records]


async def every(
    projection: Projection, wanted: Filter, limit: int, order: Order = "newest", between: Any = None
) -> list[Kept]:
    found, cursor = list[Kept](), None
    while True:
        page = await projection.ask(read_page, wanted, limit, order=order, cursor=cursor)
        assert len(page.records) <= limit
        found += page.records
        cursor = page.cursor
        if cursor is None:
            return found
        assert len(page.records) == limit
        if between is not None:
            await between()


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
async def test_all_pages_together_are_all_records_once_in_their_order(order: Order, limit: int) -> None:
    world = await history()
    async with Projection(world.log) as projection:
        await projection.catch_up()
        found = places(await every(projection, Filter(), limit, order))
        (count,) = (await projection.ask(lambda records: records.rows("SELECT count(*) FROM records")))[0]
    assert len(found) == count > 20
    assert found == sorted(set(found), reverse=order == "newest")


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_what_was_there_at_the_first_page_is_told_once_while_records_come(order: Order) -> None:
    world, number = await history(), 0
    async with Projection(world.log) as projection:
        await projection.catch_up()
        before = places(await every(projection, Filter(), 500, order))

        async def come() -> None:
            nonlocal number
            number += 1
            # Of before, of now and of later; each is judged, and its decision comes too.
            if number <= 10:
                for seconds in (-50, 0, 1, 3000):
                    event = pushed(f"first/dev/app:new{number}", "new", key=f"{number} {seconds}", time=at(seconds))
                    await world.record(event)
            await projection.catch_up()

        found = places(await every(projection, Filter(), 3, order, come))
    assert len(found) == len(set(found))
    assert set(before) <= set(found)
    assert len(found) > len(before)


async def kinds(world: World, **values: str) -> list[tuple[str, str]]:
    page = await asked(world.log, read_page, filter_of(values), 500, order="oldest")
    return [(one.envelope.subject, type(one.envelope.data).__name__) for one in page.records]


async def test_each_filter_finds_what_it_names_and_nothing_else() -> None:
    world = await history()
    await world.record(
        approved("first/dev/app", "0", "to-qa", "bob", time=at(500)),
        scanned("first/dev/app", "0", time=at(501)),
        deleted("first/dev/app:v3", time=at(502)),
    )
    assert await kinds(world, actor="ann2") == [("first/dev/app:v2", "ImagePushed")]
    assert await kinds(world, type="approval.granted") == await kinds(world, actor="bob") != []
    assert [kind for _, kind in await kinds(world, outcome="failed")] == ["TransferFailed"]
    assert {kind for _, kind in await kinds(world, verdict="promote")} == {"Decision"}
    assert await kinds(world, verdict="deny") == []
    assert await kinds(world, **{"from": at(502)}) == [("first/dev/app:v3", "ImageDeleted")]
    assert await kinds(world, **{"from": at(500), "to": at(501)}) == await kinds(world, actor="bob")
    assert {kind for _, kind in await kinds(world, policy="on")} == {"Decision", "CopyImage"}
    assert ("first/dev/app:v2", "ImagePushed") in await kinds(world, digest=digest("2"))
    assert all(":v2" in subject for subject, _ in await kinds(world, reference="first/dev/app:v2"))
    away = await kinds(world, reference="second/app:v0")
    assert {kind for _, kind in away} == {"Decision", "CopyImage"}
    assert len(await kinds(world, repository="second/*")) == 6
    assert len(await kinds(world, repository="second/app")) == 6
    assert await kinds(world, repository="first/*") == [], "a star stands for one part of a path"
    assert await kinds(world, repository="first/**") == await kinds(world, repository="first/*/app") != []
    both = await kinds(world, repository="second/app", verdict="mirror")
    assert [kind for _, kind in both] == ["Decision"] * 3


HOSTILE = [
    "'; DROP TABLE records; --",
    '" OR 1=1 --',
    "%",
    "_",
    "*",
    "ann0' OR 'a'='a",
    "\x00ann0",
    "ann0\x00",
    "\N{RIGHT-TO-LEFT OVERRIDE}ann0",
    "?1",
    ":actor",
    "NULL",
    "1",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_a_name_and_finds_what_has_it(name: str) -> None:
    world = await history()
    mine = pushed("first/dev/app:hostile", "hostile", actor=name, time=at(900))
    await world.record(mine)
    for filter_ in ("actor", "policy"):
        found = await asked(world.log, read_page, filter_of({filter_: name}), 500)
        assert [one.envelope.id for one in found.records] == ([mine.id] if filter_ == "actor" else [])


@given(st.text(max_size=300), st.sampled_from(sorted(FILTERS)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_filter_or_refused_with_its_name(text: str, name: str) -> None:
    try:
        said = str(filter_of({name: text}))
    except MisuseError as error:
        said = str(error)
    assert said.startswith(("Filter(", f"{name}: "))


@pytest.mark.parametrize(
    "cursor", ["", "x", "====", "bnVsbA", "W10", "WzEsMl0", "eyJhIjoxfQ", "\udcff", "é", "A" * 5000]
)
async def test_a_cursor_that_nobody_gave_is_refused(cursor: str) -> None:
    with pytest.raises(MisuseError, match="begin without one"):
        await asked((await history(1)).log, read_page, Filter(), 1, cursor=cursor)


async def test_a_cursor_continues_its_own_question_only() -> None:
    log = (await history()).log
    wanted = Filter(repository=SourcePattern.parse("first/dev/app"))
    page = await asked(log, read_page, wanted, 1)
    assert page.cursor is not None
    await asked(log, read_page, wanted, 1, cursor=page.cursor)
    for other, order in (
        (Filter(), "newest"),
        (Filter(reference=Reference.parse("a/b:c")), "newest"),
        (wanted, "oldest"),
    ):
        with pytest.raises(MisuseError, match="another question"):
            await asked(log, read_page, other, 1, order=order, cursor=page.cursor)  # type: ignore[arg-type]
