"""The trail and explain of hints: what was hinted, who looked because of it, what was seen, and notices of scans."""

from itertools import pairwise

import pytest

from schemas.commands import ResolveTag
from schemas.references import Reference
from streams.audit.explain import explain
from streams.audit.trail import TrailEntry, trail
from streams.routing import command_append
from tests.support.builders import at, digest, policy, proposed, pushed
from tests.support.facts import poll_failed
from tests.support.hints import hinted, look_of, looked, missing, noticed
from tests.support.projections import asked
from tests.support.world import World

DEV = Reference.parse("first/dev/app:1")
OTHER = Reference.parse("first/dev/app:2")
POLICIES = proposed(policy("to-qa", "first/dev/app", "first/qa/app"))


async def told(world: World, *references: Reference) -> list[TrailEntry]:
    entries = await asked(world.log, trail, *references)
    ids = [entry.id for entry in entries]
    assert len(ids) == len(set(ids))
    return entries


@pytest.fixture
async def world() -> World:
    made = World()
    await made.record(POLICIES)
    return made


HINT = hinted(str(DEV), actor="ann", time=at(1))


async def test_the_trail_goes_from_the_hint_by_the_look_to_the_decision(world: World) -> None:
    await world.record(hinted(str(OTHER)), HINT, looked(str(DEV), "one", after=HINT, actor="ann", time=at(3)))
    entries = await told(world, DEV)
    assert [entry.type for entry in entries] == [
        "image.hinted",
        "tag.resolve",
        "image.observed",
        "decision.made",
        "image.copy",
    ]
    for before, entry in pairwise(entries):
        assert entry.caused_by == before.id
    assert [entry.text for entry in entries[:3]] == [
        f"hinted by ann: something happened to {DEV}",
        f"look at {DEV}",
        f"{DEV} -> {digest('one')} looked at because of a hint by ann",
    ]
    assert [entry.type for entry in await told(world, OTHER)] == ["image.hinted", "tag.resolve"]


async def test_a_tag_that_was_not_there_and_a_registry_that_could_not_be_asked_are_told_with_their_look(
    world: World,
) -> None:
    second, third = (hinted(str(DEV), key=str(number), time=at(number)) for number in (5, 9))
    await world.record(
        HINT,
        missing(str(DEV), after=HINT, time=at(2)),
        second,
        poll_failed("first/dev/app", command_id=look_of(second), time=at(6)),
        poll_failed("first/dev/app", key="a poll of the whole", time=at(7)),
        third,
    )
    lines = {entry.id: entry for entry in await told(world, DEV)}
    kinds = [entry.type for entry in lines.values()]
    look = ["image.hinted", "tag.resolve"]
    assert kinds == [*look, "image.deleted", *look, "poll.failed", *look]
    gone, failed = (
        next(entry for entry in lines.values() if entry.type == kind) for kind in ("image.deleted", "poll.failed")
    )
    assert (gone.caused_by, gone.text) == (look_of(HINT), f"{DEV} is not there, looked at because of a hint")
    assert failed.caused_by == look_of(second)
    assert failed.text == "first/dev/app could not be asked: denied: the registry refused"


async def test_what_a_crash_wrote_twice_is_told_once(world: World) -> None:
    seen = looked(str(DEV), "one", after=HINT, time=at(3))
    await world.record(HINT, HINT, seen, seen)
    (look,) = [item for item in await world.commands() if isinstance(item.data, ResolveTag)]
    await world.log.append(command_append(look))
    kinds = [entry.type for entry in await told(world, DEV)]
    assert kinds.count("tag.resolve") == kinds.count("image.hinted") == kinds.count("image.observed") == 1


async def test_explain_says_that_a_hint_led_to_the_look_and_who_hinted(world: World) -> None:
    await world.record(HINT, looked(str(DEV), "one", after=HINT, actor="ann", time=at(3)))
    found = await asked(world.log, explain, DEV)
    assert found.came_by == f"looked at because of a hint by ann at {at(3)}"
    assert [(item.policy, item.verdict) for item in found.policies] == [("to-qa", "promote")]
    second = hinted(str(DEV), key="second", time=at(5))
    await world.record(second, missing(str(DEV), after=second, time=at(6)))
    gone = await asked(world.log, explain, DEV)
    assert (gone.digest, gone.came_by) == (None, f"not there when looked at because of a hint at {at(6)}")


async def test_a_hint_that_nobody_has_looked_after_explains_nothing(world: World) -> None:
    await world.record(HINT)
    unseen = await asked(world.log, explain, DEV)
    assert not unseen.is_known
    assert unseen.notes[0] == "somebody hinted at it, and nobody has looked yet: does a worker run that observes?"
    await world.record(pushed(str(DEV), "one", time=at(5)), hinted(str(DEV), key="later", time=at(6)))
    found = await asked(world.log, explain, DEV)
    assert found.came_by == f"pushed by ci at {at(5)}"


async def test_a_notice_of_a_scan_is_in_the_trail_of_its_tag_and_of_every_tag_of_its_digest(world: World) -> None:
    await world.record(
        pushed(str(DEV), "one", time=at(1)),
        pushed(str(OTHER), "one", time=at(1)),
        noticed(str(DEV), counts={"high": 2, "critical": 1}, time=at(2)),
        noticed(str(DEV), "one", key="by digest", time=at(3)),
        noticed(str(DEV), "another", key="another digest", succeeded=False, time=at(4)),
        noticed("first/dev/app:3", key="failed", succeeded=False, time=at(5)),
    )

    async def notices(reference: Reference) -> list[str]:
        return [entry.text for entry in await told(world, reference) if entry.type == "scan.noticed"]

    advice = "a report decides, and is to be submitted"
    by_digest = f"trivy is done with {DEV} (without numbers; {advice})"
    assert await notices(DEV) == [f"trivy is done with {DEV} (1 critical, 2 high; {advice})", by_digest]
    assert await notices(OTHER) == [by_digest]
    assert await notices(Reference.parse("first/dev/app:3")) == ["trivy could not scan first/dev/app:3"]
