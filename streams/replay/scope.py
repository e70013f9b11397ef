"""Which repositories other policies can reach: all else is as it was, and need not be folded."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from schemas.policies import Policy, PolicySet
from schemas.references import Repository
from streams.replay.window import BROADCAST, Window
from streams.topics import partition_for, repository_key
from towline.policy.index import PolicyIndex


@dataclass(frozen=True, slots=True)
class Scope:
    """What is folded."""

    #: Keys of repositories; None: all.
    keys: frozenset[bytes] | None
    partitions: tuple[int, ...]

    def has(self, key: bytes) -> bool:
        """Tell whether records with a key can matter."""
        return self.keys is None or key in self.keys or key in BROADCAST


def changed_policies(window: Window, proposed: PolicySet) -> list[str]:
    """Return the names of the policies that are others in the proposed set than at some time in the window."""
    after = PolicyIndex(proposed).by_name
    changed: set[str] = set()
    for policies in window.sets.values() or [PolicySet()]:
        before = PolicyIndex(policies).by_name
        changed |= {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return sorted(changed)


def everything(window: Window) -> Scope:
    """Return the scope of an evaluation from scratch."""
    return Scope(None, tuple(window.spans))


def reach(window: Window, proposed: PolicySet, always: Collection[str] = ()) -> Scope:
    """Return the repositories that meet other policies in the proposed set than they met, and all downstream of them.

    ``always`` are policies that count as others.
    """
    after = PolicyIndex(proposed)
    indexes = [PolicyIndex(policies) for policies in window.sets.values()] or [PolicyIndex(PolicySet())]
    todo = [repository for repository in _repositories(window.keys) if _differs(repository, after, indexes, always)]
    asked: dict[bytes, set[bytes]] = {}
    for one, other in window.asked:
        asked.setdefault(one, set()).add(other)
    keys = {repository_key(repository) for repository in todo}
    while todo:
        repository = todo.pop()
        ahead = [*_targets(repository, [after, *indexes]), *_repositories(asked.get(repository_key(repository), ()))]
        for target in ahead:
            if (key := repository_key(target)) not in keys:
                keys.add(key)
                todo.append(target)
    count = len(window.spans)
    return Scope(frozenset(keys), tuple(sorted({partition_for(key, count) for key in keys})))


def _differs(repository: Repository, after: PolicyIndex, before: list[PolicyIndex], always: Collection[str]) -> bool:
    wanted = after.policies_of(repository)
    if any(policy.name in always for policy in wanted):
        return True
    return any(index.policies_of(repository) != wanted for index in before)


def _targets(repository: Repository, indexes: list[PolicyIndex]) -> Iterator[Repository]:
    seen: list[Policy] = []
    for index in indexes:
        for match in index.matching(repository):
            if match.policy in seen:
                continue
            seen.append(match.policy)
            try:
                yield match.policy.target.fill(dict(match.captures))
            except ValueError:
                continue  # Its name would be none, so nothing goes there.


def _repositories(keys: Collection[bytes]) -> Iterator[Repository]:
    for key in keys:
        try:
            yield Repository.parse(key.decode())
        except ValueError:
            continue  # The key of a glob's poll, or of a subscription.
