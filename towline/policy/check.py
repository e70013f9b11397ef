"""What must be wrong with no policy set that enters the log. Each problem is a line that begins with its path."""

from collections.abc import Collection, Iterator

from schemas.policies import Policy, PolicySet
from schemas.references import Repository
from towline.policy.template import template_problem


def problems_of(policies: PolicySet, registries: Collection[str]) -> list[str]:
    """Return everything that is wrong with a set, given the names of the registries in the settings."""
    return [
        *_repeated_names(policies),
        *_unknown_registries(policies, registries),
        *_bad_templates(policies),
        *_cycles(policies),
    ]


def _repeated_names(policies: PolicySet) -> Iterator[str]:
    first: dict[str, int] = {}
    for number, policy in enumerate(policies.policies):
        if policy.name in first:
            yield f"policies.{number}.name: {policy.name!r} is the name of policies.{first[policy.name]} already"
        first.setdefault(policy.name, number)


def _unknown_registries(policies: PolicySet, registries: Collection[str]) -> Iterator[str]:
    known = ", ".join(sorted(registries)) or "none"
    for number, policy in enumerate(policies.policies):
        for end, repository in (("source", policy.source), ("target", policy.target)):
            if repository.registry not in registries:
                yield (
                    f"policies.{number}.{end}: there is no registry {repository.registry!r} in the settings "
                    f"(known: {known})"
                )


def _bad_templates(policies: PolicySet) -> Iterator[str]:
    for number, policy in enumerate(policies.policies):
        problem = template_problem(policy.tag)
        if problem is not None:
            yield f"policies.{number}.tag: {problem}"


def _cycles(policies: PolicySet) -> Iterator[str]:
    """Yield each cycle of repositories once, named by its first policy in the file."""
    onward: dict[Repository, list[tuple[int, Policy]]] = {}
    for number, policy in enumerate(policies.policies):
        onward.setdefault(policy.source, []).append((number, policy))
    finished: set[Repository] = set()
    for start in onward:
        yield from _walk(start, onward, finished)


def _walk(
    start: Repository, onward: dict[Repository, list[tuple[int, Policy]]], finished: set[Repository]
) -> Iterator[str]:
    # Depth first without recursion: a chain may be as long as the set.
    path: list[tuple[Repository, Iterator[tuple[int, Policy]]]] = [(start, iter(onward.get(start, ())))]
    on_path = {start}
    while path:
        repository, rest = path[-1]
        step = None if repository in finished else next(rest, None)
        if step is None:
            finished.add(repository)
            on_path.discard(repository)
            path.pop()
            continue
        number, policy = step
        if policy.target in on_path:
            names = [str(visited) for visited, _ in path]
            cycle = names[names.index(str(policy.target)) :]
            yield f"policies.{number}.target: closes a cycle: {' -> '.join([*cycle, str(policy.target)])}"
        elif policy.target not in finished:
            on_path.add(policy.target)
            path.append((policy.target, iter(onward.get(policy.target, ()))))
