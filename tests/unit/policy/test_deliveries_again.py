"""What senders do to the order and the number of their deliveries (fault catalogue E01 to E04)."""

import pytest

from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.events import ImagePushed
from schemas.references import Frozen
from tests.support.builders import at, deleted, digest, policy, published, pushed, rule_on, ticked
from tests.unit.policy.playing import TAG, Partition

TO_QA = published(policy("to-qa", "local/dev/app", "local/qa/app"))
SOAKED = published(policy("to-qa", "local/dev/app", "local/qa/app", rule_on("soak", ">=", "1h")))
MANY = 10_000


def happened(event: Envelope[Frozen], when: str | None) -> Envelope[Frozen]:
    """The event of a sender whose clock says this."""
    assert isinstance(event.data, ImagePushed)
    return Envelope(
        id=event.id,
        source=event.source,
        subject=event.subject,
        time=event.time,
        data=event.data.model_copy(update={"occurred_at": when}),
    )


def test_a_delivery_that_comes_ten_thousand_times_is_decided_once_and_costs_no_state() -> None:
    partition = Partition(TO_QA)
    push = pushed(TAG, "one")
    assert partition.verdicts(push) == ["promote"]
    kept = dict(partition.state.values)
    assert partition.verdicts(*[push] * MANY) == []
    assert partition.state.values == kept


def test_a_sender_that_tells_the_same_under_new_ids_ten_thousand_times_has_it_copied_once() -> None:
    partition = Partition(TO_QA)
    assert partition.verdicts(pushed(TAG, "one")) == ["promote"]
    size = len(str(partition.state.values))
    for number in range(MANY):
        assert partition.verdicts(pushed(TAG, "one", key=f"again {number}")) == ["ignore"]
        assert partition.copies == []
    # The ids of the last deliveries are kept, and no more of them.
    assert len(str(partition.state.values)) < size + 2000


def test_an_older_push_that_comes_after_a_newer_one_is_what_the_tag_has() -> None:
    partition = Partition(TO_QA)
    newer, older = happened(pushed(TAG, "newer"), at(100)), happened(pushed(TAG, "older"), at(0))
    decisions = partition.take(newer, older)
    assert [(one.verdict, one.digest) for one in decisions] == [
        ("promote", digest("newer")),
        ("promote", digest("older")),
    ]
    assert [copy.digest for copy in partition.copies] == [digest("older")]
    # What comes again is not newer for it: the tag moved on.
    assert partition.verdicts(newer) == []


def test_a_deletion_that_comes_before_its_push_leaves_the_push_and_one_after_it_does_not() -> None:
    early, late = Partition(TO_QA), Partition(TO_QA)
    assert early.verdicts(deleted(TAG), pushed(TAG, "one")) == ["promote"]
    assert late.verdicts(pushed(TAG, "one"), deleted(TAG), pushed(TAG, "one", key="again")) == ["promote", "promote"]


@pytest.mark.parametrize(
    "when",
    [None, at(-365 * 86_400), at(365 * 86_400), "1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"],
)
def test_the_clock_of_a_sender_decides_nothing(when: str | None) -> None:
    plain, told = Partition(SOAKED), Partition(SOAKED)
    push = pushed(TAG, "one", time=at(0))
    for event in (push, ticked(3599), ticked(3600)):
        plain.take(event)
        told.take(happened(event, when) if event is push else event)
        assert plain.step is not None
        assert told.step is not None
        assert list(map(encode, told.step.decisions)) == list(map(encode, plain.step.decisions))
    assert told.copies == plain.copies != []
