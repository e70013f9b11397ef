"""What a publication judges of what is there already: by which policies, how much with each event, and what not."""

import pytest

from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import at, deleted, policy, published, pushed, rule, rule_on, ticked
from tests.support.facts import overridden, scanned, vulnerability
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits

ALL = policy("all", DEV, QA)
GLOB = policy("glob", "local/dev/*", "local/qa/{1}")


def tags(count: int, repository: str = DEV) -> list[Envelope[Frozen]]:
    return [pushed(f"{repository}:{number}", f"{repository} {number}") for number in range(count)]


def sources(partition: Partition, *events: Envelope[Frozen]) -> list[str]:
    return [str(decision.source) for decision in partition.take(*events)]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 3)


def test_a_new_policy_judges_what_its_source_has() -> None:
    partition = Partition(*tags(2), pushed("local/dev/other:1", "one"))
    made = partition.take(published(policy("p", DEV, QA, rule("equals", "1"))))
    assert [(str(d.source), d.verdict, d.revision) for d in made] == [
        (f"{DEV}:0", "deny", 1),
        (f"{DEV}:1", "promote", 1),
    ]
    assert [str(copy.target) for copy in partition.copies] == [f"{QA}:1"]


def test_a_glob_judges_every_repository_that_it_matches_with_its_captures() -> None:
    partition = Partition(
        *tags(1), *tags(1, "local/dev/tool"), *tags(1, "local/dev/deep/tool"), *tags(1, "local/x/app")
    )
    made = partition.take(published(policy("glob", "local/dev/*", "local/qa/{1}", tag="{1}-%n")))
    assert [str(d.target) for d in made] == [f"{QA}:app-0", "local/qa/tool:tool-0"]


def test_future_only_policies_judge_nothing_old() -> None:
    partition = Partition(*tags(2))
    for given in (ALL, GLOB):
        later = given.model_copy(update={"initial_evaluation": False})
        assert Partition(*tags(2)).take(published(later)) == []
    partition.take(published(ALL.model_copy(update={"initial_evaluation": False})))
    assert partition.take(ticked(60)) == []
    assert partition.verdicts(pushed(f"{DEV}:0", "new")) == ["promote"]


def test_only_new_and_changed_policies_judge_again() -> None:
    partition = Partition(*tags(1), published(ALL))
    changed = policy("changed", DEV, QA, tag="%n-changed")
    assert [d.policy for d in partition.take(published(ALL, changed, revision=2))] == ["changed"]
    changed = changed.model_copy(update={"tag": "%n-again"})
    assert [d.policy for d in partition.take(published(ALL, changed, revision=3))] == ["changed"]
    assert partition.take(published(ALL, revision=4)) == []
    assert [d.policy for d in partition.take(published(ALL, changed, revision=5))] == ["changed"]
    enforced = ALL.model_copy(update={"mode": "shadow"})
    assert [(d.policy, d.mode) for d in partition.take(published(enforced, revision=6))] == [("all", "shadow")]


def test_deleted_tags_and_tags_of_signatures_are_passed_over() -> None:
    signature = pushed(f"{DEV}:sha256-{'a' * 64}.sig", "signature")
    partition = Partition(*tags(2), deleted(f"{DEV}:0"), signature)
    assert sources(partition, published(ALL)) == [f"{DEV}:1"]


@pytest.mark.usefixtures("small_steps")
def test_many_tags_are_judged_in_bounded_steps_each_once_and_the_ticks_go_on() -> None:
    partition = Partition(*tags(7))
    steps = [sources(partition, event) for event in (published(ALL), *(ticked(n) for n in range(1, 6)))]
    assert all(len(step) <= limits.judged_tag_count for step in steps)
    assert [source for step in steps for source in step] == [f"{DEV}:{number}" for number in range(7)]
    assert steps[-1] == []


@pytest.mark.usefixtures("small_steps")
def test_repositories_that_do_not_match_cost_of_the_bound_too_and_are_passed_over() -> None:
    others = [event for number in range(5) for event in tags(1, f"local/other/{number}")]
    partition = Partition(*others, *tags(2), *tags(2, "local/dev/tool"))
    steps = [sources(partition, event) for event in (published(GLOB), *(ticked(n) for n in range(1, 8)))]
    assert steps[0] == []
    expected = [f"{DEV}:0", f"{DEV}:1", "local/dev/tool:0", "local/dev/tool:1"]
    assert [source for step in steps for source in step] == expected


@pytest.mark.usefixtures("small_steps")
def test_what_is_pushed_meanwhile_is_judged_with_its_push_and_not_again() -> None:
    partition = Partition(*tags(5), published(ALL))
    assert sources(partition, pushed(f"{DEV}:4", "moved"), pushed(f"{DEV}:new", "new")) == [f"{DEV}:4", f"{DEV}:new"]
    partition.take(deleted(f"{DEV}:3"))
    assert sources(partition, ticked(1), ticked(2), ticked(3)) == [f"{DEV}:2"]


@pytest.mark.usefixtures("small_steps")
def test_a_tick_from_the_past_goes_on_with_nothing() -> None:
    partition = Partition(ticked(60), *tags(5), published(ALL))
    assert sources(partition, ticked(60), ticked(30)) == []
    assert sources(partition, ticked(61)) != []


@pytest.mark.usefixtures("small_steps")
def test_a_second_publication_begins_anew_for_what_it_changed_and_goes_on_with_the_rest() -> None:
    other = policy("other", DEV, "remote/app")
    changed = ALL.model_copy(update={"tag": "%n-changed"})
    partition = Partition(*tags(5), published(ALL, other))
    made = partition.take(published(changed, other, revision=2), *(ticked(n) for n in range(1, 8)))
    assert sorted(f"{d.policy} {d.source.tag}" for d in made) == [
        *(f"all {number}" for number in range(5)), *(f"other {number}" for number in range(2, 5))
    ]  # fmt: skip
    later = changed.model_copy(update={"initial_evaluation": False})
    partition = Partition(*tags(5), published(ALL), published(later, revision=2))
    assert partition.take(*(ticked(n) for n in range(1, 5))) == [], "it judges nothing old any more"


def test_a_timer_and_a_sweep_that_come_to_the_same_tag_judge_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    soak = policy("p", DEV, QA, rule_on("soak", ">=", "1h"))
    partition = Partition(published(soak), *tags(2))
    changed = soak.model_copy(update={"tag": "%n-changed"})
    assert sources(partition, published(changed, revision=2)) == [f"{DEV}:0"], "the other one is left for the tick"
    assert sorted(sources(partition, ticked(3600))) == [f"{DEV}:0", f"{DEV}:1"]


@pytest.mark.usefixtures("small_steps")
def test_an_override_for_the_repository_judges_what_waits_in_bounded_steps() -> None:
    clean = policy("clean", DEV, QA, rule_on("vulnerability_all", "=", "0"))
    other = policy("other", DEV, "remote/app", rule_on("approved", ">=", "1"))
    partition = Partition(published(clean, other))
    for number in range(5):
        partition.take(
            pushed(f"{DEV}:{number}", f"image {number}", media_type="application/vnd.oci.image.manifest.v1+json")
        )
        partition.take(scanned(DEV, f"image {number}", *([vulnerability("CVE-1")] if number else [])))
    steps = [partition.take(event) for event in (overridden(DEV, "CVE-1"), ticked(1), ticked(2), ticked(3))]
    assert all(len(step) <= limits.judged_tag_count for step in steps)
    made = [(d.policy, d.source.tag, d.verdict) for step in steps for d in step]
    assert made == [("clean", str(number), "promote") for number in range(1, 5)]


def test_more_tags_than_a_page_holds_are_all_judged() -> None:
    partition = Partition(*tags(150))
    assert sources(partition, published(ALL)) == [f"{DEV}:{number}" for number in range(150)]


def test_each_decision_of_one_event_has_an_id_of_its_own() -> None:
    partition = Partition(*tags(3))
    partition.take(published(policy("p", DEV, QA, tag="released")))
    assert partition.step is not None
    assert len({decision.id for decision in partition.step.decisions}) == 3
    assert {decision.time for decision in partition.step.decisions} == {at(0)}


def test_a_policy_that_appears_judges_a_tag_that_a_disabled_one_left() -> None:
    disabled = ALL.model_copy(update={"mode": "disabled"})
    partition = Partition(published(disabled))
    assert partition.verdicts(pushed(TAG, "one")) == ["ignore"]
    assert partition.verdicts(published(ALL, revision=2)) == ["promote"]
