"""The blast radius: every copy of something bad over all hops, and whether it is there now."""

import asyncio
import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from schemas.catalogue import decode
from schemas.envelope import Envelope
from schemas.outcomes import Arrived
from schemas.references import Frozen, Reference
from streams.audit.blast import Blast, Question, trace
from streams.cli import app, audit_blast
from streams.log import Append
from streams.topics import EVENTS
from tests.support.builders import at, deleted, digest, policy, proposed, pushed, reduced, ticked
from tests.support.carrying import CarryingWorld
from tests.support.checkers import all_records
from tests.support.facts import (
    inspected,
    overridden,
    override_revoked,
    platform_image,
    requested,
    scanned,
    vulnerability,
)
from tests.support.world import in_place_of_kafka
from towline.errors import MisuseError

DEV, QA, PROD, AWAY = "local/dev/app", "local/qa/app", "local/prod/app", "remote/app"
POLICIES = (policy("to-qa", DEV, QA), policy("to-prod", QA, PROD), policy("away", PROD, AWAY))
BAD = Question(digest=digest("bad"))


def played(*events: Envelope[Frozen]) -> CarryingWorld:
    world = CarryingWorld()
    asyncio.run(world.happen(proposed(*POLICIES), *events))
    return world


def blast_of(world: CarryingWorld, question: Question) -> Blast:
    return asyncio.run(trace(world.log, question)).blast


def copies(world: CarryingWorld, question: Question = BAD) -> set[tuple[str, str, bool]]:
    return {(str(one.target), one.policy, one.is_present) for one in blast_of(world, question).copies}


def test_a_digest_is_followed_over_all_hops_those_farthest_downstream_first() -> None:
    blast = blast_of(played(pushed(f"{DEV}:1", "bad"), pushed(f"{DEV}:2", "other")), BAD)
    assert [(str(one.target), one.policy, one.revision, one.hops, one.is_present) for one in blast.copies] == [
        (f"{AWAY}:1", "away", 1, 3, True),
        (f"{PROD}:1", "to-prod", 1, 2, True),
        (f"{QA}:1", "to-qa", 1, 1, True),
    ]
    assert [(str(one.reference), one.is_present) for one in blast.origins] == [(f"{DEV}:1", True)]


def test_a_tag_that_has_something_else_by_now_is_told_as_such() -> None:
    world = played(pushed(f"{DEV}:1", "bad"), pushed(f"{DEV}:1", "mended"), pushed(f"{DEV}:2", "bad"))
    assert {(target, there) for target, _, there in copies(world)} == {
        (f"{place}:{tag}", tag == "2") for place in (QA, PROD, AWAY) for tag in ("1", "2")
    }


def test_a_tag_that_was_deleted_does_not_have_it_any_more() -> None:
    world = played(pushed(f"{DEV}:1", "bad"), deleted(f"{PROD}:1"))
    assert (f"{PROD}:1", "to-prod", False) in copies(world)


def test_what_a_person_promoted_is_a_copy_too() -> None:
    world = played(pushed(f"{DEV}:1", "bad"), requested(f"{DEV}:1", "bad", f"{QA}:hot-fix"))
    assert (f"{QA}:hot-fix", "(manual)", True) in copies(world)


def test_a_registry_that_tells_of_our_own_copy_first_does_not_make_it_a_push() -> None:
    world = CarryingWorld()

    async def play() -> None:
        await world.record(proposed(*POLICIES), pushed(f"{DEV}:1", "bad"), pushed(f"{QA}:1", "bad", actor="towline"))
        await world.carry_out()

    asyncio.run(play())
    blast = blast_of(world, BAD)
    assert {str(one.target) for one in blast.copies} >= {f"{QA}:1"}
    assert {str(one.reference) for one in blast.origins} == {f"{DEV}:1"}


def test_the_transfer_that_moved_the_tag_counts_and_not_one_that_found_it_there() -> None:
    world = CarryingWorld()
    world.tags[f"{QA}:1"] = digest("bad")
    asyncio.run(world.happen(proposed(*POLICIES), pushed(f"{DEV}:1", "bad")))
    world.tags[f"{QA}:1"] = digest("unheard")
    asyncio.run(world.happen(proposed(*POLICIES, replaces=1), pushed(f"{DEV}:1", "bad", key="again")))
    assert {one.revision for one in blast_of(world, BAD).copies if str(one.target) == f"{QA}:1"} == {2}


def test_an_outcome_that_a_crash_repeats_later_does_not_make_a_hot_fix_bad() -> None:
    world = played(pushed(f"{DEV}:1", "bad"))

    async def go_on() -> None:
        events = [decode(record.value or b"") for record in await all_records(world.log, EVENTS)]
        (late,) = (one for one in events if isinstance(one.data, Arrived) and str(one.data.target) == f"{PROD}:1")
        await world.happen(pushed(f"{PROD}:1", "hot-fix"), late)

    asyncio.run(go_on())
    assert (f"{PROD}:1", "to-prod", False) in copies(world)
    assert not [
        one for one in blast_of(world, Question(digest=digest("hot-fix"))).copies if str(one.target) == f"{PROD}:1"
    ]


def test_an_index_that_was_reduced_on_the_way_is_followed_under_its_new_digest() -> None:
    world = CarryingWorld()

    async def play() -> None:
        await world.record(proposed(*POLICIES), pushed(f"{DEV}:1", "bad"))
        await world.end(f"{QA}:1", reduced)
        await world.carry_out()

    asyncio.run(play())
    found = {str(one.target): (one.digest, one.commanded_digest) for one in blast_of(world, BAD).copies}
    less = digest(f"some of {digest('bad')}")
    assert found[f"{QA}:1"] == (less, digest("bad"))
    assert found[f"{PROD}:1"] == (less, less)


def test_a_revision_has_moved_what_its_own_decisions_moved() -> None:
    world = played(
        pushed(f"{DEV}:1", "good"),
        proposed(*POLICIES, policy("more", DEV, "local/more"), replaces=1),
        pushed(f"{DEV}:2", "bad"),
        requested(f"{DEV}:1", "good", f"{QA}:by-hand"),
    )
    second = {target for target, _, _ in copies(world, Question(revision=2))}
    assert {target for target in second if target.endswith(":2")} == {
        f"{place}:2" for place in (QA, PROD, AWAY, "local/more")
    }
    assert f"{QA}:by-hand" not in second, "a person's word is no revision's"
    assert f"{QA}:1" not in second
    assert copies(world, Question(revision=2, policy="more")) >= {("local/more:2", "more", True)}
    assert copies(world, Question(policy="to-prod")) >= {(f"{PROD}:1", "to-prod", True), (f"{PROD}:2", "to-prod", True)}


def with_scans(*facts: Envelope[Frozen]) -> CarryingWorld:
    return played(pushed(f"{DEV}:1", "bad"), pushed(f"{DEV}:2", "other"), *facts)


CVE = Question(vulnerability="cve-1")


def test_a_vulnerability_is_in_what_the_last_scan_says() -> None:
    found = scanned(DEV, "bad", vulnerability("CVE-1"), time=at(10))
    assert {target for target, _, _ in copies(with_scans(found), CVE)} == {f"{QA}:1", f"{PROD}:1", f"{AWAY}:1"}
    assert copies(with_scans(found, scanned(DEV, "bad", time=at(20))), CVE) == set()
    assert copies(with_scans(scanned(DEV, "bad", time=at(20)), found), CVE) == set()
    assert copies(with_scans(scanned(DEV, "bad", vulnerability("CVE-2"))), CVE) == set()


def test_a_report_that_travelled_is_as_old_as_the_one_of_its_source() -> None:
    found = scanned(DEV, "bad", vulnerability("CVE-1"), time=at(10))
    travelled = scanned(QA, "bad", vulnerability("CVE-1"), time=at(30), carried_from=Reference.parse(f"{DEV}:1"))
    assert copies(with_scans(found, scanned(DEV, "bad", time=at(20)), travelled), CVE) == set()


def test_an_index_has_the_vulnerabilities_of_its_platforms() -> None:
    index = inspected(DEV, "bad", platform_image("linux/amd64", "part"), platform_image("linux/arm64", "fine"))
    for scan in (
        scanned(DEV, "part", vulnerability("CVE-1")),
        scanned(DEV, "bad", vulnerability("CVE-1"), platform="linux/amd64"),
    ):
        blast = blast_of(with_scans(index, scan), CVE)
        assert set(blast.digests) == {digest("bad"), digest("part")}
        assert {str(one.target) for one in blast.copies} == {f"{QA}:1", f"{PROD}:1", f"{AWAY}:1"}


@pytest.mark.parametrize(
    ("more", "is_overridden"),
    [
        (lambda: [overridden(PROD, "CVE-1")], True),
        (lambda: [overridden(PROD, "CVE-1", image="bad")], True),
        (lambda: [overridden(PROD, "CVE-1", component="xz")], True),
        (lambda: [overridden(PROD, "CVE-1", component="zlib")], False),
        (lambda: [overridden(PROD, "CVE-2")], False),
        (lambda: [overridden(QA, "CVE-1", image="bad")], False),
        (lambda: [overridden(PROD, "CVE-1", expires_at=at(100)), ticked(50)], True),
        (lambda: [overridden(PROD, "CVE-1", expires_at=at(100)), ticked(100)], False),
        (lambda: [overridden(PROD, "CVE-1"), override_revoked(PROD, "CVE-1", reason="it is")], False),
    ],
)
def test_who_answers_for_a_vulnerability_where_is_told(
    more: Callable[[], list[Envelope[Frozen]]], is_overridden: bool
) -> None:
    blast = blast_of(with_scans(scanned(DEV, "bad", vulnerability("CVE-1")), *more()), CVE)
    answers = {str(one.target): one.overridden for one in blast.copies}
    assert (answers[f"{PROD}:1"] is not None) == is_overridden
    if is_overridden:
        assert answers[f"{PROD}:1"] == "security answers for it: not reachable"


def test_nothing_is_written_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    world = with_scans(scanned(DEV, "bad", vulnerability("CVE-1")))

    async def refuse(_: Append) -> None:
        raise AssertionError("something was written")

    monkeypatch.setattr(world.log, "before_append", refuse)
    for question in (BAD, CVE, Question(revision=1)):
        assert blast_of(world, question).copies


def test_the_command_prints_every_copy_and_ends_with_a_finding_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = played(pushed(f"{DEV}:1", "bad"))
    in_place_of_kafka(monkeypatch, audit_blast, world.log)

    def typed(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["audit", "blast", *arguments])
        assert result.exit_code == code, result.output
        return str(result.output)

    told = json.loads(typed(digest("bad"), "--json"))
    assert [(one["target"], one["source"], one["is_present"]) for one in told["copies"]] == [
        (f"{AWAY}:1", f"{PROD}:1", True),
        (f"{PROD}:1", f"{QA}:1", True),
        (f"{QA}:1", f"{DEV}:1", True),
    ]
    assert [one["reference"] for one in told["pushed"]] == [f"{DEV}:1"]
    out = typed(digest("bad"))
    assert "3 copies, 3 of them there now" in out
    assert f"pushed to {DEV}:1" in out
    assert "the log knows no copy" in typed(digest("other"), code=1)
    assert "neither a digest nor" in typed("bad", code=2)


def test_a_question_is_about_one_thing() -> None:
    for wrong in ({}, {"digest": digest("a"), "vulnerability": "CVE-1"}, {"digest": digest("a"), "revision": 1}):
        with pytest.raises(MisuseError, match="say what is bad"):
            Question(**wrong)


def test_a_tag_of_which_the_log_knows_nothing_has_no_past() -> None:
    assert blast_of(played(), BAD).copies == ()
    assert Reference.parse(f"{QA}:1") not in asyncio.run(trace(played().log, BAD)).pasts
