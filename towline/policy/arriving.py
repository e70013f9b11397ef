"""How arrivals and deletions change what is known of a tag and of its digest."""

from dataclasses import replace

from schemas.envelope import Envelope
from schemas.events import ImageDeleted, TagRemoved
from schemas.references import Frozen, Reference
from towline import limits
from towline.policy.agenda import NOTHING, REPEATED, Agenda, News, Task
from towline.policy.arrival import Arrival, arrival_of, attached_to
from towline.policy.index import policies_in_force
from towline.policy.state.brought import note_returned, note_vanished
from towline.policy.state.images import ImageState, inspection_failed_at
from towline.policy.state.repositories import PolledState, note_move
from towline.policy.state.tags import TagState, note_tag, tag_key
from towline.policy.state.values import Draft, RevisionState


def arrive(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take an arrival into the state.

    Nothing is changed by a re-delivery, by what a poll confirms, or by what a look saw before the tag was last updated.
    What a hint had somebody look at counts as a push, by whom the hint says.
    """
    arrival = arrival_of(event)
    if arrival is None:
        raise TypeError(f"{event.subject} brings no image")
    reference = arrival.reference
    tag = TagState.read(draft, reference)
    if event.id in tag.recent:
        return REPEATED
    if _is_old(arrival, tag, event.time):
        failed_at = inspection_failed_at(draft, reference.repository, arrival.digest)
        if tag.digest != arrival.digest or failed_at is None or event.time <= failed_at:
            return REPEATED
        # It is looked into again because of this event, which may be delivered again.
        replace(tag, recent=remember(tag, event.id)).write(draft, reference)
        return NOTHING
    is_same = tag.digest == arrival.digest
    agenda = _agenda(draft, arrival, tag, None if is_same else _news(draft, arrival, tag))
    if not tag.is_known:
        note_tag(draft, reference)
    if not is_same:
        forget_waiting(draft, reference, tag)
        note_move(draft, reference, tag.digest, arrival.digest)
        if tag.is_known and tag.digest is None:
            note_returned(draft, reference)
    _note_image(draft, event, arrival)
    # A webhook about our own transfer knows neither how long the chain is nor who began it.
    is_nearer = is_same and arrival.hops <= tag.hops
    TagState(
        digest=arrival.digest,
        revision=RevisionState.read(draft).revision,
        hops=tag.hops if is_nearer else arrival.hops,
        recent=remember(tag, event.id),
        updated_at=event.time,
        pushed_by=tag.pushed_by if is_nearer else arrival.pushed_by,
        pending=tag.pending if is_same else {},
    ).write(draft, reference)
    return agenda


def _is_old(arrival: Arrival, tag: TagState, time: str) -> bool:
    """Tell whether the log knows what was seen at a moment, or has newer word of the tag."""
    if tag.digest == arrival.digest:
        return arrival.is_found
    return arrival.is_observed and time < tag.updated_at


def _agenda(draft: Draft, arrival: Arrival, tag: TagState, news: News | None) -> Agenda:
    reference, revision = arrival.reference, RevisionState.read(draft).revision
    if (subject := attached_to(reference.tag)) is not None:
        return Agenda(ignored=reference, reason=f"the tag belongs to {subject}, and travels with it", news=news)
    if tag.digest == arrival.digest and tag.revision == revision:
        reason = f"the tag has this digest already, and was judged under revision {revision}"
        return Agenda(ignored=reference, reason=reason, news=news)
    matches = policies_in_force(draft).matching(reference.repository)
    if not matches:
        reason = f"no policy of revision {revision} has {reference.repository} as its source"
        return Agenda(ignored=reference, reason=reason, news=news)
    if not _was_there_before(draft, arrival, tag):
        return Agenda((Task(reference, None, is_new=True),), news=news)
    # Found by the first poll: it was there before, and only some policies judge what was.
    names = frozenset(match.policy.name for match in matches if match.policy.initial_evaluation)
    if not names:
        reason = "the tag was there before its policies, which judge only what is new"
        return Agenda(ignored=reference, reason=reason, news=news)
    return Agenda((Task(reference, names, is_new=True),), news=news)


def _was_there_before(draft: Draft, arrival: Arrival, tag: TagState) -> bool:
    """Tell whether the first poll of a repository found a tag of which nobody had told."""
    if not arrival.is_found or tag.is_known:
        return False
    return PolledState.read(draft, arrival.reference.repository).first_at is None


def _news(draft: Draft, arrival: Arrival, tag: TagState) -> News | None:
    """Return how a change came to be known, of which a webhook should tell."""
    return None if _was_there_before(draft, arrival, tag) else arrival.news


def _note_image(draft: Draft, event: Envelope[Frozen], arrival: Arrival) -> None:
    repository, digest = arrival.reference.repository, arrival.digest
    image = ImageState.read(draft, repository, digest)
    pushers = image.pushed_by
    if arrival.pushed_by is not None and arrival.pushed_by not in pushers:
        pushers = (*pushers, arrival.pushed_by)[-limits.pusher_count :]
    noted = ImageState(
        first_seen_at=image.first_seen_at or event.time,
        media_type=image.media_type or arrival.media_type,
        pushed_by=pushers,
        waiting=image.waiting,
        parents=image.parents,
    )
    if noted != image:
        noted.write(draft, repository, digest)


def delete(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take the deletion of a tag into the state, unless it is a look's that saw what was before the last update."""
    data = event.data
    # A registry that deletes by digest also tells each tag that it took along; the digest alone names no tag.
    if not isinstance(data, ImageDeleted) or data.tag is None:
        return NOTHING
    reference = Reference(data.repository, data.tag)
    tag = TagState.read(draft, reference)
    is_old = data.command_id is not None and event.time < tag.updated_at
    if is_old or event.id in tag.recent:
        return NOTHING
    if data.command_id is not None and not tag.is_known:
        # Whoever hints at tags that never were must not fill the state with them.
        draft.put(tag_key(reference), None)
        return NOTHING
    if not tag.is_known:
        note_tag(draft, reference)
    forget(draft, reference, tag, event.id, event.time)
    return NOTHING if tag.digest is None else Agenda(news="told")


def remove(draft: Draft, event: Envelope[Frozen]) -> Agenda:
    """Take the removal of a target tag into the state, unless something else came there since."""
    data = event.data
    if not isinstance(data, TagRemoved):
        return NOTHING
    tag = TagState.read(draft, data.target)
    if event.id in tag.recent:
        return NOTHING
    if tag.digest is not None and tag.digest in {data.digest, data.previous_digest}:
        forget(draft, data.target, tag, event.id, event.time)
    else:
        # It may be delivered again when the tag has what was removed then.
        replace(tag, recent=remember(tag, event.id)).write(draft, data.target)
    return NOTHING


def forget(draft: Draft, reference: Reference, tag: TagState, event_id: str, time: str) -> None:
    """Note that a tag is not there any more, as an event tells that was recorded at ``time``."""
    forget_waiting(draft, reference, tag)
    if tag.digest is not None:
        note_move(draft, reference, tag.digest, None)
        note_vanished(draft, reference)
    TagState(None, tag.revision, 0, remember(tag, event_id), time).write(draft, reference)


def forget_waiting(draft: Draft, reference: Reference, tag: TagState) -> None:
    """Note that the tag's digest has no verdict under it any more that could change."""
    if tag.pending and tag.digest is not None:
        image = ImageState.read(draft, reference.repository, tag.digest)
        waiting = tuple(other for other in image.waiting if other != reference.tag)
        replace(image, waiting=waiting).write(draft, reference.repository, tag.digest)


def remember(tag: TagState, event_id: str) -> tuple[str, ...]:
    """Return the ids of the last events about a tag, with one more."""
    return (*tag.recent, event_id)[-limits.recent_event_count :]
