"""Fields that are wrong in themselves: names, registries, placeholders, templates, platforms, spans, deletions."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Final

from schemas.policies import Policy, PolicySet
from towline.policy.asking import NEVER
from towline.policy.check.problem import Path, Problem
from towline.policy.patterns import captures, generalise
from towline.policy.rules.spans import parse_span
from towline.policy.template import directives_of, template_problem

#: What is asked more often asks registries all the time, and each answer costs their owner something.
_SHORTEST: Final = timedelta(minutes=1)


def bad_fields(policies: PolicySet, registries: Collection[str] | None) -> Iterator[Problem]:
    """Yield what is wrong with the fields of each policy, in the order of the file."""
    first: dict[str, int] = {}
    for number, policy in enumerate(policies.policies):
        path = ("policies", number)
        if policy.name in first:
            yield Problem((*path, "name"), f"{policy.name!r} is the name of policies.{first[policy.name]} already")
        first.setdefault(policy.name, number)
        if registries is not None:
            yield from _unknown_registries(policy, path, registries)
        yield from _bad_target(policy, path)
        if (problem := template_problem(policy.tag, captures(policy.source))) is not None:
            yield Problem((*path, "tag"), problem)
        yield from _repeated_platforms(policy, path)
        if policy.poll is not None:
            yield from _bad_interval(policy.poll, (*path, "poll"))
        yield from _bad_deletions(policy, path)


def _unknown_registries(policy: Policy, path: Path, registries: Collection[str]) -> Iterator[Problem]:
    for end, pattern in (("source", policy.source), ("target", policy.target)):
        if pattern.registry not in registries:
            known = ", ".join(sorted(registries)) or "none"
            text = f"there is no registry {pattern.registry!r} in the settings (known: {known})"
            yield Problem((*path, end), text)


def _bad_target(policy: Policy, path: Path) -> Iterator[Problem]:
    provided = captures(policy.source)
    missing = [name for name in policy.target.placeholders if name not in provided]
    for name in dict.fromkeys(missing):
        names = ", ".join(f"{{{known}}}" for known in provided)
        text = f"{{{name}}} stands for nothing that the source matches; it provides {names}"
        yield Problem((*path, "target"), text)
    if missing or policy.source.repository is None:
        return
    target = generalise(policy.target, policy.source)
    try:
        policy.target.fill(provided)
    except ValueError:
        yield Problem((*path, "target"), f"{target} is not a repository")


def _repeated_platforms(policy: Policy, path: Path) -> Iterator[Problem]:
    for number, platform in enumerate(policy.platforms):
        if platform in policy.platforms[:number]:
            yield Problem((*path, "platforms", number), f"{platform} is there already")


def bad_reconciliation(policies: PolicySet) -> Iterator[Problem]:
    """Yield what is wrong with how often sources are compared."""
    if policies.reconcile != NEVER:
        yield from _bad_interval(policies.reconcile, ("reconcile",))


def _bad_interval(text: str, path: Path) -> Iterator[Problem]:
    try:
        span = parse_span(text)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if span < _SHORTEST:
        yield Problem(path, f"{text} is shorter than a minute")


def _bad_deletions(policy: Policy, path: Path) -> Iterator[Problem]:
    if policy.deletions == NEVER:
        return
    others = sorted(directives_of(policy.tag) - {"n"})
    if "n" not in directives_of(policy.tag):
        text = "the tag template needs %n: without it the target tag of one source tag may be that of another"
        yield Problem((*path, "deletions"), text)
    elif others:
        text = f"the tag template has %{others[0]}, so that one source tag has many target tags; leave one of both out"
        yield Problem((*path, "deletions"), text)
