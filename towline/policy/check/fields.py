"""Fields that are wrong in themselves: names, registries, placeholders, templates, platforms."""

from collections.abc import Collection, Iterator

from schemas.policies import Policy, PolicySet
from towline.policy.check.problem import Path, Problem
from towline.policy.patterns import captures, generalise
from towline.policy.template import template_problem


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
