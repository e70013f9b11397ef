"""Policy files: YAML as people write it."""

from collections.abc import Collection, Iterator
from typing import Final

import orjson
from pydantic import ValidationError

from schemas.policies import PolicySet
from schemas.rules import WindowRule
from towline import limits
from towline.errors import PolicyError
from towline.policy.advice import problems_of_shape
from towline.policy.check import problems_of
from towline.policy.check.problem import Problem
from towline.policy.lines import Node, UnreadableYamlError, read_tree
from towline.policy.rules.windows import TZDATA

_BEGINNING: Final = "a policy file begins with `policies:` and a list"
_BYTE_ORDER_MARK: Final = "\ufeff"


def read_policies(text: str, registries: Collection[str] | None, name: str = "policies") -> PolicySet:
    """Return the policy set of a file's text, checked against the names of the known registries.

    ``registries`` of None: any name will do. ``name`` is the file's, for the problems.

    Raises:
        PolicyError: the text is not YAML, not a policy file, or a policy can never be right; with every problem found,
            each as ``NAME:LINE: PATH: what is wrong and what to write instead``.
    """
    tree, fields = read_fields(text, name, "policies", _BEGINNING)
    if "tzdata" in fields:
        raise PolicyError([f"{name}:{fields['tzdata'].line}: tzdata: the check finds it out; leave it out"])
    try:
        policies = PolicySet.model_validate_json(orjson.dumps(tree.plain()))
        problems = problems_of(policies, registries)
    except ValidationError as error:
        problems = problems_of_shape(error, tree)
    if problems:
        raise PolicyError([*placed(problems, tree, name)])
    return policies.model_copy(update={"tzdata": TZDATA}) if _names_a_zone(policies) else policies


def _names_a_zone(policies: PolicySet) -> bool:
    rules = (rule for policy in policies.policies for rule in policy.rules)
    return any(isinstance(rule, WindowRule) and rule.timezone != "UTC" for rule in rules)


def read_fields(text: str, name: str, member: str, beginning: str) -> tuple[Node, dict[str, Node]]:
    """Return the mapping that a file holds, and its fields, among which is ``member``.

    Raises:
        PolicyError: it holds none; ``beginning`` says how such a file begins.
    """
    if len(text) > limits.record_bytes:
        raise PolicyError([f"{name}:1: longer than the {limits.record_bytes} bytes that a set can have"])
    try:
        tree = read_tree(text.removeprefix(_BYTE_ORDER_MARK))
    except UnreadableYamlError as error:
        raise PolicyError([f"{name}:{error.line}: {error}"]) from None
    if tree is None or not isinstance(tree.content, dict) or member not in tree.content:
        raise PolicyError([f"{name}:{1 if tree is None else tree.line}: {beginning}"])
    return tree, tree.content


def placed(problems: list[Problem], tree: Node, name: str) -> Iterator[str]:
    """Yield a line for each problem, in the order of the file and with the line where it is."""
    for line, text in sorted({(tree.at(problem.path).line, str(problem)) for problem in problems}):
        yield f"{name}:{line}: {text}"
