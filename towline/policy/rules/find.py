"""From a rule and an image to a finding, and from findings to one result."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.decisions import Holding, RuleFinding
from schemas.references import Frozen
from schemas.rules import (
    ApprovedRule,
    CountRule,
    InstantRule,
    NamedRule,
    Rule,
    SetRule,
    SignedRule,
    SinceRule,
    SizeRule,
    SpanRule,
    TagRule,
    WindowRule,
)
from towline.policy.rules.content import find_count, find_named, find_set, find_size
from towline.policy.rules.found import Found, decided
from towline.policy.rules.moments import find_instant, find_since, find_span, find_window
from towline.policy.rules.people import find_approved, find_signed
from towline.policy.rules.texts import holds
from towline.policy.rules.view import ImageView


def _find_tag(rule: TagRule, view: ImageView) -> Found:
    tag = view.subject.reference.tag
    return decided(holds(rule.operator, (tag,), rule.values), tag)


_FINDERS: Final[Mapping[type[Frozen], Callable[[Any, ImageView], Found]]] = {
    TagRule: _find_tag,
    SetRule: find_set,
    NamedRule: find_named,
    CountRule: find_count,
    SizeRule: find_size,
    InstantRule: find_instant,
    SinceRule: find_since,
    SpanRule: find_span,
    SignedRule: find_signed,
    ApprovedRule: find_approved,
    WindowRule: find_window,
}


def find(rule: Rule, view: ImageView) -> Found:
    """Return how a rule comes out. A rule that cannot be read fails: the check at apply does not bind the log."""
    try:
        return _FINDERS[type(rule)](rule, view)
    except (ValueError, OverflowError) as error:
        return Found("fails", None, f"the rule cannot be applied: {error}")


def finding(rule: Rule, found: Found) -> RuleFinding:
    """Return what is recorded of a rule."""
    return RuleFinding(
        field=rule.field,
        name=rule.name if isinstance(rule, NamedRule) else None,
        operator=rule.operator,
        values=rule.values,
        actual=found.actual,
        result=found.result,
        detail=found.detail,
        events=found.events,
    )


def combine(results: tuple[Holding, ...]) -> Holding:
    """Return how the rules come out together: one that fails decides, then one that waits."""
    if "fails" in results:
        return "fails"
    return "waits" if "waits" in results else "holds"


def due_at(found: tuple[Found, ...]) -> str | None:
    """Return when time alone makes all the waiting rules hold; None when one of them waits for a fact."""
    dues = [item.due_at for item in found if item.result == "waits"]
    return None if None in dues or not dues else max(due for due in dues if due is not None)


def describe_finding(finding: RuleFinding) -> str:
    """Return a rule and what it met, as a person would say it."""
    name = f" {finding.name}" if finding.name else ""
    said = f"{finding.field}{name} {finding.operator} {', '.join(finding.values)}"
    if finding.result == "waits":
        return f"{said} waits: {finding.detail}"
    verb = "holds for" if finding.result == "holds" else "fails for"
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{said} {verb} {finding.actual or 'what is not known'}{detail}"
