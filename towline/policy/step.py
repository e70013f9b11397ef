"""One step of the fold, for the evaluator and for replay alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.commands import CopyImage, InspectImage, PollRepository, RemoveTag, ResolveTag
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.events import PolicyPublished
from schemas.references import Frozen
from schemas.rollbacks import DigestBarred
from schemas.webhooks import DeliverWebhook, SubscriptionsPublished
from towline.notify.deliveries import deliveries
from towline.notify.publishing import announce_subscriptions
from towline.policy.agenda import News
from towline.policy.carry import carry
from towline.policy.decide import decide
from towline.policy.evolve import evolve
from towline.policy.hinting import looks
from towline.policy.plan import inspections, plan
from towline.policy.polls import polls
from towline.policy.publish import announce
from towline.policy.remember import remember
from towline.policy.rollback import announce_bar
from towline.policy.state.values import Change, Draft, StateView, Value
from towline.policy.vanishing import remember_brought, removals

CommandEnvelope = Envelope[CopyImage | RemoveTag | InspectImage | PollRepository | ResolveTag | DeliverWebhook]


@dataclass(frozen=True, slots=True)
class Step:
    """Everything that one event leads to."""

    decisions: tuple[Envelope[Decision], ...]
    #: The commands that follow from the event itself, not from its decisions.
    further: tuple[CommandEnvelope, ...]
    #: Events for every partition.
    announcements: tuple[Envelope[PolicyPublished | SubscriptionsPublished | DigestBarred], ...]
    #: Events for the partitions of the targets.
    carried: tuple[Envelope[Frozen], ...]
    changes: tuple[Change, ...]
    #: Whether the event told a change as a webhook should, or found one that no webhook had told.
    news: News | None = None

    @property
    def commands(self) -> tuple[CommandEnvelope, ...]:
        """All commands: first those that carry out the decisions. Made when asked for, which replay does not."""
        return (*(command for decision in self.decisions for command in plan(decision)), *self.further)


def take(state: StateView, event: Envelope[Frozen]) -> Step:
    """Return what an event leads to, given the state before it. Pure: equal arguments, equal bytes."""
    draft = Draft(state)
    agenda = evolve(draft, event)
    judged = decide(draft, event, agenda)
    remember(draft, [decision.data for decision in judged])
    remember_brought(draft, judged)
    decisions = (*judged, *removals(draft, event, agenda))
    further: tuple[CommandEnvelope, ...] = (
        *inspections(draft, event, agenda),
        *polls(state, draft, event, agenda),
        *looks(event, agenda),
        *deliveries(draft, event, agenda, decisions),
    )
    return Step(
        decisions,
        further,
        (*announce(state, event), *announce_subscriptions(state, event), *announce_bar(event, agenda)),
        tuple(fact for decision in decisions for fact in carry(draft, event, decision)),
        draft.changes,
        agenda.news,
    )


class MemoryState:
    """A state held in memory: for replay, trials and tests."""

    def __init__(self, values: Mapping[str, Value] | None = None) -> None:
        self.values: dict[str, Value] = dict(values or {})

    def get(self, key: str) -> Value | None:
        """Return the value under ``key``, or None."""
        return self.values.get(key)

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Make the changes."""
        for change in changes:
            if change.value is None:
                self.values.pop(change.key, None)
            else:
                self.values[change.key] = change.value

    def step(self, event: Envelope[Frozen]) -> Step:
        """Take one event: return what it leads to, and become the state after it."""
        step = take(self, event)
        self.apply(step.changes)
        return step
