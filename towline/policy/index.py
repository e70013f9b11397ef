"""From a source repository to its policies, so that a decision costs nothing for policies that do not match."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import orjson

from schemas.patterns import SourcePattern
from schemas.policies import CopyOptions, Policy, PolicySet
from schemas.references import Repository
from schemas.rules import (
    ApprovedRule,
    CountRule,
    NamedRule,
    Rule,
    SetRule,
    SignedRule,
    SizeRule,
    SpanRule,
)
from towline.policy.asking import AskedSource, asked_sources
from towline.policy.patterns import match
from towline.policy.state.values import POLICIES_KEY, RevisionState, StateView

#: Sets whose index is kept. During a publication some partitions of a worker are still under the set before.
INDEX_COUNT_MAX: Final = 8
#: Repositories whose policies an index remembers; beyond that it begins anew.
REPOSITORY_COUNT_MAX: Final = 16_384

INSPECTION: Final = "inspection"
SCAN: Final = "scan"
SBOM: Final = "sbom"
SIGNATURE: Final = "signature"
OVERRIDE: Final = "override"
APPROVAL: Final = "approval"


@dataclass(frozen=True, slots=True)
class Match:
    """A policy whose source matches a repository."""

    policy: Policy
    #: What the placeholders of target and tag stand for.
    captures: Mapping[str, str]
    #: The kinds of facts that its rules look at.
    kinds: frozenset[str]
    #: Where its images go, or why nowhere.
    target: Repository | str
    #: How they are copied.
    options: CopyOptions
    #: Another policy of this repository has the same target repository.
    is_contested: bool


class PolicyIndex:
    """The policies of one set by their source; disabled ones are not there."""

    def __init__(self, policies: PolicySet) -> None:
        enabled = sorted(
            (policy for policy in policies.policies if policy.mode != "disabled"), key=lambda policy: policy.name
        )
        self.by_name: Mapping[str, Policy] = {policy.name: policy for policy in enabled}
        self._reconcile = policies.reconcile
        self._exact: dict[str, list[Policy]] = {}
        self._globs: dict[tuple[str, str], list[Policy]] = {}
        for policy in enabled:
            if "*" in policy.source.path:
                self._globs.setdefault(_ends(policy.source), []).append(policy)
            else:
                self._exact.setdefault(str(policy.source), []).append(policy)
        self._lengths = {(len(head), len(tail)) for head, tail in self._globs}
        self._matches: dict[Repository, tuple[Match, ...]] = {}

    @cached_property
    def asked(self) -> tuple[AskedSource, ...]:
        """The sources that are asked again and again."""

        def sources(repository: Repository) -> Iterator[SourcePattern]:
            return (found.policy.source for found in self._match(repository))

        return asked_sources(self.by_name.values(), self._reconcile, sources)

    def matching(self, repository: Repository) -> tuple[Match, ...]:
        """Return the policies whose source this repository is, in the order of their names."""
        known = self._matches.get(repository)
        if known is None:
            if len(self._matches) >= REPOSITORY_COUNT_MAX:
                self._matches.clear()
            known = self._matches[repository] = self._match(repository)
        return known

    def policies_of(self, repository: Repository) -> tuple[Policy, ...]:
        """Return the policies alone whose source this repository is, in the order of their names."""
        return tuple(match.policy for match in self.matching(repository))

    def _match(self, repository: Repository) -> tuple[Match, ...]:
        found = [
            (policy, values)
            for policy in self._candidates(str(repository))
            if (values := match(policy.source, repository)) is not None
        ]
        found.sort(key=lambda item: item[0].name)
        targets = [_target(policy, values) for policy, values in found]
        return tuple(
            Match(policy, values, kinds_of(policy), target, policy.options, _is_contested(target, targets))
            for (policy, values), target in zip(found, targets, strict=True)
        )

    def _candidates(self, name: str) -> Iterator[Policy]:
        yield from self._exact.get(name, ())
        for head, tail in self._lengths:
            if head + tail <= len(name):
                yield from self._globs.get((name[:head], name[len(name) - tail :]), ())


def _ends(source: SourcePattern) -> tuple[str, str]:
    """Return what every repository that a glob matches begins and ends with."""
    text = str(source)
    return text[: text.index("*")], text[text.rindex("*") + 1 :]


def _target(policy: Policy, values: dict[str, str]) -> Repository | str:
    try:
        return policy.target.fill(values)
    except ValueError as error:
        return str(error)


def _is_contested(target: Repository | str, targets: list[Repository | str]) -> bool:
    return isinstance(target, Repository) and targets.count(target) > 1


def kinds_of(policy: Policy) -> frozenset[str]:
    """Return the kinds of facts that a policy's rules look at."""
    kinds = frozenset(kind for rule in policy.rules for kind in _kinds(rule))
    return kinds | {INSPECTION} if policy.platforms else kinds


def _kinds(rule: Rule) -> frozenset[str]:
    match rule:
        case CountRule():
            return frozenset({SCAN, OVERRIDE, INSPECTION})
        case SetRule(field="platform") | NamedRule() | SizeRule() | SpanRule(field="age"):
            return frozenset({INSPECTION})
        case SetRule():
            return frozenset({SBOM, SCAN, INSPECTION})
        case SignedRule():
            return frozenset({SIGNATURE})
        case ApprovedRule():
            return frozenset({APPROVAL})
        case _:
            return frozenset()


_EMPTY: Final = PolicyIndex(PolicySet())
#: A cache of a pure function, by the set's digest; what it holds never decides anything.
_INDEXES: Final[OrderedDict[str, PolicyIndex]] = OrderedDict()


def policies_in_force(state: StateView) -> PolicyIndex:
    """Return the index of the policy set in force, built once for each set: equal digests are equal sets."""
    digest = RevisionState.read(state).digest
    if not digest:
        return _EMPTY
    index = _INDEXES.get(digest)
    if index is None:
        # Only here is the set itself read: it can be megabytes.
        index = PolicyIndex(PolicySet.model_validate_json(orjson.dumps(state.get(POLICIES_KEY))))
        _INDEXES[digest] = index
        if len(_INDEXES) > INDEX_COUNT_MAX:
            _INDEXES.popitem(last=False)
    return index
