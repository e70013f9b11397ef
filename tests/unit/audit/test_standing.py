"""Explain beyond the verdicts: what decided, what is missing, why no policy judged. A no is as complete as a yes."""

import pytest

from schemas.descriptors import OCI_MANIFEST
from schemas.references import Reference
from streams.audit.explain import Explanation, explain
from tests.support.builders import at, completed, deleted, digest, policy, published, pushed, rule, rule_on, ticked
from tests.support.facts import approved, scanned, vulnerability
from tests.support.projections import asked
from tests.support.world import World

DEV, QA = Reference.parse("first/dev/app:1"), Reference.parse("first/qa/app:1")
GATED = policy(
    "to-qa",
    "first/dev/app",
    "first/qa/app",
    rule_on("vulnerability_critical", "<=", "0"),
    rule_on("approved", ">=", "1"),
)


async def of(world: World, reference: Reference | str = DEV) -> Explanation:
    asked_for = Reference.parse(reference) if isinstance(reference, str) else reference
    return await asked(world.log, explain, asked_for)


async def test_a_verdict_has_the_event_that_decided_it_with_its_place_and_who_and_what_is_missing() -> None:
    world = World()
    await world.record(published(GATED), pushed(str(DEV), "one", media_type=OCI_MANIFEST, time=at(1)))
    (held,) = (await of(world)).policies
    assert held.decided_by is not None
    assert (held.decided_by.type, held.decided_by.text) == ("image.pushed", f"{DEV} -> {digest('one')} by ci")
    assert held.decided_by.position.startswith("towline.events/")
    assert [line.partition(" waits: ")[0] for line in held.missing] == ["vulnerability_critical <= 0", "approved >= 1"]
    scan = scanned(str(DEV.repository), "one", vulnerability("CVE-1", severity="low"), time=at(2))
    await world.record(scan, approved(str(DEV.repository), "one", "to-qa", "bob", time=at(3)))
    (promoted,) = (await of(world)).policies
    assert (promoted.verdict, promoted.missing) == ("promote", ())
    assert promoted.decided_by is not None
    assert promoted.decided_by.text.startswith("bob approved")
    assert scan.id in [fact.id for fact in promoted.facts]


async def test_what_the_passing_of_time_decided_names_no_event() -> None:
    world = World()
    soak = policy("to-qa", "first/dev/app", "first/qa/app", rule_on("soak", ">=", "1h"))
    await world.record(published(soak), ticked(0), pushed(str(DEV), "one", time=at(0)), ticked(4000))
    (found,) = (await of(world)).policies
    assert (found.verdict, found.decided_by) == ("promote", None)


async def test_the_revision_in_force_is_told_and_that_it_has_not_judged_yet() -> None:
    world = World()
    await world.record(published(GATED), pushed(str(DEV), "one"))
    assert (await of(world)).revision == 1
    stricter = policy("to-qa", "first/dev/app", "first/qa/app", rule("ends-with", "-lts"))
    other = policy("new", "first/dev/*", "second/{1}", initial_evaluation=False)
    late = policy("late", "first/dev/*", "second/late/{1}")
    # In every partition, but no evaluator has read it.
    await world.record_unfolded(published(stricter, other, late, revision=2))
    found = await of(world)
    assert found.revision == 2
    assert found.notes == (
        "policy to-qa judged under revision 1, and is another one in revision 2, which has not judged it yet",
        "policy late of revision 2 has not judged it yet: a worker judges what is there already with the ticks of the "
        "clock; does one run?",
        "policy new of revision 2 has not judged it: it has initial_evaluation: false, so it waits for the next push",
    )


async def test_a_policy_that_is_as_it_was_or_gone_is_told_apart() -> None:
    world = World()
    await world.record(published(GATED), pushed(str(DEV), "one"))
    await world.record_unfolded(published(GATED, policy("else", "first/else", "second/else"), revision=2))
    assert (await of(world)).notes == ()
    await world.record_unfolded(published(revision=3))
    assert (await of(world)).notes[0] == "policy to-qa judged under revision 1, and is not there in revision 3"


async def test_a_disabled_policy_and_one_in_shadow_are_said_to_be() -> None:
    world = World()
    await world.record(
        published(
            policy("off", "first/dev/app", "second/off", mode="disabled"),
            policy("dim", "first/dev/app", "second/dim", mode="shadow"),
        ),
        pushed(str(DEV), "one"),
    )
    found = await of(world)
    assert found.notes == ("policy off is disabled in revision 1: it judges nothing",)
    assert [(item.policy, item.mode, item.outcome) for item in found.policies] == [("dim", "shadow", None)]


async def test_a_repository_that_no_policy_has_as_its_source_is_told_with_those_that_come_near() -> None:
    world = World()
    await world.record(published(GATED), pushed("first/dev/apps:1", "one"))
    assert (await of(world, "first/dev/apps:1")).notes == (
        "no policy of revision 1 has first/dev/apps as its source; nearest: first/dev/app of policy to-qa",
    )
    nothing = World()
    await nothing.record(pushed(str(DEV), "one"))
    assert (await of(nothing)).notes == ("no policies are in force: bring some with towline policy apply",)


async def test_a_tag_that_the_log_does_not_know_is_answered_with_what_it_knows() -> None:
    world = World()
    await world.record(published(GATED), pushed("first/dev/app:1.0-stable", "one"))
    found = await of(world, "first/dev/app:1.0-stabel")
    assert (found.is_known, found.came_by, found.policies) == (False, "the log knows nothing of it", ())
    assert found.notes == ("the log knows 1 tag of first/dev/app, such as 1.0-stable",)
    far = await of(world, "first/dve/app:1")
    assert far.notes[0] == (
        "the log knows nothing of first/dve/app: does its registry send webhooks, or does a policy poll it? Nearest: "
        "first/dev/app, first/qa/app"
    )
    assert far.notes[1].endswith("nearest: first/dev/app of policy to-qa")


async def test_a_target_that_waits_for_its_copy_is_told_from_where() -> None:
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app")), pushed(str(DEV), "one"))
    found = await of(world, QA)
    assert found.notes[0] == f"to-qa was to bring {digest('one')} from {DEV}: it has not ended yet"
    await world.end(str(QA), completed)
    arrived = await of(world, QA)
    assert arrived.is_known
    assert arrived.origin is not None
    assert [hop.source for hop in arrived.origin.hops] == [str(DEV)]


async def test_a_deleted_tag_says_so_and_what_judged_it_is_no_part_of_it() -> None:
    world = World()
    await world.record(published(GATED), pushed(str(DEV), "one"), deleted(str(DEV)))
    found = await of(world)
    assert (found.is_known, found.digest, found.policies, found.notes) == (True, None, (), ())
    assert found.origin is not None
    assert found.origin.digest is None


@pytest.mark.parametrize("name", ["first/dev/app:'--", "first/dev/app", "x" * 300])
def test_what_is_no_reference_is_no_question(name: str) -> None:
    with pytest.raises(ValueError, match="is not a reference"):
        Reference.parse(name)
