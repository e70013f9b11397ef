"""Every source is compared with the log, and what no webhook told is found: pushes, moves and deletions."""

import pytest

from schemas.canonical import canonical_bytes, content_id, sha256_hex
from schemas.envelope import Envelope
from schemas.events import LISTED_MAX, PollCompleted
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import arrived, at, deleted, digest, policy, proposed, published, pushed, ticked
from tests.support.facts import inspected, listed, observed, poll_completed, poll_failed
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits
from towline.policy.contents import EMPTY, contents_of, moved
from towline.policy.decide import MISSED
from towline.policy.state.repositories import contents
from towline.policy.state.tags import TagState

ALL = policy("all", DEV, QA)
OTHER = "local/dev/other"
SIGNATURE = f"sha256-{'a' * 64}.sig"


def there(**images: str) -> str:
    """Return the contents of a repository that has these images; names stand for tags."""
    return contents_of({name.replace("_", "."): digest(image) for name, image in images.items()})


def ended(contents: str | None, *, seconds: int = 60, command_id: str = "c" * 64) -> Envelope[Frozen]:
    key = f"{contents} {seconds} {command_id}"
    return poll_completed(DEV, contents=contents, command_id=command_id, key=key, time=at(seconds))


def digest_of(partition: Partition, reference: str) -> str | None:
    return TagState.read(partition.state, Reference.parse(reference)).digest


def asked(partition: Partition, event: Envelope[Frozen]) -> list[tuple[str, str, bool]]:
    partition.take(event)
    return [(str(poll.source), poll.cause, poll.is_complete) for poll in partition.polls]


# -- The sum


def test_the_sum_is_that_of_the_hashes_of_tags_with_their_digests() -> None:
    one, two = (
        int(sha256_hex(canonical_bytes([tag, digest(image)])), 16) for tag, image in (("1", "one"), ("2", "two"))
    )
    assert contents_of({"1": digest("one"), "2": digest("two")}) == f"{(one + two) % 2**256:064x}"
    assert contents_of({}) == EMPTY == "0" * 64
    assert contents_of({SIGNATURE: digest("one"), f"sha256-{'a' * 64}": digest("two")}) == EMPTY


def test_a_sum_that_follows_each_move_is_the_sum_of_what_is_there() -> None:
    total = EMPTY
    for tag, before, after in (("1", None, "one"), ("2", None, "two"), ("1", "one", "three"), ("2", "two", None)):
        total = moved(total, tag, before and digest(before), after and digest(after))
    assert total == contents_of({"1": digest("three")})
    assert moved(total, SIGNATURE, None, digest("one")) == total


@pytest.mark.parametrize(
    ("events", "images"),
    [
        ([pushed(TAG, "one")], {"1.0": "one"}),
        ([pushed(TAG, "one"), pushed(TAG, "one", key="again"), pushed(TAG, "two")], {"1.0": "two"}),
        ([arrived(TAG, "one", hops=1), observed(f"{DEV}:2.0", "two")], {"1.0": "one", "2.0": "two"}),
        ([pushed(TAG, "one"), deleted(TAG), deleted(f"{DEV}:2.0")], {}),
        ([pushed(TAG, "one"), pushed(f"{DEV}:{SIGNATURE}", "two")], {"1.0": "one"}),
        ([pushed(TAG, "one"), pushed(f"{DEV}:2.0", "two"), listed(DEV, "2.0", time=at(9))], {"2.0": "two"}),
    ],
)
def test_the_core_keeps_the_sum_with_every_change_of_a_digest(
    events: list[Envelope[Frozen]], images: dict[str, str]
) -> None:
    partition = Partition(published(ALL), *events)
    expected = contents_of({tag: digest(image) for tag, image in images.items()})
    assert contents(partition.state, Repository.parse(DEV)) == expected


# -- Which sources are compared


def sources(partition: Partition, *events: Envelope[Frozen]) -> list[tuple[str, str]]:
    partition.take(*events)
    return [(str(poll.source), poll.cause) for poll in partition.polls]


def test_a_source_that_no_policy_polls_is_asked_every_six_hours_unless_the_set_says_otherwise() -> None:
    six_hours, hour = 6 * 3600, 3600
    partition = Partition(proposed(ALL), published(ALL))
    found = [sources(partition, ticked(n)) for n in (six_hours - 1, six_hours, six_hours + 1, 2 * six_hours)]
    assert found == [[], [(DEV, "reconciliation")], [], [(DEV, "reconciliation")]]
    partition = Partition(proposed(ALL, reconcile="1h"), published(ALL, reconcile="1h"))
    assert [sources(partition, ticked(n)) for n in (hour - 1, hour)] == [[], [(DEV, "reconciliation")]]
    never = Partition(proposed(ALL, reconcile="never"), published(ALL, reconcile="never"))
    assert sources(never, ticked(10 * six_hours)) == []


def test_a_source_that_a_policy_polls_is_not_asked_for_reconciliation_too() -> None:
    policies = (policy("polled", DEV, "remote/app", poll="30m"), ALL, policy("other", OTHER, "local/qa/other"))
    partition = Partition(proposed(*policies), published(*policies))
    assert sources(partition, ticked(6 * 3600)) == [(DEV, "interval"), (OTHER, "reconciliation")]


def test_a_repository_is_asked_once_when_a_glob_that_is_asked_as_often_has_it_too() -> None:
    glob = policy("glob", "local/dev/*", "remote/{1}")
    partition = Partition(proposed(glob, ALL), published(glob, ALL))
    assert sources(partition, ticked(6 * 3600)) == [("local/dev/*", "reconciliation")]
    polled = glob.model_copy(update={"poll": "1h"}), ALL.model_copy(update={"poll": "30m"})
    partition = Partition(proposed(*polled), published(*polled))
    assert sources(partition, ticked(1800)) == [(DEV, "interval")], "the glob is asked less often"


def test_a_source_that_nobody_asked_for_is_compared_with_the_next_tick() -> None:
    later = ALL.model_copy(update={"initial_evaluation": False})
    partition = Partition(proposed(later))
    assert partition.polls == []
    assert sources(partition, published(later), ticked(1)) == [(DEV, "reconciliation")]


def test_one_tick_has_a_bounded_number_asked_and_those_who_wait_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "asked_source_count", 2)
    names = [f"local/dev/{name}" for name in "abcde"]
    policies = [policy(name[-1], name, f"local/qa/{name[-1]}", initial_evaluation=False) for name in names]
    partition = Partition(proposed(*policies), published(*policies))
    found = [[source for source, _ in sources(partition, ticked(n))] for n in (1, 2, 3, 4)]
    assert found == [names[:2], names[2:4], names[4:], []]
    monkeypatch.setattr(limits, "asked_source_count", 3)
    later = [[source for source, _ in sources(partition, ticked(6 * 3600 + n))] for n in (2, 3, 9)]
    assert later == [names[:3], names[3:], []]
    monkeypatch.setattr(limits, "asked_source_count", 2)
    assert [source for source, _ in sources(partition, ticked(30 * 3600))] == names[:2]
    assert [source for source, _ in sources(partition, ticked(60 * 3600))] == names[2:4]


# -- The comparison


def test_a_repository_that_has_what_the_log_knows_is_asked_nothing_more() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    assert asked(partition, ended(there(**{"1.0": "one"}))) == []


def test_a_difference_has_the_repository_asked_once_for_all_that_it_has() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    first = ended(there(**{"1.0": "two"}))
    assert asked(partition, first) == [(DEV, "reconciliation", True)]
    assert partition.step is not None
    [command] = partition.step.commands
    assert command.id == content_id(first.id, "repository.poll", DEV)
    assert asked(partition, first) == [], "the same event again"
    assert asked(partition, ended(there(**{"1.0": "three"}), seconds=90)) == [], "the answer is awaited"


def test_the_answer_to_a_complete_poll_is_not_questioned_but_the_next_poll_is() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    partition.take(first := ended(there(**{"1.0": "two"})))
    answer = content_id(first.id, "repository.poll", DEV)
    assert asked(partition, ended(there(**{"1.0": "three"}), seconds=90, command_id=answer)) == []
    assert asked(partition, ended(there(**{"1.0": "two"}), seconds=120)) == [(DEV, "reconciliation", True)]


@pytest.mark.parametrize("seconds", [61, 60 + limits.complete_poll_seconds])
def test_a_complete_poll_that_failed_or_was_never_answered_is_given_again(seconds: int) -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    partition.take(first := ended(there(**{"1.0": "two"})))
    if seconds == 61:
        failed = poll_failed(DEV, command_id=content_id(first.id, "repository.poll", DEV))
        partition.take(poll_failed(DEV, key="of another poll"))
        assert asked(partition, ended(there(**{"1.0": "two"}), seconds=seconds, command_id="d" * 64)) == []
        partition.take(failed)
    assert asked(partition, ended(there(**{"1.0": "two"}), seconds=seconds + 1)) == [(DEV, "reconciliation", True)]


def test_what_nobody_added_up_and_what_is_no_source_is_not_compared() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    assert asked(partition, ended(None)) == []
    assert asked(Partition(published(policy("other", OTHER, QA))), ended(there(**{"1.0": "one"}))) == []
    assert isinstance(ended(None).data, PollCompleted)


# -- What is found


def test_a_push_whose_webhook_was_lost_is_judged_and_the_decision_says_how_it_was_found() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"), ended(there(**{"1.0": "one"})))
    (made,) = partition.take(observed(TAG, "two", cause="reconciliation", time=at(120)))
    assert (made.verdict, made.digest) == ("promote", digest("two"))
    assert made.reason == f"the policy has no rules; {MISSED}"
    assert partition.step is not None
    assert partition.step.news == "missed"


def test_a_poll_of_an_interval_finds_what_no_webhook_had_to_tell() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"), ended(there(**{"1.0": "one"})))
    (made,) = partition.take(observed(TAG, "two", cause="interval", time=at(120)))
    assert made.reason == "the policy has no rules"
    assert partition.step is not None
    assert partition.step.news is None


def news(partition: Partition, event: Envelope[Frozen]) -> str | None:
    partition.take(event)
    return None if partition.step is None else partition.step.news


def test_what_was_there_before_the_first_poll_was_not_missed() -> None:
    partition = Partition(published(ALL))
    assert news(partition, observed(TAG, "one", cause="reconciliation")) is None
    partition.take(poll_completed(DEV))
    assert news(partition, observed(f"{DEV}:2.0", "two", cause="reconciliation")) == "missed"


def test_a_push_or_deletion_that_tells_something_new_was_told_and_one_that_does_not_was_not() -> None:
    partition = Partition(published(ALL))
    assert news(partition, pushed(TAG, "one")) == "told"
    assert news(partition, pushed(TAG, "one", key="again")) is None
    assert news(partition, observed(TAG, "one", cause="reconciliation")) is None
    assert news(partition, inspected(DEV, "one")) is None
    assert news(partition, deleted(TAG)) == "told"
    assert news(partition, deleted(TAG, key="again")) is None
    assert news(partition, arrived(TAG, "two", hops=1)) is None


# -- Listings


@pytest.mark.parametrize(
    ("after", "until", "tags", "left"),
    [
        (None, None, ["a", "b", "c"], "abc"),
        (None, None, ["a", "c"], "ac"),
        (None, None, [], ""),
        (None, "b", ["a"], "ac"),
        ("a", "b", [], "ac"),
        ("b", None, [], "ab"),
        ("b", None, ["c"], "abc"),
    ],
)
def test_a_known_tag_in_the_range_of_a_page_that_does_not_list_it_is_gone(
    after: str | None, until: str | None, tags: list[str], left: str
) -> None:
    partition = Partition(published(ALL), *(pushed(f"{DEV}:{tag}", tag) for tag in "abc"))
    made = partition.take(listed(DEV, *tags, after=after, until=until, time=at(60)))
    assert made == []
    assert "".join(tag for tag in "abc" if digest_of(partition, f"{DEV}:{tag}")) == left
    assert partition.step is not None
    assert partition.step.news == (None if left == "abc" else "missed")


def test_a_page_lists_as_many_tags_as_one_event_may_make_the_evaluator_judge() -> None:
    assert limits.judged_tag_count == LISTED_MAX


def test_a_tag_that_was_updated_since_the_listing_is_not_gone() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one", time=at(60)))
    for seconds in (59, 60):
        partition.take(listed(DEV, time=at(seconds)))
        assert digest_of(partition, TAG) == digest("one")
    partition.take(listed(DEV, time=at(61)))
    assert digest_of(partition, TAG) is None


def test_tags_of_other_repositories_and_those_that_belong_to_a_digest_are_not_gone() -> None:
    kept = (f"{OTHER}:1.0", f"{DEV}:{SIGNATURE}")
    partition = Partition(published(ALL), *(pushed(name, "one") for name in kept))
    partition.take(listed(DEV, time=at(60)))
    assert [digest_of(partition, name) for name in kept] == [digest("one")] * 2


def test_a_listing_of_a_polled_source_finds_what_no_webhook_had_to_tell() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"))
    assert news(partition, listed(DEV, time=at(60), cause="interval")) is None
    assert digest_of(partition, TAG) is None


def test_what_comes_again_after_a_listing_is_new_and_judged() -> None:
    partition = Partition(published(ALL), pushed(TAG, "one"), listed(DEV, time=at(60)))
    assert partition.verdicts(pushed(TAG, "one", key="again", time=at(120))) == ["promote"]


def test_when_more_is_gone_than_one_event_may_note_ticks_go_on_and_nothing_is_compared_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    names = [f"{DEV}:{n}" for n in range(5)]
    partition = Partition(published(ALL), *(pushed(name, name) for name in names), listed(DEV, time=at(60)))
    gone = [sum(digest_of(partition, name) is None for name in names)]
    assert asked(partition, ended(EMPTY, seconds=61)) == []
    for seconds in (120, 180, 240):
        partition.take(ticked(seconds))
        gone.append(sum(digest_of(partition, name) is None for name in names))
    assert gone == [2, 4, 5, 5]
    assert not [key for key in partition.state.values if key == "listings"]
    assert asked(partition, ended(EMPTY, seconds=300)) == []


def test_no_more_pages_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 1)
    monkeypatch.setattr(limits, "waiting_listing_count", 2)
    partition = Partition(published(ALL), *(pushed(f"{DEV}:{n}", "one") for n in range(9)))
    for n in range(5):
        partition.take(listed(DEV, time=at(60 + n)))
    assert len(partition.state.values["listings"]["pages"]) == 2
