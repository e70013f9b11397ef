"""``evolve``: what an event changes in the state, and what is to be judged then. Total: every event has a branch."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImageHinted,
    ImageObserved,
    ImagePushed,
    PolicyProposed,
    PolicyPublished,
    PollCompleted,
    PollFailed,
    PromotionRequested,
    RemovalFailed,
    RemovalSkipped,
    SyncRequested,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferFailed,
    TransferProgressed,
    TransferSkipped,
    TransferStarted,
)
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    SbomSubmitted,
    ScanCompleted,
    ScanNoticed,
    SignatureVerified,
    VulnerabilityOverridden,
)
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred, RollbackApproved, RollbackRequested
from schemas.webhooks import (
    SubscriptionEnded,
    SubscriptionsProposed,
    SubscriptionsPublished,
    WebhookDelivered,
    WebhookFailed,
)
from towline.notify.publishing import take_cause, take_publication
from towline.policy.agenda import NOTHING, Agenda, Task, merge_tasks
from towline.policy.arrival import is_arrival
from towline.policy.arriving import arrive, delete, remove
from towline.policy.comparing import compare, fail
from towline.policy.hinting import take_hint
from towline.policy.index import policies_in_force
from towline.policy.learning import learn, learn_for_repository, request
from towline.policy.listing import go_on, take_listing
from towline.policy.publish import is_accepted
from towline.policy.rollback import approve_rollback, propose_rollback, take_bar
from towline.policy.state.tags import TagState
from towline.policy.state.timers import pop_due
from towline.policy.state.values import (
    ACCEPTED_KEY,
    CLOCK_KEY,
    POLICIES_KEY,
    REVISION_KEY,
    Draft,
    RevisionState,
    clock,
    judged_tag_count,
)
from towline.policy.sweep import begin_initial_evaluation, next_tasks
from towline.policy.vanishing import next_removals

Event = Envelope[Frozen]


def evolve(draft: Draft, event: Event) -> Agenda:
    """Change the state as the event tells, and return what is to be judged because of it.

    Nothing is changed by a re-delivery, an older revision or a tick from the past.
    """
    return BRANCHES[type(event.data)](draft, event)


def _propose(draft: Draft, event: Event) -> Agenda:
    proposal = event.data
    if isinstance(proposal, PolicyProposed) and is_accepted(draft, proposal):
        draft.put(ACCEPTED_KEY, {"revision": proposal.replaces + 1})
    return NOTHING


def _publish(draft: Draft, event: Event) -> Agenda:
    data = event.data
    if not isinstance(data, PolicyPublished) or data.revision <= RevisionState.read(draft).revision:
        return NOTHING
    before = policies_in_force(draft).by_name
    # The digest is taken from the set itself: whatever the record claims, equal digests must be equal sets.
    draft.put(REVISION_KEY, {"revision": data.revision, "digest": data.set.digest})
    draft.put(POLICIES_KEY, data.set.model_dump(mode="json"))
    begin_initial_evaluation(draft, before)
    return Agenda(merge_tasks(next_tasks(draft)))


def _tick(draft: Draft, event: Event) -> Agenda:
    data = event.data
    if not isinstance(data, ClockTicked) or data.now <= clock(draft):
        return NOTHING
    draft.put(CLOCK_KEY, {"now": data.now})
    tasks: list[Task] = []
    for reference in dict.fromkeys(pop_due(draft, data.now, judged_tag_count(draft))):
        pending = TagState.read(draft, reference).pending
        # A timer may be older than the verdict: what is not due yet has another one.
        due = {name for name, item in pending.items() if item.due_at is not None and item.due_at <= data.now}
        if due:
            tasks.append(Task(reference, frozenset(due)))
    go_on(draft)
    return Agenda(merge_tasks([*tasks, *next_tasks(draft)]), removals=next_removals(draft))


def _skip(draft: Draft, event: Event) -> Agenda:
    return arrive(draft, event) if is_arrival(event) else NOTHING


def _nothing(draft: Draft, event: Event) -> Agenda:  # noqa: ARG001 - the shape of all branches
    return NOTHING


BRANCHES: Final[Mapping[type[Any], Callable[[Draft, Event], Agenda]]] = {
    ImagePushed: arrive,
    ImageHinted: take_hint,
    ImageObserved: arrive,
    TransferCompleted: arrive,
    TransferSkipped: _skip,
    # The target tag keeps what it had.
    TransferFailed: _nothing,
    RemovalSkipped: _nothing,
    RemovalFailed: _nothing,
    TransferStarted: _nothing,
    TransferProgressed: _nothing,
    TagRemoved: remove,
    TagsListed: take_listing,
    ImageDeleted: delete,
    PolicyProposed: _propose,
    PolicyPublished: _publish,
    ClockTicked: _tick,
    ImageInspected: learn,
    InspectionFailed: learn,
    ScanCompleted: learn,
    # Numbers, and bands of vulnerabilities, are no report.
    ScanNoticed: _nothing,
    SbomSubmitted: learn,
    SignatureVerified: learn,
    VulnerabilityOverridden: learn_for_repository,
    OverrideRevoked: learn_for_repository,
    ApprovalGranted: learn,
    ApprovalRevoked: learn,
    PollCompleted: compare,
    PollFailed: fail,
    PromotionRequested: request,
    SyncRequested: _nothing,
    RollbackRequested: propose_rollback,
    RollbackApproved: approve_rollback,
    DigestBarred: take_bar,
    SubscriptionsProposed: take_cause,
    SubscriptionsPublished: take_publication,
    SubscriptionEnded: take_cause,
    WebhookDelivered: _nothing,
    WebhookFailed: _nothing,
}
"""One branch for each type of event."""

NEVER_DECIDED: Final = frozenset(type_ for type_, branch in BRANCHES.items() if branch is _nothing)
"""The types that change nothing, and that nothing is decided on."""
