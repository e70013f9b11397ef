"""What the decisions of an event leave in the state: verdicts that can still change, and when time changes them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from schemas.decisions import Decision
from schemas.references import Reference
from towline.policy.index import Match, policies_in_force
from towline.policy.state.images import ImageState
from towline.policy.state.tags import Pending, TagState
from towline.policy.state.timers import set_timer
from towline.policy.state.values import Draft, clock

_CHANGEABLE: Final = frozenset({"hold", "deny"})


def remember(draft: Draft, decisions: Iterable[Decision]) -> None:
    """Keep the verdicts that a later fact, or time, can change."""
    by_tag: dict[Reference, list[Decision]] = {}
    for decision in decisions:
        by_tag.setdefault(decision.source, []).append(decision)
    for reference, made in by_tag.items():
        tag = TagState.read(draft, reference)
        if not tag.pending and all(decision.verdict not in _CHANGEABLE for decision in made):
            continue
        matches = {match.policy.name: match for match in policies_in_force(draft).matching(reference.repository)}
        _remember(draft, reference, tag, [decision for decision in made if decision.policy in matches], matches)


def _remember(
    draft: Draft, reference: Reference, tag: TagState, made: list[Decision], matches: Mapping[str, Match]
) -> None:
    pending = {name: item for name, item in tag.pending.items() if name in matches}
    # A timer that was set is there until its time has come.
    timers = {item.due_at for item in tag.pending.values() if item.due_at is not None and item.due_at > clock(draft)}
    for decision in made:
        name = str(decision.policy)
        pending.pop(name, None)
        if decision.verdict in _CHANGEABLE and (matches[name].kinds or decision.due_at is not None):
            pending[name] = Pending(decision.verdict, decision.due_at)
        if decision.due_at is not None and decision.due_at not in timers:
            set_timer(draft, reference, decision.due_at)
            timers.add(decision.due_at)
    if pending == tag.pending:
        return
    replace(tag, pending=pending).write(draft, reference)
    if tag.digest is None:
        return
    image = ImageState.read(draft, reference.repository, tag.digest)
    waiting = tuple(name for name in image.waiting if name != reference.tag)
    waiting = (*waiting, reference.tag) if pending else waiting
    if set(waiting) != set(image.waiting):
        replace(image, waiting=waiting).write(draft, reference.repository, tag.digest)
