"""What a decision costs after a history of 1,000,000 events, against one of 1,000.

Both histories have the same shape: most pushes go to thousands of repositories without a policy, and one in twenty to a
single crowded repository that three policies read. The decisions are about new and known tags there, and about new
ones of a repository that is quiet otherwise.
"""

import time

from schemas.envelope import Envelope
from schemas.events import ImagePushed
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import at, policy, published, rule
from towline.policy.step import MemoryState

SHORT, LONG = 1_000, 1_000_000
REPOSITORIES = 5_000
#: One in so many events goes to the crowded repository.
CROWDED_SHARE = 20
DECISIONS = 3_000

_CROWDED = Repository.parse("local/dev/crowded")
_QUIET = Repository.parse("local/dev/quiet")


def decision_vs_history(runs: int) -> list[float]:
    """Return the ratio of the costs, both measured in turn within each run.

    The long history is folded once: what the runs add to it is nothing beside it.
    """
    long = _state(LONG)
    ratios = []
    for run in range(runs):
        cheap = _seconds(_state(SHORT), SHORT, run)
        ratios.append(_seconds(long, LONG, run) / cheap)
    return ratios


def _state(history: int) -> MemoryState:
    state = MemoryState()
    state.step(
        published(
            *(
                policy(
                    f"{source.name[4:]}-{n}", str(source), f"local/qa/{source.name[4:]}{n}", rule("ends-with", "-rc")
                )
                for source in (_CROWDED, _QUIET)
                for n in range(3)
            )
        )
    )
    others = [Repository.parse(f"local/team{n % 50}/app{n}") for n in range(REPOSITORIES)]
    for number in range(history):
        crowded = number % CROWDED_SHARE == 0
        state.step(_pushed(_CROWDED if crowded else others[number % REPOSITORIES], f"{number}-rc", number))
    return state


def _seconds(state: MemoryState, history: int, run: int) -> float:
    """Return what decisions take of which one in four is about a tag that the crowded repository has."""
    first = 2 * LONG + run * DECISIONS
    events = [
        _pushed(
            _QUIET if number % 2 else _CROWDED,
            f"{(number * CROWDED_SHARE) % history if number % 4 == 0 else first + number}-rc",
            first + number,
        )
        for number in range(DECISIONS)
    ]
    start = time.perf_counter()
    for event in events:
        assert len(state.step(event).decisions) == 3
    return time.perf_counter() - start


def _pushed(repository: Repository, tag: str, number: int) -> Envelope[Frozen]:
    data = ImagePushed(repository=repository, tag=tag, digest=f"sha256:{number:064x}", actor="ci")
    return Envelope(id=f"{number:064x}", source="bench", subject=str(Reference(repository, tag)), time=at(0), data=data)
