"""The interruptions of the quick suite, with other seeds and many more of them: 500 rounds in the process."""

import asyncio

import pytest

from tests.support.interruptions.images import Mixed, mixed_images
from tests.support.interruptions.runs import Held, run_rounds, seeds, without_help

pytestmark = pytest.mark.chaos

SEEDS = seeds(range(100, 150))
ROUND_COUNT = 10


@pytest.fixture(scope="module")
def mixed() -> Mixed:
    """The same images for every seed."""
    return asyncio.run(mixed_images())


@pytest.mark.parametrize("seed", SEEDS)
async def test_many_interruptions_leave_every_tag_old_or_right_and_nothing_behind(
    seed: int, mixed: Mixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_help(monkeypatch)
    await run_rounds(seed, ROUND_COUNT, mixed, Held(monkeypatch))
