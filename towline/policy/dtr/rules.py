"""From a rule of DTR to one of ours."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from schemas.catalogue import describe
from schemas.rules import Rule
from towline.policy.dtr.notes import Notes, UnusablePolicyError
from towline.policy.rules.spans import parse_span
from towline.policy.rules.texts import value_problem

_TEXT: Final[Mapping[str, str]] = {
    "eq": "equals", "sw": "starts-with", "ew": "ends-with", "c": "contains", "oo": "one-of", "noo": "not-one-of",
    "matches": "matches",
}  # fmt: skip
_NUMBER: Final[Mapping[str, str]] = {"gte": ">=", "gt": ">", "eq": "=", "neq": "!=", "lte": "<=", "lt": "<"}
_TIME: Final[Mapping[str, str]] = {"bf": "before", "af": "after"}

_OPERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "tag": _TEXT,
    "component.name": _TEXT,
    "license.name": _TEXT,
    "vulnerability_all": _NUMBER,
    "vulnerability_critical": _NUMBER,
    "vulnerability_major": _NUMBER,
    "vulnerability_minor": _NUMBER,
    "updated_at": _TIME,
    "updated_at_duration": _TIME,
}
_MEMBERS: Final = frozenset({"field", "operator", "values"})
_RULE: Final[TypeAdapter[Rule]] = TypeAdapter(Rule)

#: Microseconds. Those of Go's time.ParseDuration, and the words of DTR's pages.
_UNITS: Final[Mapping[str, Fraction]] = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(10**6),
    "m": Fraction(60 * 10**6),
    "h": Fraction(3600 * 10**6),
    "d": Fraction(86_400 * 10**6),
    "w": Fraction(7 * 86_400 * 10**6),
    "month": Fraction(30 * 86_400 * 10**6),
}
_WORDS: Final[Mapping[str, str]] = {
    "µs": "us", "μs": "us", "second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "mo": "month",
}  # fmt: skip
_SPAN_PART: Final = re.compile(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*([A-Za-zµμ]+)\s*")
_SPAN_LENGTH_MAX: Final = 64


def converted_rule(rule: Any, path: str, notes: Notes) -> dict[str, Any]:
    """Return a rule as a policy file has it.

    Raises:
        UnusablePolicyError: without this rule the policy would let pass more than it did, and there is none like it.
    """
    if not isinstance(rule, dict):
        raise UnusablePolicyError(path, "a rule is an object with field, operator and values")
    for member in rule.keys() - _MEMBERS:
        raise UnusablePolicyError(f"{path}.{member}", "nobody knows this member of a rule")
    field = str(rule.get("field"))
    operators = _OPERATORS.get(field)
    if operators is None:
        raise UnusablePolicyError(f"{path}.field", f"{field!r} is no field of DTR; there are {', '.join(_OPERATORS)}")
    operator = rule.get("operator")
    if not isinstance(operator, str) or operator not in operators:
        text = f"{operator!r} is no operator for {field}; there are {', '.join(operators)}"
        raise UnusablePolicyError(f"{path}.operator", text)
    values = rule.get("values")
    if not isinstance(values, list) or not values:
        raise UnusablePolicyError(f"{path}.values", "a list of one or more texts is expected")
    said = [
        _value(field, operators[operator], value, f"{path}.values.{number}", notes)
        for number, value in enumerate(values)
    ]
    converted = {"field": field, "operator": operators[operator], "values": said}
    try:
        _RULE.validate_python({**converted, "values": tuple(said)})
    except ValidationError as error:
        raise UnusablePolicyError(path, describe(error)) from None
    return converted


def _value(field: str, operator: str, value: Any, path: str, notes: Notes) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UnusablePolicyError(path, "a text that is not empty is expected")
    text = str(value)
    if field == "updated_at":
        return _moment(text, path, notes)
    if field == "updated_at_duration":
        return _span(text, path, notes)
    if (problem := value_problem(operator, text)) is not None:
        raise UnusablePolicyError(path, problem)
    return text.strip() if operator in _NUMBER.values() else text


def _moment(text: str, path: str, notes: Notes) -> str:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
            notes.note(f"{path}: {text} has no time zone; taken as UTC")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnusablePolicyError(path, f"{text!r} is not a moment, such as 2026-11-24T08:00:00Z") from None
    fraction = f".{moment.microsecond:06}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z".rjust(len("2026-11-24T08:00:00Z"), "0")


def _span(text: str, path: str, notes: Notes) -> str:
    """Return a span of Go (``1h30m``, ``1.5h``, ``0``) or of DTR's pages (``3 months``) as one of ours."""
    total = _microseconds(text, path, notes)
    if total.denominator != 1:
        notes.note(f"{path}: {text} is rounded to microseconds")
    spelled = _spelled(round(total))
    try:
        parse_span(spelled)
    except ValueError as error:
        raise UnusablePolicyError(path, str(error)) from None
    return spelled


def _microseconds(text: str, path: str, notes: Notes) -> Fraction:
    text = text.strip().removeprefix("+")
    if text in {"0", "-0"}:
        return Fraction(0)
    parts = list(_SPAN_PART.finditer(text)) if len(text) <= _SPAN_LENGTH_MAX else []
    if not parts or "".join(part[0] for part in parts) != text:
        raise UnusablePolicyError(path, f"{text!r} is not a span of time, such as 72h or 1h30m")
    total = Fraction(0)
    for part in parts:
        word = part[2] if part[2] in _UNITS else part[2].lower().removesuffix("s")
        unit = _WORDS.get(part[2], _WORDS.get(word, word))
        if unit not in _UNITS:
            raise UnusablePolicyError(path, f"{part[2]!r} is no unit of time")
        if unit == "month":
            notes.note(f"{path}: a month is taken as 30 days")
        total += Fraction(part[1].rstrip(".") if not part[1].startswith(".") else f"0{part[1]}") * _UNITS[unit]
    return total


def _spelled(total: int) -> str:
    parts: list[str] = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, total = divmod(total, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
