"""Histories drawn by a seed, with everything that may befall workers and log (fault catalogue, method 1).

A failing one is played again with ``TOWLINE_SEED=NUMBER``.
"""

import pytest

from tests.support.interruptions.runs import seeds
from tests.unit.agents.harness import without_waits
from tests.unit.agents.simulation import Simulation


@pytest.mark.parametrize("seed", seeds(range(200)))
async def test_whatever_befalls_workers_and_log_the_invariants_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)
    await Simulation(seed).play()
