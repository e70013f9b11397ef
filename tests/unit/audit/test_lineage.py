"""Lineage and origin: everywhere that an image came to, and back to where it began, through circles too."""

import pytest

from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.references import Reference
from streams.audit.explain import explain
from streams.audit.lineage import Lineage, Place, lineage
from streams.audit.origin import Origin, origin
from streams.routing import command_append
from tests.support.builders import (
    at,
    command,
    completed,
    deleted,
    digest,
    failed,
    outcome,
    policy,
    published,
    pushed,
    reduced,
    rule_on,
    skipped,
)
from tests.support.facts import approved, observed, requested
from tests.support.projections import asked
from tests.support.world import World
from towline import limits
from towline.registry.targettag import backup_tag

DEV, QA, AWAY = (Reference.parse(f"{name}:1") for name in ("first/dev/app", "first/qa/app", "second/app"))
POLICIES = published(
    policy("to-qa", str(DEV.repository), str(QA.repository), rule_on("approved", ">=", "1")),
    policy("away", str(QA.repository), str(AWAY.repository)),
)
OURS = digest("one")


async def moved() -> World:
    """An image that was pushed, approved, promoted and mirrored."""
    world = World()
    await world.record(POLICIES, pushed(str(DEV), "one", time=at(1)))
    await world.record(approved(str(DEV.repository), "one", "to-qa", "bob", time=at(2)))
    await world.end(str(QA), completed)
    await world.end(str(AWAY), completed)
    return world


async def tree(world: World, of: str = OURS) -> Lineage:
    return await asked(world.log, lineage, of)


async def back(world: World, reference: Reference) -> Origin:
    return await asked(world.log, origin, reference)


def drawn(place: Place) -> dict[str, object]:
    """A place as references, with what came from it."""
    return {branch.transfer.target: None if branch.place is None else drawn(branch.place) for branch in place.hops}


async def test_a_lineage_is_a_tree_from_the_push_over_all_hops_with_who_and_what_decided() -> None:
    found = await tree(await moved())
    (root,) = found.places
    assert (root.reference, root.is_current, drawn(root)) == (str(DEV), True, {str(QA): {str(AWAY): {}}})
    assert root.beginning is not None
    assert root.beginning.text == f"{DEV} -> {OURS} by ci"
    hop = root.hops[0].transfer
    assert (hop.policy, hop.revision, hop.verdict, hop.outcome) == ("to-qa", 1, "promote", "completed")
    assert (hop.approved_by, hop.previous_digest, hop.arrived_digest) == (("bob",), None, OURS)
    assert hop.position is not None
    assert hop.position.startswith("towline.decisions/")
    qa = root.hops[0].place
    assert qa is not None
    assert qa.beginning is None, "a transfer brought it"


async def test_the_way_back_leads_over_all_hops_to_the_push() -> None:
    world = await moved()
    # The registries' own webhooks tell again what came, and are no other beginning.
    await world.record(*(pushed(str(one), "one", key=f"echo {one}", time=at(90)) for one in (QA, AWAY)))
    found = await back(world, AWAY)
    assert [(hop.source, hop.target) for hop in found.hops] == [(str(QA), str(AWAY)), (str(DEV), str(QA))]
    assert found.beginning is not None
    assert (found.digest, found.beginning.reference, found.beginning.time) == (OURS, str(DEV), at(1))
    explained = await asked(world.log, explain, AWAY)
    assert explained.origin == found


async def test_the_way_back_is_that_of_the_time_of_the_decision_and_not_of_now() -> None:
    world = await moved()
    await world.record(pushed(str(DEV), "two", time=at(100)), pushed(str(DEV), "one", key="back", time=at(101)))
    found = await back(world, AWAY)
    assert found.beginning is not None
    assert found.beginning.time == at(1)
    assert (await back(world, DEV)).beginning.time == at(101)  # type: ignore[union-attr]


async def test_what_was_not_carried_out_is_in_the_tree_and_leads_nowhere() -> None:
    world = World()
    targets = ("first/a", "first/b", "second/c")
    await world.record(published(*(policy(f"to-{name[-1]}", "first/dev/app", name) for name in targets)))
    await world.record(pushed(str(DEV), "one"))
    await world.end("first/a:1", failed)
    await world.end("second/c:1", skipped)
    (root,) = (await tree(world)).places
    assert [(branch.transfer.outcome, branch.place is None) for branch in root.hops] == [
        ("failed", True),
        ("pending", True),
        ("skipped", False),
    ]


async def test_an_index_of_fewer_platforms_is_told_with_the_whole_one_from_both_ends() -> None:
    world = World()
    await world.record(POLICIES, pushed(str(DEV), "one"), approved(str(DEV.repository), "one", "to-qa", "bob"))
    await world.end(str(QA), reduced)
    await world.end(str(AWAY), completed)
    less = digest(f"some of {OURS}")
    for of in (OURS, less):
        found = await tree(world, of)
        (root,) = found.places
        assert (root.digest, drawn(root)) == (OURS, {str(QA): {str(AWAY): {}}})
        assert found.related_digests == ((less,) if of == OURS else (OURS,))
    way = await back(world, AWAY)
    assert [(hop.digest, hop.arrived_digest) for hop in way.hops] == [(less, less), (OURS, less)]
    assert way.beginning is not None


async def test_what_was_made_of_what_was_made_is_told_with_the_first_too() -> None:
    world = World()
    await world.record_unfolded(pushed(str(DEV), "one"))
    await carried(world, command(str(DEV), str(QA), "one"), reduced)
    await carried(world, command(str(QA), str(AWAY), f"some of {OURS}"), reduced)
    less = digest(f"some of {OURS}")
    least = digest(f"some of {less}")
    for of in (OURS, less, least):
        found = await tree(world, of)
        assert {of, *found.related_digests} == {OURS, less, least}
        assert [place.reference for place in found.places] == [str(DEV)]


async def test_a_tag_that_had_the_image_already_kept_nothing() -> None:
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app", overwrite="backup")))
    await world.record(pushed(str(DEV), "one"))

    def there(command_id: str, copy: CopyImage) -> object:
        return skipped(command_id, copy).model_copy(update={"previous_digest": copy.digest})

    await world.end(str(QA), there)
    (hop,) = (await back(world, QA)).hops
    assert (hop.previous_digest, hop.backup) == (OURS, None)


async def test_what_a_tag_had_before_and_the_tag_that_keeps_it_lead_back_too() -> None:
    world = World()
    await world.record(published(policy("to-qa", "first/dev/app", "first/qa/app", overwrite="backup")))
    await world.record(pushed(str(DEV), "one", time=at(1)))
    await world.end(str(QA), completed)
    await world.record(pushed(str(DEV), "two", time=at(2)))

    def over(command_id: str, copy: CopyImage) -> object:
        return completed(command_id, copy).model_copy(update={"previous_digest": OURS})

    await world.end(str(QA), over)
    kept = Reference(QA.repository, backup_tag(QA.tag, OURS))
    (hop, *_) = (await back(world, QA)).hops
    assert (hop.previous_digest, hop.backup) == (OURS, kept.tag)
    found = await back(world, kept)
    assert (found.digest, found.kept_from) == (OURS, str(QA))
    assert [one.source for one in found.hops] == [str(DEV)]
    assert found.beginning is not None
    explained = await asked(world.log, explain, kept)
    assert (explained.is_known, explained.digest) == (True, OURS)
    places = {one.reference: one.is_current for one in (await tree(world)).places}
    assert places == {str(DEV): False}


async def test_a_circle_through_registries_ends_and_each_place_is_told_once() -> None:
    world = World()
    for source, target in ((DEV, QA), (QA, AWAY), (AWAY, DEV)):
        await carried(world, command(str(source), str(target), "one"))
    found = await tree(world)
    (root,) = found.places
    assert not found.is_cut
    first, second, third = _round_from(root.reference)
    assert drawn(root) == {second: {third: {first: None}}}
    way = await back(world, DEV)
    assert [hop.target for hop in way.hops] == [str(DEV), str(AWAY), str(QA)]
    assert way.beginning is None


def _round_from(reference: str) -> list[str]:
    circle = [str(DEV), str(QA), str(AWAY)]
    start = circle.index(reference)
    return [*circle[start:], *circle[:start]]


async def carried(world: World, copy: Envelope[CopyImage], end: object = completed) -> None:
    await world.log.append(command_append(copy))  # type: ignore[arg-type]
    await world.record_unfolded(outcome(end(copy.id, copy.data)))  # type: ignore[operator]


async def test_a_transfer_that_was_made_again_and_again_is_one_branch() -> None:
    world = World()
    await world.record_unfolded(pushed(str(DEV), "one"))
    for number in range(5):
        await carried(world, command(str(DEV), str(QA), "one", key=f"{number}"), failed if number == 4 else completed)
    (root,) = (await tree(world)).places
    assert [branch.transfer.outcome for branch in root.hops] == ["completed"]


async def test_a_lineage_of_more_places_than_the_bound_says_that_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "lineage_place_count", 5)
    world = World()
    await world.record_unfolded(pushed(str(DEV), "one"))
    for number in range(9):
        await carried(world, command(str(DEV), f"second/app{number}:1", "one"))
    found = await tree(world)
    assert found.is_cut
    assert 0 < len(found.places[0].hops) <= 6


async def test_a_chain_that_is_longer_than_the_bound_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "lineage_depth", 4)
    world = World()
    await world.record_unfolded(pushed("first/app0:1", "one"))
    for number in range(9):
        await carried(world, command(f"first/app{number}:1", f"first/app{number + 1}:1", "one"))
    found = await tree(world)
    assert found.is_cut
    assert len((await back(world, Reference.parse("first/app9:1"))).hops) == 4


async def test_a_promotion_by_hand_names_who_asked() -> None:
    world = World()
    await world.record(pushed(str(DEV), "one"), requested(str(DEV), "one", str(AWAY)))
    await world.end(str(AWAY), completed)
    (hop,) = (await back(world, AWAY)).hops
    assert (hop.policy, len(hop.approved_by)) == ("(manual)", 1)


async def test_nothing_is_known_of_what_nobody_told_and_a_deleted_tag_has_no_origin() -> None:
    world = await moved()
    assert (await tree(world, digest("never"))).places == ()
    assert await back(world, Reference.parse("first/never:1")) == Origin("first/never:1", None, None, (), None)
    await world.record(deleted(str(AWAY), time=at(200)))
    assert (await back(world, AWAY)).digest is None
    (root,) = (await tree(world)).places
    ends = [branch.place for branch in root.hops[0].place.hops]  # type: ignore[union-attr]
    assert [end.is_current for end in ends if end is not None] == [False]


async def test_an_image_that_a_poll_found_begins_there() -> None:
    world = World()
    await world.record(observed(str(DEV), "one", time=at(5)))
    (root,) = (await tree(world)).places
    assert root.beginning is not None
    assert "seen by" in root.beginning.text
