"""Rules on the tag: each operator, with one value and with several."""

import pytest

from schemas.policies import Rule
from tests.support.builders import rule
from towline.policy.rules import combine, describe_finding, find_tag

ROWS = [
    (rule("equals", "1.0"), "1.0", "holds"),
    (rule("equals", "1.0"), "1.0-rc", "fails"),
    (rule("equals", "1.0", "2.0"), "2.0", "holds"),
    (rule("starts-with", "v"), "v1", "holds"),
    (rule("starts-with", "v"), "1v", "fails"),
    (rule("starts-with", "v", "r"), "r1", "holds"),
    (rule("ends-with", "-stable"), "1-stable", "holds"),
    (rule("ends-with", "-stable"), "stable-1", "fails"),
    (rule("ends-with", "-stable", "-lts"), "1-lts", "holds"),
    (rule("contains", "rc"), "1-rc-2", "holds"),
    (rule("contains", "rc"), "1-RC-2", "fails"),
    (rule("contains", "rc", "beta"), "beta1", "holds"),
    (rule("one-of", "a", "b"), "b", "holds"),
    (rule("one-of", "a", "b"), "ab", "fails"),
    (rule("not-one-of", "latest"), "1.0", "holds"),
    (rule("not-one-of", "latest"), "latest", "fails"),
    (rule("not-one-of", "latest", "edge"), "edge", "fails"),
    (rule("not-one-of", "latest", "edge"), "latest-edge", "holds"),
]


@pytest.mark.parametrize(("given", "tag", "result"), ROWS)
def test_each_operator_holds_or_fails_as_documented(given: Rule, tag: str, result: str) -> None:
    finding = find_tag(given, tag)
    assert finding.result == result
    assert finding.actual == tag


def test_the_table_has_a_row_that_holds_and_one_that_fails_for_each_operator() -> None:
    operators = Rule.model_fields["operator"].annotation.__args__  # type: ignore[union-attr]
    assert {(row[0].operator, row[2]) for row in ROWS} == {
        (operator, result) for operator in operators for result in ("holds", "fails")
    }


def test_one_rule_that_fails_decides_over_those_that_hold() -> None:
    holding, failing = find_tag(rule("equals", "1"), "1"), find_tag(rule("equals", "2"), "1")
    waiting = holding.model_copy(update={"result": "waits", "actual": None})
    assert combine(()) == "holds"
    assert combine((holding, holding)) == "holds"
    assert combine((holding, waiting)) == "waits"
    assert combine((waiting, failing, holding)) == "fails"
    assert describe_finding(waiting) == "tag equals 1 waits for a fact not yet known"
