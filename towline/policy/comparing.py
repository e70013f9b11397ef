"""What a repository has, against what the log knows: a poll tells one number, and a difference is looked into once."""

from dataclasses import replace

from schemas.envelope import Envelope
from schemas.events import PollCompleted, PollFailed
from schemas.instants import parse_instant
from schemas.references import Frozen, Repository
from towline import limits
from towline.policy.agenda import NOTHING, Agenda
from towline.policy.index import policies_in_force
from towline.policy.listing import is_waiting
from towline.policy.polls import pattern_of, poll_id
from towline.policy.state.repositories import PolledState, contents
from towline.policy.state.values import Draft
from towline.policy.vanishing import begin_settlement, next_removals


def compare(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take the end of a repository's poll into the state.

    Where it has what the log knows, what vanished from it is settled. Otherwise it is asked once for all that it has;
    the answer to that is not questioned, as what was pushed meanwhile would make it differ without end.
    """
    data = event.data
    if not isinstance(data, PollCompleted) or data.repository is None:
        return NOTHING
    repository = data.repository
    polled = PolledState.read(draft, repository)
    if data.contents is None:
        # Nobody added it up: it says only that the repository was asked.
        replace(polled, first_at=polled.first_at or event.time).write(draft, repository)
        return NOTHING
    if event.id in polled.recent:
        return NOTHING
    is_answer = polled.asked is not None and polled.asked[0] == data.command_id
    asked = None if is_answer else polled.asked
    agenda = NOTHING
    if data.contents == contents(draft, repository):
        begin_settlement(draft, repository)
        agenda = Agenda(removals=next_removals(draft))
    elif not is_answer and _is_to_ask(draft, event, repository, asked):
        asked = (poll_id(event, pattern_of(repository)), event.time)
        agenda = Agenda(asks=repository)
    recent = (*polled.recent, event.id)[-limits.recent_event_count :]
    PolledState(polled.first_at or event.time, asked, recent).write(draft, repository)
    return agenda


def _is_to_ask(draft: Draft, event: Envelope[Frozen], repository: Repository, asked: tuple[str, str] | None) -> bool:
    """Tell whether a difference is to be looked into: somebody needs it, and nobody does it already."""
    if is_waiting(draft, repository) or not policies_in_force(draft).matching(repository):
        return False
    if asked is None:
        return True
    waited = parse_instant(event.time) - parse_instant(asked[1])
    return waited.total_seconds() > limits.complete_poll_seconds


def fail(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Note that a complete poll failed; the next difference gives another one, as the next interval asks again."""
    data = event.data
    repository = data.source.repository if isinstance(data, PollFailed) else None
    if not isinstance(data, PollFailed) or repository is None:
        return NOTHING
    polled = PolledState.read(draft, repository)
    if polled.asked is not None and polled.asked[0] == data.command_id:
        replace(polled, asked=None).write(draft, repository)
    return NOTHING
