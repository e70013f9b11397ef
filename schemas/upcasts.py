"""Steps from the data of one version to the next. Each is pure, and stays for ever.

Version 1 of policies left referrers behind and judged only what was new; what it decided is told as it was.
"""

from collections.abc import Callable
from typing import Any

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


def unchanged(data: dict[str, Any]) -> dict[str, Any]:
    """The version after it has more members, which older records lack and which have defaults."""
    return data


def as_they_were(data: dict[str, Any]) -> dict[str, Any]:
    """Policy sets: every policy left referrers behind, and judged nothing that was there before it."""
    chosen = data.get("set")
    if not isinstance(chosen, dict) or not isinstance(chosen.get("policies"), list):
        return data
    then = {"referrers": False, "initial_evaluation": False}
    policies = [{**policy, **then} if isinstance(policy, dict) else policy for policy in chosen["policies"]]
    return {**data, "set": {**chosen, "policies": policies}}


def never_compared(data: dict[str, Any]) -> dict[str, Any]:
    """Policy sets: no source was asked but those that a policy polls."""
    chosen = data.get("set")
    return {**data, "set": {**chosen, "reconcile": "never"}} if isinstance(chosen, dict) else data


def on_an_interval(data: dict[str, Any]) -> dict[str, Any]:
    """Observations: what was asked again by itself was asked on an interval, and others count alike."""
    return {**data, "cause": "interval"}


def with_options(data: dict[str, Any]) -> dict[str, Any]:
    """Decisions and copies: how the image was copied became a member."""
    if data.get("target") is None:
        return data
    return {**data, "options": {"platforms": [], "referrers": False, "overwrite": "if-different"}}
