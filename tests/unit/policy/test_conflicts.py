"""One target tag that is wanted for different digests: nobody gets it, and all say why."""

from tests.support.builders import arrived, policy, published, pushed, rule, rule_on, ticked
from tests.support.facts import approved
from tests.unit.policy.playing import DEV, QA, Partition

ONES = policy("ones", DEV, QA, rule("starts-with", "1"), tag="stable")
TWOS = policy("twos", DEV, QA, rule("starts-with", "2"), tag="stable")
ANY = policy("any", DEV, QA, tag="stable")
FIRST, SECOND = pushed(f"{DEV}:1", "one"), pushed(f"{DEV}:2", "two")


def by_policy(partition: Partition, *events: object) -> dict[str | None, str]:
    return {decision.policy: decision.verdict for decision in partition.take(*events)}  # type: ignore[arg-type]


def test_who_comes_second_with_another_digest_is_denied_and_told_who_wanted_what() -> None:
    partition = Partition(published(ONES, TWOS))
    assert by_policy(partition, FIRST) == {"ones": "promote", "twos": "deny"}
    made = {decision.policy: decision for decision in partition.take(SECOND)}
    assert {name: decision.verdict for name, decision in made.items()} == {"ones": "deny", "twos": "deny"}
    reason = made["twos"].reason
    assert reason.startswith(f"{QA}:stable is wanted for different digests: sha256:")
    assert "by ones (earlier)" in reason
    assert f"by twos ({DEV}:2)" in reason
    assert partition.copies == []


def test_both_sides_are_blocked_until_they_agree() -> None:
    partition = Partition(published(ONES, TWOS), FIRST, SECOND)
    assert by_policy(partition, pushed(f"{DEV}:2c", "two")) == {"ones": "deny", "twos": "deny"}, "nobody forgets"
    assert by_policy(partition, pushed(f"{DEV}:1", "newer")) == {"ones": "deny", "twos": "deny"}
    agreed = by_policy(partition, pushed(f"{DEV}:1", "two"))
    assert agreed == {"ones": "promote", "twos": "deny"}, "both want the same now; the other one's rule fails"
    assert by_policy(partition, pushed(f"{DEV}:2", "two", key="again")) == {None: "ignore"}
    assert by_policy(partition, pushed(f"{DEV}:2b", "two")) == {"ones": "deny", "twos": "promote"}


def test_a_new_revision_forgets_what_was_wanted_under_the_old() -> None:
    later = [given.model_copy(update={"initial_evaluation": False}) for given in (ONES, TWOS)]
    partition = Partition(published(*later), FIRST, published(*later, revision=2))
    assert by_policy(partition, SECOND) == {"ones": "deny", "twos": "promote"}


def test_policies_that_want_the_same_digest_agree() -> None:
    partition = Partition(published(ANY, policy("other", DEV, QA, tag="stable")))
    assert by_policy(partition, FIRST) == {"any": "promote", "other": "promote"}
    assert by_policy(partition, SECOND) == {"any": "promote", "other": "promote"}, "each follows its own tag"


def test_a_policy_alone_moves_its_target_tag_with_each_push() -> None:
    partition = Partition(published(ANY))
    assert by_policy(partition, FIRST) == by_policy(partition, SECOND) == {"any": "promote"}


def test_several_tags_of_one_policy_at_once_conflict_unless_they_have_one_digest() -> None:
    partition = Partition(FIRST, SECOND)
    made = partition.take(published(ANY))
    assert [decision.verdict for decision in made] == ["deny", "deny"]
    assert all(f"any ({DEV}:1)" in decision.reason and f"any ({DEV}:2)" in decision.reason for decision in made)
    partition = Partition(FIRST, pushed(f"{DEV}:2", "one"))
    assert partition.verdicts(published(ANY)) == ["promote", "promote"]
    soak = ANY.model_copy(update={"rules": (rule_on("soak", ">=", "1h"),)})
    partition = Partition(published(soak), FIRST, SECOND)
    assert partition.verdicts(ticked(3600)) == ["deny", "deny"]


def test_different_target_tags_or_repositories_do_not_conflict() -> None:
    elsewhere = policy("elsewhere", DEV, "local/prod/app", tag="stable")
    dated = policy("dated", DEV, QA, tag="%n-dated")
    partition = Partition(published(ANY, elsewhere, dated), FIRST)
    assert set(by_policy(partition, SECOND).values()) == {"promote"}
    assert partition.state.get(f"claims {elsewhere.target}:stable") is None, "nobody else can want it"


def test_policies_that_only_watch_want_nothing() -> None:
    watching = ONES.model_copy(update={"mode": "shadow"})
    partition = Partition(published(watching, TWOS), FIRST)
    assert by_policy(partition, SECOND) == {"ones": "deny", "twos": "promote"}
    assert by_policy(Partition(published(watching, TWOS), SECOND), FIRST) == {"ones": "promote", "twos": "deny"}


def test_what_is_held_or_denied_wants_nothing() -> None:
    held = policy("held", DEV, QA, rule_on("approved", ">=", "1"), tag="stable")
    partition = Partition(published(held, TWOS), FIRST)
    assert by_policy(partition, SECOND) == {"held": "hold", "twos": "promote"}
    assert by_policy(partition, approved(DEV, "one", "held", "ann")) == {"held": "deny"}


def test_chains_to_one_target_from_one_source_are_seen_on_arrivals_too() -> None:
    partition = Partition(published(ONES, TWOS), arrived(f"{DEV}:1", "one", hops=1))
    assert by_policy(partition, arrived(f"{DEV}:2", "two", hops=1)) == {"ones": "deny", "twos": "deny"}
