"""Rules that cannot be read, and rules that can never hold."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.policies import Policy, PolicySet
from schemas.rules import (
    CountRule,
    InstantRule,
    NamedRule,
    Rule,
    SetRule,
    SinceRule,
    SizeRule,
    SpanRule,
    TagRule,
    WindowRule,
)
from towline.policy.check.problem import Path, Problem
from towline.policy.check.tags import tags_of
from towline.policy.rules.spans import COMPARE, parse_moment, parse_size, parse_span
from towline.policy.rules.texts import holds, value_problem
from towline.policy.rules.view import is_selected
from towline.policy.rules.windows import is_open, opens_at, window_problem, zone

_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = "no image can ever fulfil this"

Readable = list[tuple[int, Any]]
"""Rules that can be read, with their numbers."""


def bad_rules(policies: PolicySet) -> Iterator[Problem]:
    """Yield what is wrong with the rules of each policy, in the order of the file."""
    for number, policy in enumerate(policies.policies):
        unreadable = [
            problem for index, rule in enumerate(policy.rules) for problem in _unreadable(number, index, rule)
        ]
        yield from unreadable
        wrong = {problem.path[3] for problem in unreadable}
        readable = [(index, rule) for index, rule in enumerate(policy.rules) if index not in wrong]
        yield from _never(policy, number, readable)


def _unreadable(number: int, index: int, rule: Rule) -> Iterator[Problem]:
    path: Path = ("policies", number, "rules", index)
    if isinstance(rule, WindowRule) and (problem := _problem(zone, rule.timezone)) is not None:
        yield Problem((*path, "timezone"), problem)
        return
    for place, value in enumerate(rule.values):
        if (problem := _value_problem(rule, value)) is not None:
            yield Problem((*path, "values", place), problem)


def _value_problem(rule: Rule, value: str) -> str | None:
    match rule:
        case TagRule() | SetRule() | NamedRule():
            return value_problem(rule.operator, value)
        case WindowRule():
            return window_problem(value, rule.timezone)
        case _:
            reader = _READERS.get(type(rule))
            return None if reader is None else _problem(reader, value)


def _problem(read: Callable[[str], object], text: str) -> str | None:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


def _span(text: str) -> int:
    return parse_span(text) // _MICROSECOND


def _moment(text: str) -> int:
    return (parse_moment(text) - _EPOCH) // _MICROSECOND


#: From a value to the whole number that it is compared as.
_READERS: Final[Mapping[type[Any], Callable[[str], int]]] = {
    CountRule: int,
    SizeRule: parse_size,
    SpanRule: _span,
    SinceRule: _span,
    InstantRule: _moment,
}
#: An update before a moment is less than it; an update before a span ago is longer ago.
_OPERATORS: Final[Mapping[tuple[type[Any], str], str]] = {
    (InstantRule, "before"): "<",
    (InstantRule, "after"): ">",
    (SinceRule, "before"): ">",
    (SinceRule, "after"): "<",
}


def _never(policy: Policy, number: int, rules: Readable) -> Iterator[Problem]:
    """Yield each rule that, with those before it on the same thing, can never hold."""
    groups: dict[tuple[str, str], Readable] = {}
    for index, rule in rules:
        name = rule.name if isinstance(rule, NamedRule) else ""
        groups.setdefault((rule.field, name), []).append((index, rule))
    for group in groups.values():
        together = [rule for _, rule in group]
        # Rules that cannot hold together do not begin to when more are added.
        count = bisect_left(
            range(1, len(group) + 1),
            True,
            key=lambda count: not _can_hold(together[:count], policy),
        )
        if count < len(group):
            others = ", ".join(f"rules.{index}" for index, _ in group[:count])
            text = f"{_NEVER} together with {others}" if others else _NEVER
            yield Problem(("policies", number, "rules", group[count][0]), text)


def _can_hold(rules: list[Any], policy: Policy) -> bool:
    """Tell whether rules on one thing can hold together. Never wrongly False."""
    match rules[0]:
        case TagRule():
            return not tags_of(rules).are_none
        case NamedRule():
            return _a_text_fits(rules)
        case SetRule(field="license.name"):
            return True  # Whoever offers a choice of licences may fulfil what looks like a contradiction.
        case SetRule(field=field):
            return _one_of_many_fits(rules, policy.platforms if field == "platform" else ())
        case WindowRule():
            return all(_opens(rule) for rule in rules)
        case CountRule() | SizeRule() | SpanRule() | SinceRule() | InstantRule():
            return _a_number_fits(rules)
        case _:
            return True


def _named(rules: Iterable[Any]) -> set[str] | None:
    """Return the texts that rules on one text name; None when they name none."""
    lists = [rule.values for rule in rules if rule.operator in {"equals", "one-of"}]
    return set(lists[0]).intersection(*lists[1:]) if lists else None


def _a_text_fits(rules: list[NamedRule]) -> bool:
    named = _named(rules)
    return named is None or any(all(holds(rule.operator, (text,), rule.values) for rule in rules) for text in named)


def _one_of_many_fits(rules: list[SetRule], platforms: tuple[str, ...]) -> bool:
    refused = {value for rule in rules if rule.operator == "not-one-of" for value in rule.values}
    return all(
        any(value not in refused and is_selected(value, platforms) for value in rule.values)
        for rule in rules
        if rule.operator in {"equals", "one-of"}
    )


def _a_number_fits(rules: list[Any]) -> bool:
    read = _READERS[type(rules[0])]
    bounds = [
        (_OPERATORS.get((type(rule), rule.operator), rule.operator), {read(value) for value in rule.values})
        for rule in rules
    ]
    # Between two values that are named nothing changes, so the values and their neighbours stand for all numbers.
    near = {value + step for _, values in bounds for value in values for step in (-1, 0, 1)} | {0}
    fits = [_comparison(operator, values) for operator, values in bounds]
    return any(all(one(number) for one in fits) for number in near if number >= 0 or isinstance(rules[0], InstantRule))


def _comparison(operator: str, values: set[int]) -> Callable[[int], bool]:
    """Return whether a number fits one of the values, at a cost that does not grow with them."""
    match operator:
        case "=":
            return values.__contains__
        case "!=" if len(values) > 1:
            return lambda _: True
        case ">" | ">=":
            decisive = min(values)
        case _:
            decisive = max(values)
    return lambda number: COMPARE[operator](number, decisive)


def _opens(rule: WindowRule) -> bool:
    given = (rule.operator, rule.values, rule.timezone, _EPOCH)
    return is_open(*given) or opens_at(*given) is not None
