"""Hints: somebody says that something happened to a tag, and its registry is asked what it has now."""

from dataclasses import replace

from schemas.canonical import content_id
from schemas.commands import ResolveTag
from schemas.envelope import Envelope
from schemas.events import ImageHinted
from schemas.references import Frozen, Reference
from towline.policy.agenda import NOTHING, REPEATED, Agenda
from towline.policy.arriving import remember
from towline.policy.index import policies_in_force
from towline.policy.judge import DECISION_SOURCE
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft


def take_hint(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Have a look at the tag of a hint; a re-delivery asks for none.

    Only where the repository is a source of a policy in force. Elsewhere there is nothing to decide, so a hint, which a
    stranger may have sent, costs neither a request nor state. A policy that comes later has its source polled.
    """
    data = event.data
    if not isinstance(data, ImageHinted) or not policies_in_force(draft).matching(data.repository):
        return NOTHING
    reference = Reference(data.repository, data.tag)
    tag = TagState.read(draft, reference)
    if event.id in tag.recent:
        return REPEATED
    replace(tag, recent=remember(tag, event.id)).write(draft, reference)
    return Agenda(looks_at=reference)


def looks(event: Envelope[Frozen], agenda: Agenda) -> tuple[Envelope[ResolveTag], ...]:
    """Return the command to look at the tag that an event hints at."""
    reference, data = agenda.looks_at, event.data
    if reference is None or not isinstance(data, ImageHinted):
        return ()
    return (
        Envelope(
            id=content_id(event.id, "tag.resolve"),
            source=DECISION_SOURCE,
            subject=str(reference),
            time=event.time,
            data=ResolveTag(event_id=event.id, repository=data.repository, tag=data.tag, actor=data.actor),
        ),
    )
