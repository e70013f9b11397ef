"""The projection over random histories: interrupted and resumed anywhere, it is one that was made in one go."""

import asyncio
import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import CopyImage
from schemas.envelope import Envelope
from schemas.references import Frozen
from streams.projection.projection import Projection
from tests.property.histories import histories, history_of
from tests.property.test_fold import Play
from tests.support.builders import completed, failed, outcome, reduced, skipped
from tests.support.projections import BreakingOff, at_once, everything
from tests.support.world import World
from towline.errors import LogUnavailableError

_ENDS = (completed, failed, reduced, skipped)


async def grown(world: World, events: list[Envelope[Frozen]], ends: list[int]) -> None:
    """Record events, and end the copies that follow from them."""
    for event in events:
        await world.record(event)
    for command, end in zip(await world.commands(), ends, strict=False):
        if isinstance(command.data, CopyImage):
            await world.record(outcome(_ENDS[end](command.id, command.data)))


async def interrupted(play: Play, ends: list[int], cuts: list[int], batches: int) -> None:
    history, world = history_of(play), World()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "projection.sqlite"
        for number, part in enumerate(_parts(history, cuts)):
            await grown(world, part, ends[: number * 3])
            async with Projection(BreakingOff(world.log, batches, size=1 + batches % 4), path) as projection:
                with suppress(LogUnavailableError):
                    await projection.catch_up()
        async with Projection(world.log, path) as projection:
            await projection.catch_up()
            assert await projection.ask(everything) == await at_once(world.log)


def _parts(history: list[Envelope[Frozen]], cuts: list[int]) -> list[list[Envelope[Frozen]]]:
    ends = [0, *sorted(cuts), len(history)]
    return [history[start:stop] for start, stop in pairwise(ends)]


@given(
    histories,
    st.lists(st.integers(0, 3), max_size=9),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_interrupted_and_resumed_anywhere_it_equals_one_that_was_made_at_once(
    play: Play, ends: list[int], cuts: list[int], batches: int
) -> None:
    asyncio.run(interrupted(play, ends, cuts, batches))
