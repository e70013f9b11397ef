"""``evolve``: from the state before an event, and the event, to the state after it. Total: every event has a branch."""

from typing import assert_never, cast

from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    EventData,
    ImageDeleted,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.references import Frozen, Reference
from towline import limits
from towline.policy.arrival import arrival_of
from towline.policy.publish import is_accepted
from towline.policy.state import (
    ACCEPTED_KEY,
    CLOCK_KEY,
    POLICIES_KEY,
    REVISION_KEY,
    Change,
    RevisionState,
    StateView,
    TagState,
    clock,
)


def evolve(state: StateView, event: Envelope[Frozen]) -> tuple[Change, ...]:
    """Return the changes that an event makes; none for a re-delivery, an older revision or a tick from the past."""
    data = cast("EventData", event.data)
    match data:
        case ImagePushed() | TransferCompleted() | TransferSkipped():
            return _arrive(state, event)
        case ImageDeleted():
            return _delete(state, event, data)
        case PolicyProposed():
            return (Change(ACCEPTED_KEY, {"revision": data.replaces + 1}),) if is_accepted(state, data) else ()
        case PolicyPublished():
            if data.revision <= RevisionState.read(state).revision:
                return ()
            return (
                Change(REVISION_KEY, {"revision": data.revision, "digest": data.digest}),
                Change(POLICIES_KEY, data.set.model_dump(mode="json")),
            )
        case ClockTicked():
            return (Change(CLOCK_KEY, {"now": data.now}),) if data.now > clock(state) else ()
        case TransferFailed():
            return ()  # The target tag keeps what it had.
        case _:
            assert_never(data)


def _arrive(state: StateView, event: Envelope[Frozen]) -> tuple[Change, ...]:
    arrival = arrival_of(event)
    if arrival is None:
        return ()
    tag = TagState.read(state, arrival.reference)
    if event.id in tag.recent:
        return ()
    revision = RevisionState.read(state).revision
    return (TagState(arrival.digest, revision, arrival.hops, _remember(tag, event)).change(arrival.reference),)


def _delete(state: StateView, event: Envelope[Frozen], data: ImageDeleted) -> tuple[Change, ...]:
    # A registry that deletes by digest also tells each tag that it took along; the digest alone names no tag.
    if data.tag is None:
        return ()
    reference = Reference(data.repository, data.tag)
    tag = TagState.read(state, reference)
    if event.id in tag.recent:
        return ()
    return (TagState(None, tag.revision, 0, _remember(tag, event)).change(reference),)


def _remember(tag: TagState, event: Envelope[Frozen]) -> tuple[str, ...]:
    return (*tag.recent, event.id)[-limits.recent_event_count :]
