"""What must not enter the log is refused with its path, before it does."""

from itertools import pairwise

import pytest

from schemas.policies import Policy, PolicySet
from tests.support.builders import policy
from towline.errors import PolicyError
from towline.policy.check import problems_of
from towline.policy.document import read_policies

KNOWN = {"local", "remote"}


def problems(*policies: Policy) -> list[str]:
    return problems_of(PolicySet(policies=policies), KNOWN)


def test_a_chain_and_a_fan_out_are_fine() -> None:
    assert (
        problems(
            policy("a", "local/dev", "local/qa"),
            policy("b", "local/qa", "local/prod"),
            policy("c", "local/dev", "remote/dev"),
            policy("d", "local/prod", "remote/dev"),
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
        policy("in", "local/start", "local/a"),
        policy("a", "local/a", "local/b"),
        policy("out", "local/a", "local/end"),
        policy("b", "local/b", "local/a"),
    )
    assert found == ["policies.3.target: closes a cycle: local/a -> local/b -> local/a"]


def test_a_cycle_that_several_ways_lead_to_is_found_once() -> None:
    found = problems(
        policy("here", "local/start", "local/a"),
        policy("there", "remote/start", "local/a"),
        policy("round", "local/a", "local/a"),
    )
    assert found == ["policies.2.target: closes a cycle: local/a -> local/a"]


def test_ways_that_part_and_meet_again_are_no_cycle_and_each_is_walked_once() -> None:
    # Thirty diamonds in a row: a thousand million ways from end to end.
    diamonds = [
        policy(f"{way}{side}{n}", *ends)
        for n in range(30)
        for side in ("a", "b")
        for way, ends in (("out", (f"local/{n}", f"local/{n}{side}")), ("in", (f"local/{n}{side}", f"local/{n + 1}")))
    ]
    assert problems(*diamonds) == []
    assert len(problems(*diamonds, policy("back", "local/30", "local/0"))) == 1


def test_a_chain_as_long_as_a_set_may_be_is_checked() -> None:
    chain = [policy(f"p{n}", f"local/r{n}", f"local/r{n + 1}") for n in range(5000)]
    assert problems(*chain) == []
    assert len(problems(*chain, policy("back", "local/r5000", "local/r0"))) == 1


def test_each_other_problem_begins_with_its_path() -> None:
    assert problems(policy("a", "local/x", "local/y"), policy("a", "local/x", "local/z")) == [
        "policies.1.name: 'a' is the name of policies.0 already"
    ]
    assert problems(policy("a", "nowhere/x", "local/y")) == [
        "policies.0.source: there is no registry 'nowhere' in the settings (known: local, remote)"
    ]
    (bad,) = problems(policy("a", "local/x", "local/y", tag="%Q"))
    assert bad.startswith("policies.0.tag: %Q is not a directive")


GOOD = """
policies:
  - name: one
    source: local/dev/app
    target: local/qa/app
    rules:
      - {field: tag, operator: ends-with, values: ["-stable"]}
"""


def test_a_file_as_people_write_it_is_read() -> None:
    (read,) = read_policies(GOOD, KNOWN).policies
    assert (read.name, read.tag, read.rules[0].values) == ("one", "%n", ("-stable",))
    assert read_policies("policies: []", KNOWN).policies == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("policies: [", "not YAML"),
        ("", "a policy file begins with"),
        ("- name: one", "a policy file begins with"),
        ("policies: 3", "policies: "),
        (GOOD.replace("field: tag", "field: colour"), "policies.0.rules.0.field: "),
        (GOOD.replace("ends-with", "ew"), "policies.0.rules.0.operator: "),
        (GOOD.replace('"-stable"', "1.0"), "policies.0.rules.0.values.0: "),
        (GOOD.replace('["-stable"]', "[]"), "policies.0.rules.0.values: "),
        (GOOD.replace('"-stable"', "2026-11-24"), "write dates and other special values in quotes"),
        (GOOD.replace("name: one", "name: One"), "policies.0.name: "),
        (GOOD.replace("local/dev/app", "app"), "policies.0.source: "),
        (GOOD.replace("    rules:", "    colour: red\n    rules:"), "policies.0.colour: "),
        (GOOD.replace("local/qa/app", "local/dev/app"), "policies.0.target: closes a cycle"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_path(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read_policies(text, KNOWN)
    assert any(line.startswith(problem) or problem in line for line in refused.value.problems), refused.value.problems


def test_all_problems_of_a_file_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as refused:
        read_policies(GOOD.replace("field: tag", "field: colour").replace("name: one", "name: One"), KNOWN)
    assert len(refused.value.problems) == 2
