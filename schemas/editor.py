"""The JSON Schemas of files of policies and subscriptions, for editors: what can be written where, and its defaults.

The descriptions are the comments of the models, so that there is one text for each field.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from schemas.policies import Policy, PolicySet
from schemas.rules import Rule
from schemas.webhooks import Subscription, SubscriptionSet

_COMMENT: Final = re.compile(r"((?: +#: .*\n)+) +(\w+): ")

#: What the fields of rules mean is said once, for all kinds of rules.
_RULE_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "field": ("Field", "What the rule looks at."),
    "operator": ("Operator", "How it compares."),
    "values": ("Values", "Any of them must fit; with not-one-of none may, with all-of each must."),
    "name": ("Name", "Which label or annotation, such as org.opencontainers.image.version."),
    "timezone": ("Time zone", "The time zone that the values are in, by its IANA name."),
}
#: Those whose name does not say it all.
_OPERATORS: Final[Mapping[str, str]] = {
    "matches": "matches: an RE2 expression found anywhere in the text; anchor it with ^ and $.",
    "glob": "glob: * and ? over the whole text.",
    "semver": "semver: a range of versions, such as ^1.4 or >=1.2 <2.",
    "before": "before: earlier than the moment, or longer ago than the span; after: the other way.",
    "inside": "inside: only then; outside: then not, such as in a freeze.",
}


def editor_schema() -> dict[str, Any]:
    """Return the schema of a policy file, in draft 2020-12."""
    schema = PolicySet.model_json_schema()
    definitions = schema["$defs"]
    # The check fills it in; in a file it has no place.
    del schema["properties"]["tzdata"]
    schema["required"] = ["policies"]
    schema["description"] = "All policies in force together. A file replaces all policies before it, as one revision."
    schema["properties"]["policies"] |= {"title": "Policies", "description": "The policies, in any order."}
    del schema["properties"]["policies"]["default"]
    reconcile = schema["properties"]["reconcile"]
    reconcile |= {"title": "Reconcile", "description": _described(PolicySet)["reconcile"]}
    described = _described(Policy)
    for name, field in definitions["Policy"]["properties"].items():
        field |= {"title": _title(name), "description": described[name]}
    for model in get_args(get_args(Rule)[0]):
        _describe_rule(definitions[model.__name__], model)
    return schema


def subscriptions_schema() -> dict[str, Any]:
    """Return the schema of a file of subscriptions, in draft 2020-12."""
    schema = SubscriptionSet.model_json_schema()
    schema["required"] = ["subscriptions"]
    schema["description"] = "Who is told of what. A file replaces all subscriptions before it, as one revision."
    schema["properties"]["subscriptions"] |= {"description": "The subscriptions, in any order."}
    del schema["properties"]["subscriptions"]["default"]
    described = _described(Subscription)
    for name, field in schema["$defs"]["Subscription"]["properties"].items():
        field |= {"title": _title(name), "description": described[name]}
    return schema


def _describe_rule(definition: dict[str, Any], model: type[BaseModel]) -> None:
    for name, field in definition["properties"].items():
        title, description = _RULE_FIELDS[name]
        field |= {"title": title, "description": description}
        if name == "field":
            field["description"] = _in_markdown(inspect.getdoc(model) or description)
    told = [
        text
        for operator, text in _OPERATORS.items()
        if operator in definition["properties"]["operator"].get("enum", ())
    ]
    if told:
        definition["properties"]["operator"]["description"] += " " + " ".join(told)
    items = definition["properties"]["values"]["items"]
    if items.get("type") == "string" and "pattern" not in items:
        # Numbers are read as they are written, so `1.10` needs no quotes.
        items["type"] = ["string", "number"]


def _described(model: type[BaseModel]) -> dict[str, str]:
    """Return the comment before each field of a model."""
    found = _COMMENT.findall(inspect.getsource(model))
    return {name: " ".join(line.strip().removeprefix("#: ") for line in text.splitlines()) for text, name in found}


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _in_markdown(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
