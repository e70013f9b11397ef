"""Polls: when sources are asked what they have."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from schemas.canonical import content_id
from schemas.commands import PollCause, PollRepository
from schemas.envelope import Envelope
from schemas.events import ClockTicked, PolicyProposed, SyncRequested
from schemas.instants import format_instant, parse_instant
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Repository
from towline import limits
from towline.policy.agenda import Agenda
from towline.policy.index import PolicyIndex, policies_in_force
from towline.policy.judge import DECISION_SOURCE
from towline.policy.publish import is_accepted
from towline.policy.state.values import Draft, StateView, accepted_revision, clock
from towline.policy.sweep import new_or_changed

#: When each source was last asked what it has: ``{SOURCE: instant}``. Only in the partition that takes proposals.
_POLLS_KEY: Final = "polls"

_Wanted = Iterable[tuple[SourcePattern, PollCause]]


def polls(
    before: StateView, draft: Draft, event: Envelope[Frozen], agenda: Agenda
) -> tuple[Envelope[PollRepository], ...]:
    """Return the commands to ask sources what they have.

    New policies have theirs asked at once, sources on their interval, and others when a person wants it, which leaves
    the interval as it is. Only the partition that takes proposals gives them, so that each is given once. The complete
    poll of a repository whose contents are not what the log knows comes from that repository's partition.
    """
    if agenda.asks is not None:
        return (_poll(event, pattern_of(agenda.asks), "reconciliation", is_complete=True),)
    if isinstance(event.data, SyncRequested):
        return (_poll(event, event.data.source, "manual"),)
    if isinstance(event.data, PolicyProposed) and is_accepted(before, event.data):
        known = policies_in_force(before).by_name
        proposed = PolicyIndex(event.data.set)
        changed = new_or_changed(known, proposed.by_name)
        sources = {policy.source for policy in changed if policy.initial_evaluation or policy.poll is not None}
        return _ask(draft, event, [(source, "initial-evaluation") for source in sources])
    if isinstance(event.data, ClockTicked) and event.data.now > clock(before) and accepted_revision(draft):
        return _ask(draft, event, _due(draft, event.data.now))
    return ()


def _due(draft: Draft, now: str) -> _Wanted:
    asked = draft.get(_POLLS_KEY) or {}
    moment = parse_instant(now)
    latest: dict[timedelta, str] = {}
    due: list[tuple[str, SourcePattern, PollCause]] = []
    for item in policies_in_force(draft).asked:
        last = asked.get(str(item.source), "")
        if item.interval not in latest:
            latest[item.interval] = _ago(moment, item.interval)
        if last <= latest[item.interval]:
            due.append((last, item.source, item.cause))
    # Whoever waits longest is asked first: a tick has a bounded number asked.
    return [(source, cause) for _, source, cause in sorted(due)[: limits.asked_source_count]]


def _ago(moment: datetime, interval: timedelta) -> str:
    try:
        return format_instant(moment - interval)
    except OverflowError:
        return ""  # Nothing was asked so long ago.


def _ask(draft: Draft, event: Envelope[Frozen], wanted: _Wanted) -> tuple[Envelope[PollRepository], ...]:
    chosen = sorted(wanted)
    if not chosen:
        return ()
    asked = {str(source): event.time for source, _ in chosen}
    draft.put(_POLLS_KEY, {**(draft.get(_POLLS_KEY) or {}), **asked})
    return tuple(_poll(event, source, cause) for source, cause in chosen)


def pattern_of(repository: Repository) -> SourcePattern:
    """Return a repository as a source."""
    return SourcePattern(repository.registry, repository.name)


def poll_id(event: Envelope[Frozen], source: SourcePattern) -> str:
    """Return the id of the command with which an event has a source asked."""
    return content_id(event.id, "repository.poll", str(source))


def _poll(
    event: Envelope[Frozen], source: SourcePattern, cause: PollCause, *, is_complete: bool = False
) -> Envelope[PollRepository]:
    return Envelope(
        id=poll_id(event, source),
        source=DECISION_SOURCE,
        subject=str(source),
        time=event.time,
        data=PollRepository(event_id=event.id, source=source, cause=cause, is_complete=is_complete),
    )
