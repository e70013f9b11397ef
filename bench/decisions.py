"""What a decision costs with 10,000 policies of which three match, against ten of which three match."""

import time

from tests.support.builders import policy, published, pushed, rule
from towline.policy.step import MemoryState

DECISIONS = 3000


def decision_vs_policies(runs: int) -> list[float]:
    """Return the ratio of the costs, both measured in turn within each run."""
    few, many = _state(10), _state(10_000)
    ratios = []
    for run in range(runs):
        cheap = _seconds(few, f"few {run}")
        ratios.append(_seconds(many, f"many {run}") / cheap)
    return ratios


def _state(count: int) -> MemoryState:
    matching = [
        policy(f"match-{n}", "local/dev/app", f"local/qa/app{n}", rule("ends-with", "-stable")) for n in range(3)
    ]
    others = [policy(f"p{n}", f"local/dev/r{n}", f"local/qa/r{n}") for n in range(count - 3)]
    state = MemoryState()
    state.step(published(*matching, *others))
    state.step(pushed("local/dev/app:warm-stable", "warm"))
    return state


def _seconds(state: MemoryState, seed: str) -> float:
    events = [pushed("local/dev/app:1-stable", f"{seed} {number}") for number in range(DECISIONS)]
    start = time.perf_counter()
    for event in events:
        assert len(state.step(event).decisions) == 3
    return time.perf_counter() - start
