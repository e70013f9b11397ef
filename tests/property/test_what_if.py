"""``replay what-if`` over random histories."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import PolicyPublished
from schemas.policies import Policy, PolicySet
from schemas.references import Frozen
from streams.replay.what_if import WhatIf, what_if
from streams.trial import Given, judge
from tests.property.histories import SETS, histories, history_of, sets
from tests.property.past import arrival_in
from tests.support.builders import at, published
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


@given(histories, endings, sets, cuts, cuts)
@settings(max_examples=100, deadline=None)
def test_only_what_changed_policies_can_reach_need_be_evaluated(
    play: Play, how: list[str], number: int, first: int | None, last: int | None
) -> None:
    quick, scratch = played(play, how, proposed=PolicySet(policies=SETS[number]), **window(play, first, last))
    assert told(quick) == told(scratch)


@given(histories, endings, cuts, cuts)
@settings(max_examples=100, deadline=None)
def test_the_set_that_was_in_force_all_the_time_changes_nothing(
    play: Play, how: list[str], first: int | None, last: int | None
) -> None:
    number = next((step[1] for step, _ in play if step[0] == "publish"), 0)
    play = [item for item in play if item[0][0] != "publish" or item[0][1] == number]
    begin = [(("publish", number, 1), 0), *play]
    for result in played(begin, how, proposed=PolicySet(policies=SETS[number]), **window(begin, first, last)):
        assert result.changes == []


def acts(policies: tuple[Policy, ...], history: list[Envelope[Frozen]]) -> set[tuple[str, str, str]]:
    """What a set does with a history from its beginning, each copy made at once: as `policy try --follow` finds it."""
    given = [Given(number, event) for number, event in enumerate(history, 1)]
    made = [item.decision for item in judge(PolicySet(policies=policies), given, follow=True)]
    return {(*act, str(item.target)) for item in made if (act := act_of(item)) is not None}


def act_of(made: Decision) -> tuple[str, str] | None:
    is_act = made.verdict in {"promote", "mirror", "remove"} and made.mode == "enforce"
    return ("remove" if made.verdict == "remove" else "copy", made.digest) if is_act else None


def listed_acts(result: WhatIf) -> tuple[set[tuple[str, str, str]], set[tuple[str, str, str]]]:
    """Return what a what-if lists as lost and as gained."""
    lost, gained = set(), set()
    for changes in result.changes:
        lost |= {("copy", one.digest, str(one.target)) for one in changes.no_longer_promoted}
        lost |= {("remove", one.digest, str(one.target)) for one in changes.no_longer_removed}
        gained |= {("copy", one.digest, str(one.target)) for one in changes.newly_promoted}
        gained |= {("remove", one.digest, str(one.target)) for one in changes.newly_removed}
        for moved in changes.changed_tags:
            lost |= {("copy", moved.digest, target) for target in moved.recorded}
            gained |= {("copy", moved.digest, target) for target in moved.proposed}
    return lost, gained


@given(histories, sets, sets)
@settings(max_examples=100, deadline=None)
def test_a_new_policy_over_an_old_log_lists_exactly_what_two_evaluations_from_nothing_differ_in(
    play: Play, before: int, after: int
) -> None:
    # In one order, and with copies that are made at once, both can be judged without a log.
    history = [event for event in history_of(play) if not isinstance(event.data, PolicyPublished)]
    ordered = sorted(history, key=lambda event: event.time)

    async def tried() -> WhatIf:
        begin = published(*SETS[before], revision=1)
        log = await recorded_log([Envelope(begin.id, begin.source, begin.subject, at(0), begin.data), *ordered])
        return await what_if(log, PolicySet(policies=SETS[after]))

    old, new = acts(SETS[before], ordered), acts(SETS[after], ordered)
    lost, gained = listed_acts(asyncio.run(tried()))
    assert lost == old - new
    # Where the world itself brought an image there before, nothing new is there.
    brought = {("copy", digest, name) for event in ordered for name, digest in [arrival_in(event) or ("", "")]}
    assert new - old - brought <= gained <= new - old
