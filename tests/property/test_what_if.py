"""``replay what-if`` over random histories."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.policies import PolicySet
from streams.replay.what_if import WhatIf, what_if
from tests.property.histories import SETS, history_of, plays, sets, vanishings
from tests.support.recorded import in_turn, recorded_log

Play = list[tuple[tuple[Any, ...], int]]

endings = st.lists(st.sampled_from(["completed", "completed", "failed", "late", "never"]), max_size=4)
cuts = st.none() | st.integers(0, 18)


def told(result: WhatIf) -> dict[str, Any]:
    return {"changes": result.changes, "window": (result.window.begins, result.window.events)}


def played(play: Play, how: list[str], **more: Any) -> list[WhatIf]:
    """Play a history, and try a set in its windows, quickly and from scratch."""

    async def both() -> list[WhatIf]:
        log = await recorded_log(history_of(play), in_turn(how))
        return [await what_if(log, from_scratch=scratch, **more) for scratch in (False, True)]

    return asyncio.run(both())


def window(play: Play, first: int | None, last: int | None) -> dict[str, str | None]:
    times = sorted(event.time for event in history_of(play))
    at = [None if cut is None or not times else times[cut % len(times)] for cut in (first, last)]
    start, end = (None if None in at else sorted(at)) or at
    return {"from_time": start, "to_time": end}


@given(plays | vanishings, endings, sets, cuts, cuts)
@settings(max_examples=60, deadline=None)
def test_only_what_changed_policies_can_reach_need_be_evaluated(
    play: Play, how: list[str], number: int, first: int | None, last: int | None
) -> None:
    quick, scratch = played(play, how, proposed=PolicySet(policies=SETS[number]), **window(play, first, last))
    assert told(quick) == told(scratch)


@given(plays | vanishings, endings, cuts, cuts)
@settings(max_examples=60, deadline=None)
def test_the_set_that_was_in_force_all_the_time_changes_nothing(
    play: Play, how: list[str], first: int | None, last: int | None
) -> None:
    number = next((step[1] for step, _ in play if step[0] == "publish"), 0)
    play = [item for item in play if item[0][0] != "publish" or item[0][1] == number]
    begin = [(("publish", number, 1), 0), *play]
    for result in played(begin, how, proposed=PolicySet(policies=SETS[number]), **window(begin, first, last)):
        assert result.changes == []
