"""Policies in the words of the policy files."""

from typing import Any, Final

from schemas.policies import Policy
from schemas.rules import Rule

#: These have places of their own on the page.
_SHOWN: Final = frozenset({"name", "source", "target", "tag", "rules", "mode"})


def rule_text(rule: Rule) -> str:
    """Return a rule in one line."""
    members = rule.model_dump(mode="json")
    field, name, operator = members.pop("field"), members.pop("name", None), members.pop("operator")
    said = f"{field} {name or ''} {operator} {', '.join(members.pop('values'))}".replace("  ", " ")
    more = ", ".join(_member(*one) for one in members.items() if one[1] is not None)
    return f"{said} ({more})" if more else said


def options_of(policy: Policy) -> tuple[str, ...]:
    """Return what a policy says otherwise than by default, beside what the page has a place for."""
    members = policy.model_dump(mode="json", exclude_defaults=True, exclude=set(_SHOWN))
    return tuple(_member(*one) for one in members.items())


def _member(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"{name}: {', '.join(value) if isinstance(value, list) else value}"
