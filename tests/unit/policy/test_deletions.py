"""What vanished from a source goes at the targets of the policies that follow deletions, unless too much would go."""

from typing import Any

import pytest

from schemas.canonical import content_id
from schemas.commands import RemoveTag
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferProgressed, TransferStarted
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import arrived, at, deleted, digest, envelope, policy, published, pushed, rule, ticked
from tests.support.facts import listed, poll_completed, requested, scanned
from tests.unit.policy.playing import DEV, QA, TAG, Partition
from towline import limits
from towline.policy.state.brought import count_vanished
from towline.policy.state.repositories import contents
from towline.policy.state.tags import TagState

MIRROR = policy("mirror", DEV, "remote/app", deletions="50%")
ALL_MAY_GO = MIRROR.model_copy(update={"deletions": "100%"})
NAMES = [f"{DEV}:{n}" for n in range(4)]


class Mirrored(Partition):
    """A partition whose polls agree with the log."""

    def __init__(self, *events: Envelope[Frozen]) -> None:
        self.polled = 0
        super().__init__(*events)

    def poll(self, repository: str = DEV) -> list[tuple[str, str]]:
        """Let a poll find what the log knows; return the tags that are decided with the verdicts."""
        self.polled += 1
        known = contents(self.state, Repository.parse(repository))
        key = f"agrees {self.polled}"
        time = at(1000 * self.polled)
        made = self.take(poll_completed(repository, contents=known, key=key, time=time))
        return [(decision.source.tag, decision.verdict) for decision in made]


def mirrored(*policies: Any, names: list[str] = NAMES) -> Mirrored:
    return Mirrored(published(*policies), *(pushed(name, name) for name in names))


def test_a_tag_that_vanished_is_removed_where_the_policy_brought_it_when_a_poll_agrees() -> None:
    partition = mirrored(MIRROR)
    assert partition.take(deleted(NAMES[0], time=at(60))) == []
    partition.polled = 1
    made = partition.take(poll_completed(DEV, contents=contents(partition.state, Repository.parse(DEV)), time=at(1000)))
    (decision,) = made
    assert (decision.verdict, decision.policy, str(decision.source)) == ("remove", "mirror", NAMES[0])
    assert (str(decision.target), decision.digest) == ("remote/app:0", digest(NAMES[0]))
    assert decision.reason == "the tag vanished from the source"
    assert partition.step is not None
    [envelope_of] = partition.step.decisions
    [command] = partition.step.commands
    assert command.data == RemoveTag(
        decision_id=envelope_of.id,
        policy="mirror",
        source=Reference.parse(NAMES[0]),
        digest=digest(NAMES[0]),
        target=Reference.parse("remote/app:0"),
        hops=1,
    )
    assert command.id == content_id(envelope_of.id, "tag.remove")
    assert partition.poll() == [], "once"


def test_a_poll_that_does_not_agree_settles_nothing() -> None:
    partition = mirrored(MIRROR)
    partition.take(deleted(NAMES[0], time=at(60)))
    assert partition.take(poll_completed(DEV, contents="0" * 64, time=at(90))) == []
    assert partition.take(poll_completed(DEV, time=at(90))) == []
    assert partition.poll() == [("0", "remove")]


def test_what_a_listing_found_missing_is_settled_by_the_same_poll() -> None:
    partition = mirrored(MIRROR)
    partition.take(listed(DEV, "1", "2", "3", time=at(60)))
    assert partition.poll() == [("0", "remove")]


def test_policies_follow_deletions_only_where_they_say_so_and_only_for_what_they_brought() -> None:
    stable = policy("stable", DEV, "remote/stable", rule("one-of", "1"), deletions="100%")
    never = policy("never", DEV, "remote/never")
    partition = mirrored(stable, never)
    partition.take(deleted(NAMES[0], time=at(60)), deleted(NAMES[1], time=at(60)))
    assert partition.poll() == [("1", "remove")]
    assert [command.policy for command in partition.removals] == ["stable"]


def test_what_a_person_promoted_and_what_came_by_itself_is_not_removed() -> None:
    partition = Mirrored(published(policy("none", DEV, QA, rule("equals", "no"), deletions="100%")), pushed(TAG, "one"))
    partition.take(requested(TAG, "one", f"{QA}:1.0"), deleted(TAG, time=at(60)))
    assert partition.poll() == []


@pytest.mark.parametrize(
    ("share", "gone", "verdict"), [("50%", 2, "remove"), ("49%", 2, "deny"), ("100%", 4, "remove")]
)
def test_no_more_than_the_share_goes_at_once(share: str, gone: int, verdict: str) -> None:
    partition = mirrored(MIRROR.model_copy(update={"deletions": share}))
    partition.take(*(deleted(name, time=at(60)) for name in NAMES[:gone]))
    assert partition.poll() == [(str(n), verdict) for n in range(gone)]
    assert len(partition.removals) == (gone if verdict == "remove" else 0)


def test_a_refusal_says_how_many_and_is_said_once() -> None:
    partition = mirrored(MIRROR)
    partition.take(*(deleted(name, time=at(60)) for name in NAMES[:3]))
    partition.polled = 1
    made = partition.take(poll_completed(DEV, contents=contents(partition.state, Repository.parse(DEV)), time=at(1000)))
    assert {decision.reason for decision in made} == {
        "the tag vanished from the source, but the target keeps it: 3 of the 4 tags that the policy brought from "
        "local/dev/app vanished at once, more than 50%"
    }
    assert partition.poll() == partition.poll() == []
    partition.take(deleted(NAMES[3], time=at(3500)))
    assert partition.poll() == [("3", "deny")], "what is new is said"


def test_what_was_refused_goes_when_the_share_is_raised_or_more_came() -> None:
    for more in (
        [published(ALL_MAY_GO, revision=2)],
        [pushed(f"{DEV}:{n}", "new", time=at(1500)) for n in range(10, 20)],
    ):
        partition = mirrored(MIRROR)
        partition.take(*(deleted(name, time=at(60)) for name in NAMES[:3]))
        assert partition.poll() == [("0", "deny"), ("1", "deny"), ("2", "deny")]
        partition.take(*more)
        assert partition.poll() == [("0", "remove"), ("1", "remove"), ("2", "remove")]
        assert partition.poll() == []


def test_the_share_is_of_what_is_still_at_the_target() -> None:
    partition = mirrored(MIRROR)
    for number in (0, 1):
        partition.take(deleted(NAMES[number], time=at(60)))
        assert partition.poll() == [(str(number), "remove")]
    partition.take(deleted(NAMES[2], time=at(60)), deleted(NAMES[3], time=at(60)))
    assert partition.poll() == [("2", "deny"), ("3", "deny")]


def test_a_tag_that_returned_is_not_gone_and_can_vanish_again() -> None:
    partition = mirrored(MIRROR)
    partition.take(deleted(NAMES[0], time=at(60)), pushed(NAMES[0], "back", time=at(90)))
    assert partition.poll() == []
    partition.take(deleted(NAMES[0], key="again", time=at(1500)))
    assert partition.poll() == [("0", "remove")]
    assert [command.digest for command in partition.removals] == [digest("back")]


def test_a_refused_tag_that_returned_counts_no_more() -> None:
    partition = mirrored(MIRROR)
    partition.take(*(deleted(name, time=at(60)) for name in NAMES[:3]))
    assert len(partition.poll()) == 3
    partition.take(pushed(NAMES[2], "back", time=at(1500)))
    assert partition.poll() == [("0", "remove"), ("1", "remove")]


def test_a_tag_that_was_removed_and_pushed_again_is_brought_again() -> None:
    partition = mirrored(MIRROR)
    partition.take(deleted(NAMES[0], time=at(60)))
    assert partition.poll() == [("0", "remove")]
    assert partition.verdicts(pushed(NAMES[0], "back", time=at(1500))) == ["mirror"]
    assert partition.poll() == []


def test_the_last_place_and_digest_count() -> None:
    partition = mirrored(MIRROR)
    moved = MIRROR.model_copy(update={"target": policy("x", DEV, "remote/moved").target})
    partition.take(pushed(NAMES[0], "newer", time=at(60)), published(moved, revision=2), deleted(NAMES[1], time=at(90)))
    assert partition.poll() == [("1", "remove")]
    (removal,) = partition.removals
    assert (str(removal.target), removal.digest) == ("remote/moved:1", digest(NAMES[1]))


def test_a_policy_in_shadow_says_what_would_go_once_and_does_it_when_it_is_in_force() -> None:
    partition = mirrored(MIRROR)
    partition.take(published(MIRROR.model_copy(update={"mode": "shadow"}), revision=2), deleted(NAMES[0], time=at(60)))
    assert partition.poll() == [("0", "remove")]
    assert partition.removals == []
    assert partition.poll() == []
    partition.take(published(MIRROR, revision=3))
    assert partition.poll() == [("0", "remove")]
    assert len(partition.removals) == 1


def test_what_only_shadow_decided_was_brought_nowhere() -> None:
    partition = mirrored(ALL_MAY_GO.model_copy(update={"mode": "shadow"}))
    partition.take(published(ALL_MAY_GO.model_copy(update={"initial_evaluation": False}), revision=2))
    partition.take(deleted(NAMES[0], time=at(60)))
    assert partition.poll() == []


def test_a_policy_that_follows_no_deletions_for_a_while_settles_them_when_it_does_again() -> None:
    partition = mirrored(MIRROR, policy("other", DEV, "remote/other", deletions="100%"))
    never = MIRROR.model_copy(update={"deletions": "never"})
    partition.take(published(never, policy("other", DEV, "remote/other", deletions="100%"), revision=2))
    partition.take(deleted(NAMES[0], time=at(60)))
    assert partition.poll() == [("0", "remove")]
    assert [removal.policy for removal in partition.removals] == ["other"]
    partition.take(published(MIRROR.model_copy(update={"initial_evaluation": False}), revision=3))
    assert partition.poll() == [("0", "remove")]
    assert [removal.policy for removal in partition.removals] == ["mirror"]


def test_what_is_decided_on_a_vanished_tag_does_not_wait_for_facts() -> None:
    counted = policy("counted", DEV, QA, deletions="1%")
    partition = mirrored(counted)
    partition.take(*(deleted(name, time=at(60)) for name in NAMES))
    assert {verdict for _, verdict in partition.poll()} == {"deny"}
    assert partition.take(scanned(DEV, NAMES[0]), ticked(7200)) == []


def test_more_than_one_step_may_take_is_settled_with_ticks_by_one_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    names = [f"{DEV}:{n}" for n in range(7)]
    partition = mirrored(ALL_MAY_GO, names=names)
    partition.take(*(deleted(name, time=at(60)) for name in names[:5]))
    assert partition.poll() == [("0", "remove"), ("1", "remove")]
    # What vanishes meanwhile is for the next poll, and what returns stays.
    partition.take(deleted(names[5], time=at(1100)), pushed(names[2], "back", time=at(1100)))
    found = [[decision.source.tag for decision in partition.take(ticked(n))] for n in (1200, 1300, 1400)]
    assert found == [["3"], ["4"], []]
    assert partition.poll() == [("5", "remove")]


def test_what_vanishes_while_a_poll_is_settled_goes_no_further_than_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "judged_tag_count", 2)
    names = [f"{DEV}:{n}" for n in range(7)]
    partition = mirrored(MIRROR, names=names)
    # All but one are gone and back: they are gone through with the one that stays away.
    for name in names[:6]:
        partition.take(deleted(name, time=at(60)), pushed(name, name, key=f"back {name}", time=at(90)))
    partition.take(deleted(names[0], key="gone", time=at(120)))
    assert partition.poll() == [("0", "remove")]
    # The next listing lacks almost everything, by an outage or a mistake.
    partition.take(*(deleted(name, key=f"lost {name}", time=at(1100)) for name in names[2:]))
    found = [decision for n in (1200, 1300, 1400) for decision in partition.take(ticked(n))]
    assert [decision.verdict for decision in found] == ["deny"] * 4
    assert [decision.source.tag for decision in found] == ["2", "3", "4", "5"]


def test_a_poll_that_is_told_again_settles_nothing_again() -> None:
    partition = mirrored(MIRROR)
    known = contents(partition.state, Repository.parse(DEV))
    event = poll_completed(DEV, contents=known, time=at(60))
    partition.take(event, deleted(NAMES[0], time=at(90)))
    before = dict(partition.state.values)
    assert partition.take(event) == []
    assert partition.polls == []
    assert partition.state.values == before


# -- At the target


def removed(reference: str, image: str, *, previous: str | None = None) -> Envelope[Frozen]:
    data = TagRemoved(**_members(reference, image), previous_digest=previous and digest(previous))
    return envelope(data, subject=reference, key=f"removed {reference} {image} {previous}", time=at(120))


def _members(reference: str, image: str) -> dict[str, Any]:
    return {
        "command_id": "c" * 64,
        "decision_id": "d" * 64,
        "policy": "mirror",
        "source": Reference.parse(TAG),
        "target": Reference.parse(reference),
        "digest": digest(image),
        "hops": 1,
    }


def test_a_removed_tag_is_gone_at_the_target_and_chains_go_on_from_there() -> None:
    chain = policy("chain", QA, "remote/app", deletions="100%")
    partition = Mirrored(published(chain), arrived(f"{QA}:1.0", "one", hops=1))
    assert partition.take(removed(f"{QA}:1.0", "one", previous="one")) == []
    assert TagState.read(partition.state, Reference.parse(f"{QA}:1.0")).digest is None
    assert partition.poll(QA) == [("1.0", "remove")]


def test_what_came_to_the_target_since_is_not_gone_with_what_was_removed() -> None:
    partition = Mirrored(arrived(f"{QA}:1.0", "one", hops=1), pushed(f"{QA}:1.0", "two"))
    partition.take(removed(f"{QA}:1.0", "one", previous="one"), removed(f"{QA}:2.0", "one"))
    assert TagState.read(partition.state, Reference.parse(f"{QA}:1.0")).digest == digest("two")


@pytest.mark.parametrize("before", [[], [pushed(f"{QA}:1.0", "two", key="another")]], ids=["unknown", "another there"])
def test_a_removal_that_is_told_again_takes_nothing_that_came_since(before: list[Envelope[Frozen]]) -> None:
    gone, back = removed(f"{QA}:1.0", "one", previous="one"), pushed(f"{QA}:1.0", "one")
    partition = Mirrored(*before, gone, back)
    after = dict(partition.state.values)
    assert partition.take(gone) == []
    assert partition.state.values == after
    assert TagState.read(partition.state, Reference.parse(f"{QA}:1.0")).digest == digest("one")


def test_what_was_not_removed_and_what_is_under_way_changes_nothing() -> None:
    partition = Mirrored(published(MIRROR), pushed(TAG, "one"))
    before = dict(partition.state.values)
    reports: list[Frozen] = [
        RemovalSkipped(**_members(TAG, "one"), reason="it is gone already"),
        RemovalFailed(**_members(TAG, "one"), cause="denied", detail="no", retryable=False, attempts=1),
        TransferStarted(**_members(TAG, "one")),
        TransferProgressed(**_members(TAG, "one"), bytes_copied=1, blobs_copied=0, blobs_mounted=0, blobs_skipped=0),
    ]
    for number, data in enumerate(reports):
        assert partition.take(envelope(data, subject=TAG, key=str(number))) == []
    assert partition.state.values == before


# -- What is kept in memory


def test_policies_that_follow_no_deletions_leave_no_memory_behind() -> None:
    partition = mirrored(policy("all", DEV, "remote/app"))
    kinds = {key.partition(" ")[0] for key in partition.state.values}
    assert not kinds & {"brought", "tallies", "vanished", "rounds"}


def test_nothing_is_left_of_what_was_removed() -> None:
    partition = mirrored(ALL_MAY_GO)
    partition.take(*(deleted(name, time=at(60)) for name in NAMES))
    assert len(partition.poll()) == 4
    kinds = {key.partition(" ")[0] for key in partition.state.values}
    assert not kinds & {"brought", "tallies", "vanished", "rounds"}


def test_a_poll_that_settles_nothing_new_goes_through_nothing() -> None:
    partition = mirrored(MIRROR)
    partition.take(*(deleted(name, time=at(60)) for name in NAMES[:3]))
    assert len(partition.poll()) == 3
    assert partition.poll() == []
    assert partition.step is not None
    assert [change.key for change in partition.step.changes] == [f"polled {DEV}"]


def test_a_tag_that_comes_and_goes_waits_once() -> None:
    partition = mirrored(MIRROR)
    for number in range(3):
        partition.take(deleted(NAMES[0], key=f"gone {number}", time=at(60 + number)))
        partition.take(pushed(NAMES[0], "back", key=f"back {number}", time=at(60 + number)))
    assert count_vanished(partition.state, Repository.parse(DEV)) == 1
