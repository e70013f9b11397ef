"""What is asked of registries: what a source has, and what a digest consists of. And what the answers change."""

import pytest

from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.references import Frozen
from tests.support.builders import at, deleted, digest, policy, proposed, published, pushed, rule, rule_on, ticked
from tests.support.facts import inspected, inspection_failed, observed, poll_completed, poll_failed, sync_requested
from tests.unit.policy.playing import DEV, QA, TAG, Partition

ALL = policy("all", DEV, QA)
LATER = policy("later", DEV, "remote/app", initial_evaluation=False)
SMALL = policy("small", DEV, QA, rule_on("size", "<", "1GB"))
SIGNED = policy("signed", DEV, "remote/app", rule_on("signed-by", "one-of", "release"))


def asked(partition: Partition, *events: Envelope[Frozen]) -> list[tuple[str, str]]:
    partition.take(*events)
    return [(str(poll.source), poll.cause) for poll in partition.polls]


def looked_at(partition: Partition, *events: Envelope[Frozen]) -> list[str]:
    partition.take(*events)
    return [command.digest for command in partition.inspections]


def test_an_accepted_proposal_asks_the_sources_of_what_is_new_or_changed_once_each() -> None:
    glob = policy("glob", "local/dev/*", "local/qa/{1}")
    partition = Partition()
    given = proposed(glob, ALL, SMALL, LATER)
    assert asked(partition, given) == [("local/dev/*", "initial-evaluation"), (DEV, "initial-evaluation")]
    assert asked(partition, given) == [], "it is accepted once"
    partition.take(published(glob, ALL, SMALL, LATER))
    changed = glob.model_copy(update={"tag": "%n-new"})
    assert asked(partition, proposed(changed, ALL, replaces=1)) == [("local/dev/*", "initial-evaluation")]


def test_a_future_only_policy_asks_nothing_unless_its_source_is_polled() -> None:
    assert asked(Partition(), proposed(LATER)) == []
    polled = LATER.model_copy(update={"poll": "30m"})
    assert asked(Partition(), proposed(polled)) == [(DEV, "initial-evaluation")]
    assert asked(Partition(), proposed(polled.model_copy(update={"mode": "disabled"}))) == []


def test_ticks_ask_on_the_interval_and_only_where_proposals_are_taken() -> None:
    polled = ALL.model_copy(update={"poll": "30m"})
    partition = Partition(proposed(polled), published(polled))
    assert [asked(partition, ticked(n)) for n in (60, 1799, 1800, 1860, 3599, 3600)] == [
        [], [], [(DEV, "interval")], [], [], [(DEV, "interval")]
    ]  # fmt: skip
    assert asked(partition, ticked(3600)) == []
    elsewhere = Partition(published(polled))
    assert [asked(elsewhere, ticked(n)) for n in (1800, 3600)] == [[], []]
    partition.take(published(ALL, revision=2))
    assert asked(partition, ticked(9000)) == []


def test_a_tick_that_comes_late_or_twice_asks_nothing() -> None:
    polled = ALL.model_copy(update={"poll": "1s"})
    partition = Partition(ticked(600), proposed(polled), published(polled))
    assert asked(partition, ticked(600)) == asked(partition, ticked(300)) == []
    assert asked(partition, ticked(601)) == [(DEV, "interval")]


def test_of_several_intervals_of_one_source_the_shortest_counts_and_it_is_asked_once() -> None:
    both = [ALL.model_copy(update={"poll": "1h"}), SMALL.model_copy(update={"poll": "30m"})]
    partition = Partition(proposed(*both), published(*both))
    assert [asked(partition, ticked(n)) for n in (1800, 3600)] == [[(DEV, "interval")], [(DEV, "interval")]]


def test_a_person_has_a_source_asked_at_once_and_its_interval_stays() -> None:
    polled = ALL.model_copy(update={"poll": "30m"})
    partition = Partition(proposed(polled), published(polled))
    assert asked(partition, sync_requested("all", DEV, time=at(1700))) == [(DEV, "manual")]
    assert asked(partition, ticked(1800)) == [(DEV, "interval")]


def test_what_the_first_poll_finds_was_there_before_and_what_later_ones_find_is_new() -> None:
    partition = Partition(published(ALL, LATER))
    made = partition.take(observed(TAG, "one"), observed(f"{DEV}:2.0", "two"))
    assert [(d.policy, d.source.tag) for d in made] == [("all", "1.0"), ("all", "2.0")]
    partition.take(poll_completed(DEV))
    assert partition.take(observed(TAG, "one", key="next poll")) == [], "nothing is new"
    made = partition.take(observed(f"{DEV}:3.0", "three"), observed(TAG, "moved"))
    assert [(d.policy, d.source.tag) for d in made] == [
        ("all", "3.0"), ("later", "3.0"), ("all", "1.0"), ("later", "1.0")
    ]  # fmt: skip


def test_a_tag_that_moved_or_was_pushed_before_the_first_poll_ends_is_new_to_all() -> None:
    partition = Partition(published(ALL, LATER), pushed(TAG, "one"))
    assert [d.policy for d in partition.take(observed(TAG, "moved"))] == ["all", "later"]
    partition = Partition(published(ALL, LATER), pushed(TAG, "one"), deleted(TAG))
    assert [d.policy for d in partition.take(observed(TAG, "one"))] == ["all", "later"]


def test_what_a_poll_saw_before_the_tag_was_last_updated_is_old() -> None:
    for update in (pushed(TAG, "new", time=at(60)), deleted(TAG, time=at(60))):
        partition = Partition(published(ALL), pushed(TAG, "old"), update)
        assert partition.take(observed(TAG, "old", time=at(59))) == []
        assert partition.verdicts(observed(TAG, "old", key="later", time=at(60))) == ["promote"]


def test_future_only_policies_ignore_what_the_first_poll_finds_and_say_so() -> None:
    partition = Partition(published(LATER), poll_failed(DEV))
    (ignored,) = partition.take(observed(TAG, "one"))
    assert (ignored.verdict, ignored.policy) == ("ignore", None)
    assert "judge only what is new" in ignored.reason
    assert partition.verdicts(pushed(TAG, "two")) == ["mirror"]


def test_a_poll_that_names_another_repository_or_none_tells_nothing_of_this_one() -> None:
    for ended in (poll_completed("local/dev/other"), poll_failed(DEV)):
        partition = Partition(published(LATER), ended)
        assert partition.verdicts(observed(TAG, "one")) == ["ignore"]


def test_a_poll_that_ends_twice_changes_nothing() -> None:
    partition = Partition(poll_completed(DEV))
    before = dict(partition.state.values)
    partition.take(poll_completed(DEV), poll_completed(DEV, key="next", time=at(60)))
    assert partition.state.values == before


def test_a_new_image_is_inspected_when_a_policy_looks_into_it_and_not_once_it_is_known() -> None:
    partition = Partition(published(SMALL))
    assert looked_at(partition, pushed(TAG, "one")) == [digest("one")]
    assert looked_at(partition, pushed("local/dev/other:1", "one")) == []
    assert looked_at(partition, inspected(DEV, "one")) == []
    assert looked_at(partition, pushed(f"{DEV}:latest", "one")) == []
    assert looked_at(Partition(published(ALL)), pushed(TAG, "one")) == []
    chosen = ALL.model_copy(update={"platforms": ("linux/amd64",)})
    assert looked_at(Partition(published(chosen)), pushed(TAG, "one")) == [digest("one")]


def test_a_failed_inspection_is_tried_again_with_the_next_arrival() -> None:
    partition = Partition(published(SMALL), pushed(TAG, "one"))
    assert looked_at(partition, inspection_failed(DEV, "one")) == []
    assert looked_at(partition, pushed(f"{DEV}:latest", "one")) == [digest("one")]


@pytest.mark.parametrize("tell", [pushed, observed])
def test_a_failed_inspection_is_tried_again_when_the_image_is_pushed_or_polled_once_more(tell: object) -> None:
    assert callable(tell)
    partition = Partition(published(SMALL), pushed(TAG, "one"))
    assert looked_at(partition, tell(TAG, "one", key="again")) == [], "the first look is under way"
    partition.take(inspection_failed(DEV, "one", time=at(1)))
    assert looked_at(partition, tell(TAG, "one", key="then", time=at(2))) == [digest("one")]
    partition.take(inspected(DEV, "one"))
    assert looked_at(partition, tell(TAG, "one", key="later")) == [], "it is known"


@pytest.mark.parametrize("tell", [pushed, observed])
def test_an_arrival_that_is_delivered_again_asks_for_no_inspection_again(tell: object) -> None:
    assert callable(tell)
    repeated = tell(TAG, "one", key="repeated", time=at(2))
    partition = Partition(published(SMALL), pushed(TAG, "one", time=at(1)), repeated)
    partition.take(inspection_failed(DEV, "one", time=at(3)))
    assert looked_at(partition, repeated) == [], "it came before the look"
    again = tell(TAG, "one", key="again", time=at(4))
    assert looked_at(partition, again) == [digest("one")]
    assert looked_at(partition, again) == []


def test_a_failed_inspection_that_no_policy_needs_any_more_is_left() -> None:
    partition = Partition(
        published(SMALL), pushed(TAG, "one"), inspection_failed(DEV, "one"), published(ALL, revision=2)
    )
    assert looked_at(partition, pushed(TAG, "one", key="again")) == []


def test_signatures_are_looked_for_again_with_every_arrival_and_publication() -> None:
    partition = Partition(published(SIGNED), inspected(DEV, "one"))
    assert looked_at(partition, pushed(TAG, "one")) == [digest("one")]
    assert looked_at(partition, pushed(f"{DEV}:latest", "one")) == [digest("one")]
    changed = SIGNED.model_copy(update={"tag": "new"})
    assert looked_at(partition, published(changed, revision=2)) == [digest("one")], "once, for both tags"


def test_a_publication_inspects_what_its_new_policies_look_into() -> None:
    partition = Partition(pushed(TAG, "one"), pushed(f"{DEV}:2.0", "two"), inspected(DEV, "two"))
    assert looked_at(partition, published(SMALL)) == [digest("one")]


@pytest.mark.parametrize("suffix", [".sig", ".att", ".sbom", ""])
@pytest.mark.parametrize("tell", [pushed, observed])
def test_the_tag_of_a_signature_is_ignored_and_its_subject_looked_at_again(tell: object, suffix: str) -> None:
    partition = Partition(published(ALL, SMALL), pushed(TAG, "one"))
    tag = f"{DEV}:{digest('one').replace(':', '-')}{suffix}"
    assert callable(tell)
    (ignored,) = partition.take(tell(tag, "signature"))
    assert (ignored.verdict, digest("one") in ignored.reason) == ("ignore", True)
    assert [command.digest for command in partition.inspections] == [digest("one")]
    partition.take(tell(tag, "signature"))
    assert partition.inspections == [], "it was delivered again"
    assert looked_at(partition, observed(tag, "signature", key="next poll")) == [], "nothing is new"


def test_the_signature_of_an_image_that_is_not_here_makes_nobody_look() -> None:
    partition = Partition(published(ALL))
    assert looked_at(partition, pushed(f"{DEV}:sha256-{'a' * 64}.sig", "signature")) == []


def test_a_tag_that_only_resembles_that_of_a_signature_is_judged() -> None:
    partition = Partition(published(policy("p", DEV, QA, rule("starts-with", "sha256"))))
    for tag in (f"sha256-{'a' * 63}", f"sha256-{'a' * 64}.other", f"xsha256-{'a' * 64}"):
        (made,) = partition.take(pushed(f"{DEV}:{tag}", tag, media_type=OCI_MANIFEST))
        assert made.policy == "p"
