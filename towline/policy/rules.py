"""How a rule comes out on an image."""

from collections.abc import Callable, Mapping
from typing import Final

from schemas.decisions import Holding, RuleFinding
from schemas.policies import Rule

_ANY_OF: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": lambda actual, value: actual == value,
    "one-of": lambda actual, value: actual == value,
    "starts-with": lambda actual, value: actual.startswith(value),
    "ends-with": lambda actual, value: actual.endswith(value),
    "contains": lambda actual, value: value in actual,
}


def find_tag(rule: Rule, tag: str) -> RuleFinding:
    """Return how a rule on the tag comes out. A tag is always known, so the rule never waits."""
    if rule.operator == "not-one-of":
        holds = tag not in rule.values
    else:
        compare = _ANY_OF[rule.operator]
        holds = any(compare(tag, value) for value in rule.values)
    return RuleFinding(
        field=rule.field,
        operator=rule.operator,
        values=rule.values,
        actual=tag,
        result="holds" if holds else "fails",
    )


def combine(findings: tuple[RuleFinding, ...]) -> Holding:
    """Return how the rules come out together: one that fails decides, then one that waits."""
    results = {finding.result for finding in findings}
    if "fails" in results:
        return "fails"
    return "waits" if "waits" in results else "holds"


def describe_finding(finding: RuleFinding) -> str:
    """Return a rule and what it met, as a person would say it."""
    values = ", ".join(finding.values)
    verb = {"holds": "holds for", "fails": "fails for", "waits": "waits for"}[finding.result]
    return f"{finding.field} {finding.operator} {values} {verb} {finding.actual or 'a fact not yet known'}"
