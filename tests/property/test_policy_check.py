"""What the check at apply accepts can neither collide nor go round, whatever is pushed.

Pushes are simulated with the core's own matching and templates over a small universe; the check only sees the policies.
"""

from collections import defaultdict
from itertools import product

from hypothesis import event, given, settings
from hypothesis import strategies as st

from schemas.patterns import SourcePattern
from schemas.policies import Policy, PolicySet
from schemas.references import Reference, Repository
from tests.support.builders import at, policy, rule
from towline.policy.check import problems_of
from towline.policy.index import PolicyIndex
from towline.policy.judge import resolve
from towline.policy.patterns import can_meet, match
from towline.policy.rules.texts import holds

#: Few and close to each other, so that many sets nearly collide or nearly go round.
SOURCES = (
    "l/a",
    "l/b",
    "l/a/a",
    "l/a/b",
    "l/x-a",
    "l/*",
    "l/**",
    "l/a/*",
    "l/*/a",
    "l/x-*",
    "l/*-*",
    "l/*/*",
    "r/a",
    "r/*",
)
TARGETS = (
    "r/a", "r/a/a", "r/{repository}", "r/{1}", "r/a/{1}", "r/{1}/a", "r/{2}/{1}", "r/{1}{2}", "r/{1}-{2}",
    "l/a", "l/{1}", "l/b/{repository}", "l/x-{1}", "r/x-{1}",
)  # fmt: skip
TAGS = (
    "%n",
    "%n",
    "%n",
    "%n",
    "%n",
    "%n",
    "a-%n",
    "%n-a",
    "b-%n",
    "a",
    "{1}-%n",
    "{1}..%n",
    "%n-%d",
    "%d-%n",
    "%n%n",
    "a%p",
)
VALUES = ("a", "b", "a-", "-a", "a-b", "24", "latest")
OPERATORS = ("equals", "one-of", "not-one-of", "starts-with", "ends-with", "contains", "glob", "matches")
REPOSITORIES = tuple(
    Repository.parse(f"{registry}/{path}")
    for registry, path in product("lr", ("a", "b", "a/a", "a/b", "b/a", "x-a", "x-b", "a-b", "x/a"))
)
PUSHED = ("a", "b", "a-a", "a-b", "b-a", "a-24", "24-a", "24-24", "latest", "a.", "a..b", "aa", "aAM")
TIMES = (at(0), at(86_400 * 3), at(3600 * 5))
#: Chains of the universe that are longer have gone round.
STEPS_MAX = 40

rules = st.builds(
    lambda operator, values: rule(operator, *values),
    st.sampled_from(OPERATORS),
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
)
policies = st.builds(
    lambda source, target, tag, chosen: (source, target, tag, chosen),
    st.sampled_from(SOURCES), st.sampled_from(TARGETS), st.sampled_from(TAGS), st.lists(rules, max_size=1),
)  # fmt: skip


def set_of(drawn: list[tuple]) -> PolicySet:  # type: ignore[type-arg]
    made = tuple(
        policy(f"p{n}", source, target, *chosen, tag=tag) for n, (source, target, tag, chosen) in enumerate(drawn)
    )
    return PolicySet(policies=made)


def writes(index: PolicyIndex, source: Reference) -> set[Reference]:
    found = set()
    for found_match in index.matching(source.repository):
        if all(holds(one.operator, (source.tag,), one.values) for one in found_match.policy.rules):
            for time in TIMES:
                try:
                    found.add(resolve(found_match, source, time))
                except ValueError:
                    continue
    return found


class Universe:
    """Everything that can happen after pushes of all tags into all repositories."""

    def __init__(self, chosen: PolicySet) -> None:
        self.index = PolicyIndex(chosen)
        self.writers: dict[Reference, set[Repository]] = defaultdict(set)
        self.onward: dict[Repository, set[Repository]] = defaultdict(set)
        todo = [Reference(repository, tag) for repository in REPOSITORIES for tag in PUSHED]
        seen: set[Reference] = set()
        self.is_endless = False
        while todo and not self.is_endless:
            source = todo.pop()
            if source in seen:
                continue
            seen.add(source)
            self.is_endless = len(seen) > 4000
            for target in writes(self.index, source):
                self.writers[target].add(source.repository)
                self.onward[source.repository].add(target.repository)
                todo.append(target)

    @property
    def collides(self) -> bool:
        return any(len(sources) > 1 for sources in self.writers.values())

    def goes_round(self) -> bool:
        return self.is_endless or any(start in self.reached(start) for start in list(self.onward))

    def reached(self, start: Repository) -> set[Repository]:
        found: set[Repository] = set()
        todo = [start]
        while todo:
            for target in self.onward.get(todo.pop(), ()):
                if target not in found:
                    found.add(target)
                    todo.append(target)
        return found


@given(st.lists(policies, min_size=2, max_size=3))
@settings(max_examples=1000, deadline=None)
def test_whatever_is_accepted_neither_collides_nor_goes_round(drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    chosen = set_of(drawn)
    # Rules that can never hold are no reason here: what they refuse could hide what is looked for.
    found = [problem for problem in problems_of(chosen, None) if "rules" not in problem.path]
    event("refused" if found else "accepted")
    if found:
        return
    universe = Universe(chosen)
    assert not universe.collides
    assert not universe.goes_round()


exact = st.tuples(st.sampled_from(("l/a", "l/b", "r/a", "r/b")), st.sampled_from(("l/a", "l/b", "r/a", "r/b")))


@given(st.lists(exact, min_size=1, max_size=5, unique=True))
@settings(max_examples=300, deadline=None)
def test_without_globs_exactly_the_cycles_are_refused(ends: list[tuple[str, str]]) -> None:
    made: list[Policy] = [policy(f"p{n}", *pair, tag=f"p{n}-%n") for n, pair in enumerate(ends)]
    found = [problem for problem in problems_of(PolicySet(policies=tuple(made)), None) if "cycle" in problem.text]
    onward: dict[str, set[str]] = defaultdict(set)
    for source, target in ends:
        onward[source].add(target)
    for _ in ends:
        for targets in onward.values():
            for target in list(targets):
                targets.update(onward.get(target, ()))
    assert bool(found) == any(source in targets for source, targets in onward.items())


paths = st.lists(st.sampled_from(("a", "b", "ab", "a-b", "a.b")), min_size=1, max_size=4).map("/".join)
globs = st.lists(st.sampled_from(("a", "b", "*", "a*", "*b", "*-*", "**")), min_size=1, max_size=4).map("/".join)


@given(paths, globs, globs)
@settings(max_examples=500, deadline=None)
def test_patterns_that_match_one_repository_can_meet(path: str, first: str, second: str) -> None:
    repository = Repository.parse(f"l/{path}")
    one, two = SourcePattern.parse(f"l/{first}"), SourcePattern.parse(f"l/{second}")
    if match(one, repository) is not None and match(two, repository) is not None:
        assert can_meet(one, two)
    if match(one, repository) is not None:
        assert can_meet(one, SourcePattern.parse(f"l/{path}"))
    else:
        assert not can_meet(one, SourcePattern.parse(f"l/{path}"))
