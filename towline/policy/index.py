"""From a source repository to its policies, so that a decision costs nothing for policies that do not match."""

from collections import OrderedDict
from typing import Final

import orjson

from schemas.policies import Policy, PolicySet
from schemas.references import Repository
from towline.policy.state import POLICIES_KEY, RevisionState, StateView

#: Sets whose index is kept. During a publication some partitions of a worker are still under the set before.
INDEX_COUNT_MAX: Final = 8


class PolicyIndex:
    """The policies of one set by their source, each group in the order of their names."""

    def __init__(self, policies: PolicySet) -> None:
        groups: dict[Repository, list[Policy]] = {}
        for policy in sorted(policies.policies, key=lambda policy: policy.name):
            groups.setdefault(policy.source, []).append(policy)
        self._by_source = {source: tuple(group) for source, group in groups.items()}

    def matching(self, source: Repository) -> tuple[Policy, ...]:
        """Return the policies whose source this repository is."""
        return self._by_source.get(source, ())


_EMPTY: Final = PolicyIndex(PolicySet())
#: A cache of a pure function, by the set's digest; what it holds never decides anything.
_INDEXES: Final[OrderedDict[str, PolicyIndex]] = OrderedDict()


def policies_in_force(state: StateView, revision: RevisionState) -> PolicyIndex:
    """Return the index of the policy set in force, built once for each set: equal digests are equal sets."""
    if revision.revision == 0:
        return _EMPTY
    index = _INDEXES.get(revision.digest)
    if index is None:
        # Only here is the set itself read: it can be megabytes.
        index = PolicyIndex(PolicySet.model_validate_json(orjson.dumps(state.get(POLICIES_KEY))))
        _INDEXES[revision.digest] = index
        if len(_INDEXES) > INDEX_COUNT_MAX:
            _INDEXES.popitem(last=False)
    return index
