"""Hints: each has its tag looked at once, and what is seen there is judged as a push is."""

import pytest

from schemas.canonical import content_id
from schemas.catalogue import encode
from schemas.commands import ResolveTag
from schemas.descriptors import OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import arrived, at, deleted, digest, policy, published, pushed, rule_on
from tests.support.facts import approved, observed, poll_completed
from tests.support.hints import hinted, looked, missing, noticed
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits
from towline.policy.agenda import News
from towline.policy.state.tags import TagState, tags_list

REFERENCE = Reference.parse(TAG)
TO_QA = published(policy("to-qa", DEV, QA))
APPROVED = published(policy("to-qa", DEV, QA, rule_on("approved", ">=", "1")))


def looks(partition: Partition) -> list[Envelope[Frozen]]:
    """The looks that the last event leads to."""
    assert partition.step is not None
    return [item for item in partition.step.commands if isinstance(item.data, ResolveTag)]


def news(partition: Partition) -> News | None:
    """How the last event came to be known."""
    assert partition.step is not None
    return partition.step.news


def test_a_hint_decides_nothing_and_has_its_tag_looked_at() -> None:
    partition = Partition(TO_QA)
    event = hinted(TAG, actor="ann", time=at(30))
    assert partition.take(event) == []
    (command,) = looks(partition)
    assert command.data == ResolveTag(event_id=event.id, repository=Repository.parse(DEV), tag="1.0", actor="ann")
    assert (command.id, command.time, command.subject) == (content_id(event.id, "tag.resolve"), at(30), TAG)
    assert partition.step is not None
    assert list(partition.step.commands) == [command]


def test_a_hint_that_is_delivered_again_has_nobody_look_a_second_time() -> None:
    partition = Partition(TO_QA)
    for _ in range(2):
        partition.take(hinted(TAG))
    assert looks(partition) == []
    partition.take(looked(TAG, "one"), hinted(TAG))
    assert looks(partition) == []
    kept = dict(partition.state.values)
    partition.take(hinted(TAG))
    assert partition.state.values == kept


def test_each_hint_at_a_tag_has_it_looked_at_and_those_at_another_tag_too() -> None:
    partition = Partition(TO_QA)
    for event in (hinted(TAG), hinted(TAG, key="again"), hinted(f"{DEV}:other")):
        partition.take(event)
        assert len(looks(partition)) == 1


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_only_a_source_of_a_policy_in_force_is_looked_at(mode: str) -> None:
    partition = Partition(published(policy("to-qa", "local/dev/*", QA, mode=mode)))
    partition.take(hinted(TAG))
    assert len(looks(partition)) == 1
    for elsewhere in (f"{QA}:1.0", "local/other:1.0"):
        kept = dict(partition.state.values)
        partition.take(hinted(elsewhere))
        assert looks(partition) == []
        assert partition.state.values == kept, "what a stranger hints at costs no state"
    for none in (Partition(), Partition(published(policy("to-qa", DEV, QA, mode="disabled")))):
        none.take(hinted(TAG))
        assert looks(none) == []


def test_what_is_seen_after_a_hint_is_judged_as_a_push_by_the_one_whom_the_hint_names() -> None:
    pushing, hinting = Partition(TO_QA), Partition(TO_QA, hinted(TAG))
    told = pushed(TAG, "one", actor="ann", media_type=OCI_MANIFEST, time=at(60))
    seen = looked(TAG, "one", actor="ann", media_type=OCI_MANIFEST, time=at(60))
    for one, other in zip(pushing.take(told), hinting.take(seen), strict=True):
        assert one.model_copy(update={"event_id": other.event_id}) == other
    assert (one.verdict, one.pushed_by) == ("promote", "ann")
    assert (news(pushing), news(hinting)) == ("told", "told")


def test_a_hint_at_what_is_known_already_is_ignored_with_its_reason_as_a_push_is() -> None:
    partition = Partition(TO_QA, pushed(TAG, "one"), hinted(TAG, time=at(10)))
    (ignored,) = partition.take(looked(TAG, "one", time=at(11)))
    assert (ignored.verdict, partition.copies) == ("ignore", [])
    assert "has this digest already" in ignored.reason
    again = published(policy("to-qa", DEV, QA), revision=2)
    assert partition.verdicts(again, looked(TAG, "one", key="second", time=at(12))) == ["promote"]


def test_the_end_of_a_look_that_is_told_again_decides_nothing() -> None:
    partition = Partition(TO_QA, hinted(TAG))
    seen = looked(TAG, "one", time=at(10))
    assert partition.verdicts(seen, seen) == ["promote"]
    kept = dict(partition.state.values)
    assert partition.verdicts(seen) == []
    assert partition.state.values == kept


def test_whoever_a_hint_names_cannot_approve_and_where_it_names_nobody_anybody_can() -> None:
    for approver, actor, verdict in (("ann", "ann", "hold"), ("bob", "ann", "promote"), ("ann", None, "promote")):
        partition = Partition(APPROVED, hinted(TAG, actor=actor), looked(TAG, "one", actor=actor))
        assert partition.verdicts(approved(DEV, "one", "to-qa", approver)) == [verdict], (approver, actor)


def test_everybody_whom_hints_name_for_a_digest_has_pushed_it() -> None:
    partition = Partition(APPROVED, looked(TAG, "one", actor="ann"), looked(TAG, "one", key="second", actor="bob"))
    assert partition.verdicts(approved(DEV, "one", "to-qa", "ann"), approved(DEV, "one", "to-qa", "bob")) == [
        "hold",
        "hold",
    ]


def test_what_a_look_saw_before_newer_word_changes_nothing() -> None:
    partition = Partition(TO_QA, hinted(TAG), pushed(TAG, "newer", time=at(60)))
    assert partition.verdicts(looked(TAG, "older", time=at(59)), missing(TAG, key="too", time=at(59))) == []
    assert TagState.read(partition.state, REFERENCE).digest == digest("newer")
    assert partition.verdicts(looked(TAG, "newest", key="later", time=at(61))) == ["promote"]


def test_a_tag_that_a_look_did_not_find_is_deleted_and_what_comes_back_is_judged() -> None:
    partition = Partition(TO_QA, pushed(TAG, "one"), hinted(TAG, time=at(10)))
    assert partition.verdicts(missing(TAG, time=at(11))) == []
    assert news(partition) == "told"
    assert TagState.read(partition.state, REFERENCE).digest is None
    assert partition.verdicts(looked(TAG, "one", key="back", time=at(12))) == ["promote"]


def test_hints_at_tags_that_never_were_leave_nothing_in_the_state() -> None:
    partition = Partition(TO_QA)
    before = dict(partition.state.values)
    for number in range(30):
        reference = f"{DEV}:never-{number}"
        partition.take(hinted(reference), missing(reference))
    assert partition.state.values == before


def test_a_deletion_that_a_sender_told_counts_whatever_its_clock_says() -> None:
    """Only of a look it is known when it began; the order of what is told is that of the log."""
    partition = Partition(TO_QA, pushed(TAG, "one", time=at(60)), deleted(TAG, time=at(0)))
    assert TagState.read(partition.state, REFERENCE).digest is None


def test_what_a_hint_has_somebody_see_before_the_first_poll_is_new_to_every_policy() -> None:
    future = published(policy("to-qa", DEV, QA, initial_evaluation=False))
    assert Partition(future).verdicts(observed(TAG, "one")) == ["ignore"]
    assert Partition(future, hinted(TAG)).verdicts(looked(TAG, "one")) == ["promote"]


def test_a_hint_alone_makes_no_tag_known() -> None:
    """The first poll finds what was there before, although somebody hinted at it."""
    future = published(policy("to-qa", DEV, QA, initial_evaluation=False))
    partition = Partition(future, hinted(TAG))
    assert partition.state.get(tags_list(Repository.parse(DEV))) is None
    assert partition.verdicts(observed(TAG, "one")) == ["ignore"]
    assert partition.verdicts(poll_completed(DEV), pushed(f"{DEV}:2", "one")) == ["promote"]


def test_a_hint_keeps_what_waits_for_a_verdict() -> None:
    partition = Partition(APPROVED, pushed(TAG, "one"), hinted(TAG))
    assert partition.verdicts(approved(DEV, "one", "to-qa", "ann")) == ["promote"]


def test_a_signature_that_a_hint_tells_of_has_its_image_looked_into_again() -> None:
    signing = published(policy("to-qa", DEV, QA, rule_on("signed-by", "one-of", "release")))
    partition = Partition(signing, pushed(TAG, "one"))
    tag = f"{DEV}:{digest('one').replace(':', '-')}.sig"
    partition.take(hinted(tag))
    assert len(looks(partition)) == 1
    partition.take(looked(tag, "signature"))
    assert [item.digest for item in partition.inspections] == [digest("one")]


def test_our_own_copy_that_a_registry_hints_at_moves_nothing_and_hides_nobody() -> None:
    chain = published(policy("onward", QA, "remote/app"))
    partition = Partition(chain, arrived(f"{QA}:1.0", "one", hops=1), hinted(f"{QA}:1.0", time=at(70)))
    (ignored,) = partition.take(looked(f"{QA}:1.0", "one", actor="towline", time=at(71)))
    assert (ignored.verdict, ignored.hops, ignored.pushed_by) == ("ignore", 1, None)


def test_hints_are_forgotten_with_the_last_events_of_their_tag_and_cost_no_more_state() -> None:
    partition = Partition(TO_QA, *(hinted(TAG, key=f"hint {number}") for number in range(100)))
    assert len(TagState.read(partition.state, REFERENCE).recent) == limits.recent_event_count
    partition.take(hinted(TAG, key="hint 99"))
    assert looks(partition) == []


def test_the_same_hint_gives_the_same_bytes_each_time() -> None:
    given = []
    for _ in range(2):
        partition = Partition(TO_QA)
        partition.take(hinted(TAG))
        given.append([encode(item) for item in looks(partition)])
    assert given[0] == given[1] != []


def test_a_notice_of_a_scan_decides_nothing_and_changes_nothing() -> None:
    scanned = published(policy("to-qa", DEV, QA, rule_on("vulnerability_all", "=", "0")))
    partition = Partition(scanned, pushed(TAG, "one", media_type=OCI_MANIFEST))
    kept = dict(partition.state.values)
    assert partition.take(noticed(TAG, "one")) == []
    assert partition.step is not None
    assert (partition.step.commands, partition.state.values) == ((), kept)
