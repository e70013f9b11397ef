"""Policy sets as large as they may be are checked, within a bound of their own on the work."""

import pytest

from schemas.policies import PolicySet
from tests.support.builders import policy
from towline.policy.check import problems_of

KNOWN = {"local", "remote"}


def many(kind: str, count: int = 10_000) -> PolicySet:
    ends = {
        "exact": ("local/dev/a{n}", "local/qa/a{n}", "%n"),
        "glob": ("local/dev-{n}/*", "local/qa-{n}/{{1}}", "%n"),
        "tails": ("local/*/app-{n}", "remote/{{repository}}", "%n"),
        "one target, other prefixes": ("local/dev/a{n}", "remote/all", "a{n}-%n"),
        "one target, other suffixes": ("local/dev/a{n}", "remote/all", "%n-a{n}"),
        "one source": ("local/dev/app", "remote/all", "%n"),
        "one target, one tag": ("local/dev/a{n}", "remote/all", "%n"),
    }[kind]
    return PolicySet(
        policies=tuple(
            policy(f"p{n}", ends[0].format(n=n), ends[1].format(n=n), tag=ends[2].format(n=n)) for n in range(count)
        )
    )


@pytest.mark.parametrize("kind", ["exact", "tails", "one target, other prefixes", "one target, other suffixes"])
def test_thousands_of_policies_are_compared_within_the_bound(kind: str) -> None:
    assert problems_of(many(kind, 2_000), KNOWN) == []


@pytest.mark.parametrize("kind", ["glob", "one source"])
def test_as_many_policies_as_a_set_may_have_are_compared_within_the_bound(kind: str) -> None:
    assert problems_of(many(kind), KNOWN) == []


def test_ten_thousand_policies_that_all_meet_are_refused_within_the_bound() -> None:
    found = problems_of(many("one target, one tag"), KNOWN)
    assert found


def test_a_chain_as_long_as_a_set_may_be_is_checked() -> None:
    chain = [policy(f"p{n}", f"local/r{n}", f"local/r{n + 1}") for n in range(5000)]
    assert problems_of(PolicySet(policies=tuple(chain)), KNOWN) == []
    assert len(problems_of(PolicySet(policies=(*chain, policy("back", "local/r5000", "local/r0"))), KNOWN)) == 1
