"""What must not enter the log is refused with its path, before it does."""

from itertools import pairwise

import pytest

from schemas.policies import Policy, PolicySet
from schemas.rules import Rule
from tests.support.builders import policy, rule, rule_on
from towline import limits
from towline.policy.check import problems_of

KNOWN = {"local", "remote"}


def problems(*policies: Policy) -> list[str]:
    return [str(problem) for problem in problems_of(PolicySet(policies=policies), KNOWN)]


def test_a_chain_and_a_fan_out_are_fine() -> None:
    assert (
        problems(
            policy("a", "local/dev", "local/qa"),
            policy("b", "local/qa", "local/prod"),
            policy("c", "local/dev", "remote/dev"),
            policy("d", "local/prod", "remote/prod"),
        )
        == []
    )


@pytest.mark.parametrize(
    ("hops", "cycle"),
    [
        (["local/a", "local/a"], "local/a -> local/a"),
        (["local/a", "local/b", "local/a"], "local/a -> local/b -> local/a"),
        (["local/a", "remote/b", "local/c", "local/a"], "local/a -> remote/b -> local/c -> local/a"),
    ],
)
def test_a_cycle_is_refused_with_the_way_round(hops: list[str], cycle: str) -> None:
    policies = [policy(f"p{n}", source, target) for n, (source, target) in enumerate(pairwise(hops))]
    assert problems(*policies) == [f"policies.{len(policies) - 1}.target: closes a cycle: {cycle}"]


def test_a_cycle_beside_other_ways_is_found_once() -> None:
    found = problems(
        policy("in", "local/start", "local/a", tag="in-%n"),
        policy("a", "local/a", "local/b"),
        policy("out", "local/a", "local/end"),
        policy("b", "local/b", "local/a", tag="back-%n"),
    )
    assert found == ["policies.3.target: closes a cycle: local/a -> local/b -> local/a"]


def test_a_cycle_that_several_ways_lead_to_is_found_once() -> None:
    found = problems(
        policy("here", "local/start", "local/a", tag="here-%n"),
        policy("there", "remote/start", "local/a", tag="there-%n"),
        policy("round", "local/a", "local/a", tag="round-%n"),
    )
    assert found == ["policies.2.target: closes a cycle: local/a -> local/a"]


def test_ways_that_part_and_meet_again_are_no_cycle_and_each_is_walked_once() -> None:
    # Thirty diamonds in a row: a thousand million ways from end to end.
    diamonds = [
        policy(f"{way}{side}{n}", *ends, tag=f"{side}-%n")
        for n in range(30)
        for side in ("a", "b")
        for way, ends in (("out", (f"local/{n}", f"local/{n}{side}")), ("in", (f"local/{n}{side}", f"local/{n + 1}")))
    ]
    assert problems(*diamonds) == []
    assert len(problems(*diamonds, policy("back", "local/30", "local/0"))) == 1


def test_each_other_problem_begins_with_its_path() -> None:
    assert problems(policy("a", "local/x", "local/y"), policy("a", "local/x", "local/z")) == [
        "policies.1.name: 'a' is the name of policies.0 already"
    ]
    assert problems(policy("a", "nowhere/x", "local/y")) == [
        "policies.0.source: there is no registry 'nowhere' in the settings (known: local, remote)"
    ]
    (bad,) = problems(policy("a", "local/x", "local/y", tag="%Q"))
    assert bad.startswith("policies.0.tag: %Q is not a directive")


def test_a_chain_through_globs_is_followed_exactly_from_an_exact_source() -> None:
    # local/y goes to remote/y, which goes nowhere; only remote/x would come back.
    assert problems(policy("out", "local/**", "remote/{repository}"), policy("in", "remote/x", "local/y")) == []
    assert problems(policy("out", "local/**", "remote/{repository}"), policy("in", "remote/x", "local/x")) == [
        "policies.0.target: closes a cycle: remote/x -> local/x -> remote/x"
    ]


def test_a_cycle_of_globs_is_refused_as_far_as_patterns_tell() -> None:
    (found,) = problems(policy("out", "local/**", "remote/{1}"), policy("back", "remote/a/*", "local/b/{1}"))
    assert found.startswith("policies.1.target: closes a cycle: local/** -> remote/a/* -> local/**")
    (found,) = problems(policy("deeper", "local/**", "local/archive/{repository}"))
    assert found.startswith("policies.0.target: closes a cycle: local/** -> local/**")
    assert problems(policy("qa", "local/dev/*", "local/qa/{1}"), policy("prod", "local/qa/*", "local/prod/{1}")) == []


def test_layers_of_globs_that_lead_to_too_many_repositories_are_refused_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "policy_chain_count", 100)
    layers = [
        policy(f"p{n}{side}", f"local/l{n}/**", f"local/l{n + 1}/{side}/{{1}}", tag=f"{side}-%n")
        for n in range(12)
        for side in "ab"
    ]
    assert problems(*layers, policy("start", "local/start", "local/l0/x")) == [
        "policies: the policies lead to too many repositories to follow them all: write fewer layers of globs"
    ]


def test_a_disabled_policy_is_not_compared_and_one_in_shadow_is() -> None:
    assert problems(policy("a", "local/a", "local/b"), policy("b", "local/b", "local/a", mode="disabled")) == []
    assert len(problems(policy("a", "local/a", "local/b"), policy("b", "local/b", "local/a", mode="shadow"))) == 1


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (policy("p", "local/*/*", "remote/{3}"), "target: {3} stands for nothing that the source matches"),
        (policy("p", "local/a", "remote/{1}"), "target: {1} stands for nothing"),
        (policy("p", "local/*", "remote/{1}", tag="{2}-%n"), "tag: {2} stands for nothing"),
        (policy("p", "local/**", "remote/{1}", tag="{1}-%n"), "tag: {1} may contain /"),
        (policy("p", "local/a/b", "remote/x", tag="{repository}"), "tag: {repository} may contain /"),
        (policy("p", "local/a", "remote/x", tag="%n{x}"), "tag: between directives only"),
        (policy("p", "local/a", "remote/x", tag="x" * 129), "tag: a tag has at most 128"),
        (policy("p", "local/a", "remote/x", platforms=("linux/arm64", "linux/arm64")), "platforms.1: linux/arm64 is"),
        (policy("p", "local/" + "a" * 200, "remote/" + "b" * 60 + "/{repository}"), "target: remote/b"),
    ],
)
def test_placeholders_templates_and_platforms_are_held_to_what_the_source_provides(
    chosen: Policy, problem: str
) -> None:
    (found,) = problems(chosen)
    assert found.startswith(f"policies.0.{problem}")


def test_one_part_of_a_source_can_stand_in_a_tag() -> None:
    assert problems(policy("p", "local/*", "remote/{1}", tag="{1}-%n")) == []
    assert problems(policy("p", "local/app", "remote/x", tag="{repository}-%n")) == []


@pytest.mark.parametrize(
    ("rules", "place", "problem"),
    [
        ([rule_on("tag", "matches", "(")], "0.values.0", "is not an RE2 expression"),
        ([rule_on("tag", "semver", "1", "x y")], "0.values.1", "is not a range of semantic versions"),
        ([rule_on("window", "inside", "Mon", "Someday")], "0.values.1", "is not a window"),
        ([rule_on("window", "inside", "Mon", timezone="Mars/Base")], "0.timezone", "there is no time zone"),
        ([rule_on("age", ">", "999999999w")], "0.values.0", "longer than a century"),
        ([rule_on("updated_at", "after", "2026-02-30T00:00:00Z")], "0.values.0", "day"),
        ([rule_on("vulnerability_all", "<", "0")], "0", "no image can ever"),
        ([rule_on("size", "<", "1MB"), rule_on("size", ">", "1GB")], "1", "together with rules.0"),
        ([rule_on("vulnerability_major", "=", "1", "2"), rule_on("vulnerability_major", "!=", "1")], None, ""),
        ([rule_on("age", "<", "1h"), rule_on("soak", ">", "1h")], None, ""),
        (
            [rule_on("updated_at_duration", "after", "1h"), rule_on("updated_at_duration", "before", "2h")],
            "1",
            "rules.0",
        ),
        ([rule_on("updated_at_duration", "after", "2h"), rule_on("updated_at_duration", "before", "1h")], None, ""),
        (
            [
                rule_on("updated_at", "before", "2026-01-01T00:00:00Z"),
                rule_on("updated_at", "after", "2026-01-01T00:00:00Z"),
            ],
            "1",
            "rules.0",
        ),
        ([rule_on("updated_at", "before", "1960-01-01T00:00:00Z")], None, ""),
        ([rule_on("window", "outside", "Mon-Sun")], "0", "no image can ever"),
        ([rule_on("window", "outside", "Mon-Fri")], None, ""),
        ([rule("equals", "a"), rule("equals", "b")], "1", "rules.0"),
        ([rule("equals", "a", "b"), rule("one-of", "b", "c")], None, ""),
        ([rule("one-of", "a", "b"), rule("not-one-of", "a", "b")], "1", "rules.0"),
        ([rule("starts-with", "v"), rule("starts-with", "x")], "1", "rules.0"),
        ([rule("starts-with", "v"), rule("ends-with", "v")], None, ""),
        ([rule("contains", "/")], "0", "no image can ever"),
        ([rule("equals", "v1.5"), rule("semver", ">=2")], "1", "rules.0"),
        ([rule("equals", ".hidden")], "0", "no image can ever"),
        ([rule_on("label", "equals", "a", name="x"), rule_on("label", "equals", "b", name="x")], "1", "rules.0"),
        ([rule_on("label", "equals", "a", name="x"), rule_on("label", "equals", "b", name="y")], None, ""),
        ([rule_on("component.name", "equals", "a"), rule_on("component.name", "equals", "b")], None, ""),
        ([rule_on("component.name", "equals", "a"), rule_on("component.name", "not-one-of", "a")], "1", "rules.0"),
        ([rule_on("license.name", "one-of", "MIT"), rule_on("license.name", "not-one-of", "MIT")], None, ""),
    ],
)
def test_rules_that_cannot_be_read_or_never_hold_are_refused(
    rules: list[Rule], place: str | None, problem: str
) -> None:
    found = problems(policy("p", "local/a", "remote/a", *rules))
    if place is None:
        assert found == []
        return
    (line,) = found
    assert line.startswith(f"policies.0.rules.{place}: ")
    assert problem in line


def test_a_rule_on_a_platform_that_is_not_copied_never_holds() -> None:
    wanted = rule_on("platform", "one-of", "windows/amd64")
    assert len(problems(policy("p", "local/a", "remote/a", wanted, platforms=("linux/amd64",)))) == 1
    assert problems(policy("p", "local/a", "remote/a", wanted)) == []


@pytest.mark.parametrize(
    "path", ["a*" * 126, "*a" * 126, "*" + "b" * 250, "a" * 250 + "*", "*/" * 120 + "*", "**/" * 60 + "a"]
)
@pytest.mark.parametrize("other", ["a" * 250 + "*", "*" + "b" * 250, "a*" * 126, "/".join("a" * 120) + "/*"])
def test_patterns_as_long_as_they_may_be_are_compared(path: str, other: str) -> None:
    same_target = [
        policy("one", f"local/{path}", "remote/{repository}", tag="a-%n"),
        policy("two", f"local/{other}", "remote/{repository}", tag="b-%n"),
        policy("on", f"remote/{path}", "third/{repository}"),
    ]
    assert problems_of(PolicySet(policies=tuple(same_target)), None) == []
