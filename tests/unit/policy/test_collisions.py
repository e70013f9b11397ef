"""No two source repositories can put different images under one target tag, unless the set is refused."""

import pytest

from schemas.policies import Policy, PolicySet
from tests.support.builders import policy, rule
from towline import limits
from towline.policy.check import problems_of


def collide(*policies: Policy) -> bool:
    found = problems_of(PolicySet(policies=policies), None)
    assert all("could put different images under one tag" in problem.text for problem in found), found
    return bool(found)


def pair(first: dict[str, object], second: dict[str, object]) -> tuple[Policy, Policy]:
    def made(name: str, source: str, changes: dict[str, object]) -> Policy:
        given = {"source": f"local/{source}", "target": "remote/all", "rules": ()} | changes
        rules = given.pop("rules")
        return policy(name, given.pop("source"), given.pop("target"), *rules, **given)  # type: ignore[arg-type, misc]

    return made("one", "a", first), made("two", "b", second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"tag": "%n-%Y"}, {"tag": "%n-%m%d"}),
        ({"tag": "a-%n"}, {"tag": "%n"}),
        ({"rules": [rule("ends-with", "-rc")]}, {"rules": [rule("starts-with", "v")]}),
        ({"rules": [rule("equals", "x")]}, {"rules": [rule("matches", "^x$")]}),
        ({"rules": [rule("not-one-of", "x")]}, {"rules": [rule("not-one-of", "y")]}),
        ({"rules": [rule("one-of", *(f"t{n}" for n in range(20)))]}, {"tag": "%n", "rules": [rule("equals", "t7")]}),
        ({"tag": "x%p"}, {"tag": "xAM"}),
        ({"source": "local/dev/*"}, {"source": "local/qa/x"}),
        ({"source": "local/dev/*", "target": "remote/{1}"}, {"source": "local/qa/*", "target": "remote/{1}"}),
        ({"source": "local/dev/*", "target": "remote/{1}"}, {"source": "local/qa/x", "target": "remote/x"}),
        ({"source": "other/x", "target": "remote/x"}, {"source": "local/**", "target": "remote/{repository}"}),
        ({"source": "other/**", "target": "remote/{1}"}, {"source": "local/**", "target": "remote/{1}"}),
        ({"source": "local/*-*", "target": "remote/{1}{2}"}, {"source": "local/x/y", "target": "other/x"}),
        ({"source": "local/dev/*", "tag": "{1}..%n"}, {"source": "local/qa/*", "tag": "{1}..%n"}),
        ({"source": "local/dev/*", "tag": "{1}-%n"}, {"target": "other/x"}),
    ],
)
def test_policies_of_different_sources_that_could_meet_are_refused(
    first: dict[str, object], second: dict[str, object]
) -> None:
    assert collide(*pair(first, second))
    assert collide(*reversed(pair(first, second)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"target": "remote/other"}),
        ({}, {"source": "local/a"}),
        ({"tag": "a-%n"}, {"tag": "b-%n"}),
        ({"tag": "%n-a"}, {"tag": "%n-b"}),
        ({"tag": "%n-%Y"}, {"tag": "%n-x"}),
        ({"tag": "a%n"}, {"tag": "fix"}),
        ({"rules": [rule("equals", "x")]}, {"rules": [rule("not-one-of", "x")]}),
        ({"rules": [rule("equals", "x")]}, {"rules": [rule("equals", "y")]}),
        ({"rules": [rule("equals", "1.4")]}, {"rules": [rule("semver", ">=2")]}),
        ({"rules": [rule("ends-with", "-rc")]}, {"rules": [rule("ends-with", "-stable")]}),
        ({"rules": [rule("starts-with", "v")]}, {"rules": [rule("glob", "x?*")]}),
        (
            {"rules": [rule("equals", "latest")], "tag": "%n-%d"},
            {"rules": [rule("not-one-of", "latest")], "tag": "%n-%d"},
        ),
        ({"rules": [rule("one-of", *(f"t{n}" for n in range(20)))]}, {"rules": [rule("equals", "u7")]}),
        ({"source": "local/*", "target": "remote/{1}"}, {"source": "local/x", "target": "remote/x"}),
        ({"source": "local/*", "target": "remote/{1}"}, {"source": "local/**", "target": "remote/{repository}"}),
        ({"source": "local/dev/*", "target": "remote/{1}"}, {"source": "local/dev/a-*", "target": "remote/a-{1}"}),
        ({"source": "local/dev/*", "target": "remote/{1}-x"}, {"source": "local/dev/*", "target": "remote/{1}-y"}),
        ({"source": "local/*/*", "target": "remote/{2}/{1}"}, {"source": "local/x/y", "target": "remote/y/x"}),
        ({"source": "local/*/*", "target": "remote/{2}/{1}"}, {"source": "local/*/*", "target": "remote/{2}/{1}"}),
        ({"source": "local/dev/*", "tag": "{1}..%n"}, {"source": "local/dev/*", "tag": "{1}..%n"}),
        ({"source": "local/dev/*", "tag": "%n___{1}"}, {"tag": "x"}),
    ],
)
def test_policies_that_can_be_told_apart_are_accepted(first: dict[str, object], second: dict[str, object]) -> None:
    assert not collide(*pair(first, second))


def test_the_problem_says_who_meets_and_how_to_tell_them_apart() -> None:
    (found,) = problems_of(PolicySet(policies=pair({}, {})), None)
    assert str(found) == (
        "policies.1.tag: local/a (policies.0, 'one') and local/b could put different images under one tag of "
        'remote/all: tell them apart by a prefix in `tag`, such as "two-%n", by other targets, or by {1} or '
        "{repository} in `target`"
    )


def test_sets_that_take_too_many_comparisons_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "policy_pair_count", 10)
    policies = [policy(f"p{n}", f"local/a{n}", "remote/all", rule("equals", f"{n}")) for n in range(20)]
    found = problems_of(PolicySet(policies=tuple(policies)), None)
    assert [str(problem.path) for problem in found] == ["('policies',)"]
