"""From what a validation found wrong with a policy file to lines that say what to write instead."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError

from schemas.policies import Policy
from schemas.webhooks import Subscription, SubscriptionSet
from towline.policy.check.problem import Path, Problem
from towline.policy.lines import Node

#: How much of a wrong value is repeated.
_SHOWN_LENGTH: Final = 60

#: What is expected in each field whose grammar a pattern would tell only to some.
_GRAMMARS: Final[Mapping[str, str]] = {
    "name": "up to 63 lower-case letters, digits and hyphens, such as website-to-qa",
    "source": "REGISTRY/REPOSITORY in lower case, such as local/dev/website, or a glob such as local/dev/*",
    "target": "REGISTRY/REPOSITORY in lower case, such as local/qa/website; {1} is what the source's first * matched",
    "poll": "a span of time, such as 30m or 1h30m",
    "reconcile": "a span of time, such as 6h, or never",
    "deletions": "never, or a share such as 10%",
    "timezone": "an IANA name, such as Europe/Berlin",
    "platforms": "OS/ARCHITECTURE, such as linux/amd64",
    "age": "a span of time, such as 72h or 14d",
    "soak": "a span of time, such as 72h or 14d",
    "updated_at_duration": "a span of time, such as 72h or 14d",
    "updated_at": "a moment with its time zone, such as 2026-11-24T08:00:00Z",
    "size": "bytes, or a number with a unit, such as 500MB or 2GiB",
    "approved": "how many people, 1 to 99",
    "receiver": "up to 63 lower-case letters, digits and hyphens: a name under receivers in the settings",
    "repository": "REGISTRY/REPOSITORY in lower case, such as local/dev/website, or a glob such as local/dev/*",
}
_COUNT: Final = "a whole number from 0"

#: What other systems call our operators, by the way that people are used to.
_OPERATORS: Final[Mapping[str, str]] = {
    "eq": "equals", "sw": "starts-with", "ew": "ends-with", "c": "contains", "oo": "one-of", "noo": "not-one-of",
    "gte": ">=", "gt": ">", "neq": "!=", "lte": "<=", "lt": "<", "bf": "before", "af": "after",
    "==": "=", "is": "equals", "in": "one-of", "not-in": "not-one-of", "regex": "matches",
}  # fmt: skip


def problems_of_shape(error: ValidationError, tree: Node) -> list[Problem]:
    """Return a problem for each thing that does not fit the shape of a policy set, or a set of subscriptions."""
    found: list[Problem] = []
    for item in error.errors(include_url=False, include_input=False):
        path = _without_union_tags(item["loc"])
        if item["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            path = (*path, "field")
        found.append(Problem(path, _text(item, path, tree)))
    paths = [problem.path for problem in found]
    # A list whose entries are all wrong is called empty as well.
    return [
        problem
        for problem in found
        if not any(path[: len(problem.path)] == problem.path and path != problem.path for path in paths)
    ]


def _without_union_tags(loc: tuple[str | int, ...]) -> Path:
    """Return a place in the file: after the number of a rule, a validation names which kind of rule it took it for."""
    if len(loc) > 4 and loc[0] == "policies" and loc[2] == "rules":
        return (*loc[:4], *loc[5:])
    return loc


def _text(item: Any, path: Path, tree: Node) -> str:
    describe = _TEXTS.get(item["type"])
    if describe is not None:
        return describe(item, path, tree)
    return str(item["msg"]).removeprefix("Value error, ")


def _pattern(_: Any, path: Path, tree: Node) -> str:
    return f"{_shown(path, tree)} is not {_grammar(path, tree)}"


def _grammar(path: Path, tree: Node) -> str:
    if "values" in path:
        return _GRAMMARS.get(str(tree.at(path[:4]).plain().get("field")), _COUNT)
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return _GRAMMARS.get(name, "of the right form")


def _choice(item: Any, path: Path, tree: Node) -> str:
    expected = str(item["ctx"].get("expected") or item["ctx"]["expected_tags"])
    known = [part for part in expected.replace(" or ", ", ").split("'") if part.strip(", ")]
    given = tree.at(path).content
    alias = _OPERATORS.get(given, "") if isinstance(given, str) else ""
    close = [alias] if alias in known else get_close_matches(str(given), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{_shown(path, tree)} is not known here; {hint}there are {', '.join(known)}"


def _missing(_: Any, path: Path, __: Node) -> str:
    grammar = _GRAMMARS.get(str(path[-1])) if len(path) == 3 else None
    return "is missing" + (f"; write {grammar}" if grammar else "")


def _extra(_: Any, path: Path, tree: Node) -> str:
    if isinstance(tree.content, dict) and "subscriptions" in tree.content:
        known = {1: tuple(SubscriptionSet.model_fields)}.get(len(path), tuple(Subscription.model_fields))
    else:
        known = {1: _TOP_FIELDS, 3: tuple(Policy.model_fields)}.get(len(path), _RULE_FIELDS)
    close = get_close_matches(str(path[-1]), known, n=1)
    return "there is no such field" + (f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}")


def _not_text(_: Any, path: Path, tree: Node) -> str:
    given = tree.at(path).content
    if isinstance(given, bool):
        return f"{str(given).lower()} (or yes, no, on, off) is not a text; put it in quotes if you mean the word"
    grammar = _GRAMMARS.get(str(path[-1])) if len(path) in {1, 3} else None
    return f"{_shown(path, tree)} is not {grammar or 'a text'}"


def _not_list(_: Any, path: Path, tree: Node) -> str:
    given = tree.at(path).content
    example = f"; write [{given}]" if isinstance(given, str | int) and not isinstance(given, bool) else ""
    return f"{_shown(path, tree)} is not a list{example}"


def _shown(path: Path, tree: Node) -> str:
    given = tree.at(path).content
    match given:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return str(given).lower()
    text = repr(given)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


_TOP_FIELDS: Final = ("policies", "reconcile")
_RULE_FIELDS: Final = ("field", "name", "operator", "values", "timezone")

_TEXTS: Final[Mapping[str, Callable[[Any, Path, Node], str]]] = {
    "string_pattern_mismatch": _pattern,
    "literal_error": _choice,
    "union_tag_invalid": _choice,
    "union_tag_not_found": lambda _, __, ___: "is missing; a rule begins with what it looks at, such as tag",
    "missing": _missing,
    "extra_forbidden": _extra,
    "string_type": _not_text,
    "tuple_type": _not_list,
    "dict_type": lambda _, path, tree: f"{_shown(path, tree)} is not a mapping of names to values",
    "model_type": lambda _, path, tree: f"{_shown(path, tree)} is not a mapping of names to values",
    "bool_type": lambda _, path, tree: f"{_shown(path, tree)} is neither true nor false",
    "too_short": lambda _, __, ___: "is empty; write at least one value",
}
