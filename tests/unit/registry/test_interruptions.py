"""Copies that are interrupted anyhow, drawn by a seed: a target tag is old or right, and nothing stays behind.

Both registries of these tests believe whatever digest they are told, so that nothing but the engine's own checks stands
between wrong bytes and the target (fault catalogue: R rows, I7, I8, I9, I13, I15). The number in a failing test's name
is its seed; ``TOWLINE_SEED=...`` runs that one alone.
"""

import asyncio

import pytest

from tests.support.interruptions.images import Mixed, mixed_images
from tests.support.interruptions.runs import Held, run_rounds, seeds, without_help

#: Seeds of the quick suite, and how often each interrupts copies between the same two registries.
SEEDS = seeds(range(20))
ROUND_COUNT = 10


@pytest.fixture(scope="module")
def mixed() -> Mixed:
    """The same images for every seed."""
    return asyncio.run(mixed_images())


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_interrupted_copy_leaves_a_tag_old_or_right_and_can_be_repeated(
    seed: int, mixed: Mixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_help(monkeypatch)
    held = Held(monkeypatch)
    await run_rounds(seed, ROUND_COUNT, mixed, held)
