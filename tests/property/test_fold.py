"""The fold, over random histories: against a naive model, under re-deliveries, and by prefixes."""

import os
import subprocess
import sys
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import encode
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImagePushed, PolicyPublished, TransferCompleted
from schemas.references import Frozen
from tests.support.builders import arrived, deleted, policy, published, pushed, rule, ticked
from towline.policy.step import MemoryState

REPOSITORIES = ("local/dev/app", "local/qa/app", "local/dev/tool")
TAGS = ("1-stable", "1-rc", "latest")
SETS = (
    (),
    (policy("a", "local/dev/app", "local/qa/app", rule("ends-with", "-stable")),),
    (
        policy("b", "local/dev/app", "local/qa/app", rule("not-one-of", "latest")),
        policy("a", "local/dev/app", "remote/app", rule("contains", "1"), rule("starts-with", "1")),
        policy("c", "local/qa/app", "remote/qa"),
    ),
)

references = st.builds("{}:{}".format, st.sampled_from(REPOSITORIES), st.sampled_from(TAGS))
images = st.sampled_from(["one", "two", "three"])
numbers = st.integers(0, 10_000)
events = st.one_of(
    st.builds(lambda ref, image, n: pushed(ref, image, key=f"push {n}{ref}{image}"), references, images, numbers),
    st.builds(lambda ref, n: deleted(ref, key=f"delete {n} {ref}"), references, numbers),
    st.builds(lambda ref, image, n: arrived(ref, image, hops=n % 4 + 1, key=str(n)), references, images, numbers),
    st.builds(lambda chosen, n: published(*chosen, revision=n % 5 + 1), st.sampled_from(SETS), numbers),
    st.builds(ticked, st.integers(0, 100)),
)
histories = st.lists(events, max_size=25, unique_by=lambda event: event.id)


@dataclass
class Naive:
    """What should come out, written as one plain loop over dictionaries."""

    tags: dict[str, tuple[str | None, int]] = field(default_factory=dict)
    revision: int = 0
    policies: tuple = ()  # type: ignore[type-arg]

    def take(self, event: Envelope[Frozen]) -> list[tuple[str | None, str]]:
        data = event.data
        if isinstance(data, PolicyPublished) and data.revision > self.revision:
            self.revision, self.policies = data.revision, data.set.policies
        if isinstance(data, ImageDeleted):
            key = f"{data.repository}:{data.tag}"
            self.tags[key] = (None, self.tags.get(key, (None, 0))[1])
        if isinstance(data, ImagePushed):
            return self.arrive(f"{data.repository}:{data.tag}", data.digest)
        if isinstance(data, TransferCompleted):
            return self.arrive(str(data.target), data.digest)
        return []

    def arrive(self, key: str, digest: str) -> list[tuple[str | None, str]]:
        known, self.tags[key] = self.tags.get(key), (digest, self.revision)
        repository, _, tag = key.rpartition(":")
        mine = sorted((p for p in self.policies if str(p.source) == repository), key=lambda p: p.name)
        if known == (digest, self.revision) or not mine:
            return [(None, "ignore")]
        return [(p.name, self.verdict(p, tag)) for p in mine]

    def verdict(self, chosen, tag: str) -> str:  # type: ignore[no-untyped-def]
        for given_rule in chosen.rules:
            tests = {
                "ends-with": any(tag.endswith(value) for value in given_rule.values),
                "starts-with": any(tag.startswith(value) for value in given_rule.values),
                "contains": any(value in tag for value in given_rule.values),
                "not-one-of": tag not in given_rule.values,
            }
            if not tests[given_rule.operator]:
                return "deny"
        return "promote" if chosen.source.registry == chosen.target.registry else "mirror"


def decisions(history: list[Envelope[Frozen]]) -> list[bytes]:
    state = MemoryState()
    return [encode(decision) for event in history for decision in state.step(event).decisions]


@given(histories)
@settings(max_examples=300, deadline=None)
def test_the_core_decides_as_a_naive_model_does(history: list[Envelope[Frozen]]) -> None:
    state, naive = MemoryState(), Naive()
    for event in history:
        made = [(item.data.policy, item.data.verdict) for item in state.step(event).decisions]
        assert made == naive.take(event)


@given(histories, st.data())
@settings(max_examples=200, deadline=None)
def test_redelivered_events_change_neither_decisions_nor_state(
    history: list[Envelope[Frozen]], data: st.DataObject
) -> None:
    noisy: list[Envelope[Frozen]] = []
    for event in history:
        noisy.append(event)
        # Within the window: at most a few events back.
        noisy += data.draw(st.lists(st.sampled_from(noisy[-5:]), max_size=2))
    once, twice = MemoryState(), MemoryState()
    first = [encode(d) for event in history for d in once.step(event).decisions]
    second = [encode(d) for event in noisy for d in twice.step(event).decisions]
    assert first == second
    assert once.values == twice.values


@given(histories, st.integers(0, 25))
@settings(max_examples=100, deadline=None)
def test_the_decisions_of_a_prefix_are_a_prefix_of_the_decisions(history: list[Envelope[Frozen]], cut: int) -> None:
    prefix = decisions(history[:cut])
    assert decisions(history)[: len(prefix)] == prefix


def example() -> list[Envelope[Frozen]]:
    return [
        published(*SETS[2]),
        *(pushed(f"{repository}:{tag}", tag) for repository in REPOSITORIES for tag in TAGS),
        arrived("local/qa/app:1-stable", "one", hops=1),
    ]


def test_another_hash_seed_and_time_zone_make_the_same_bytes() -> None:
    program = (
        "from tests.property.test_fold import decisions, example; import sys; "
        "sys.stdout.buffer.write(b'\\n'.join(decisions(example())))"
    )
    expected = b"\n".join(decisions(example()))
    assert expected.count(b"\n") >= 10
    for seed, zone in (("0", "UTC"), ("1", "Asia/Kathmandu"), ("4711", "America/St_Johns")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        found = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, timeout=60, env=environment
        )
        assert found.stdout == expected
