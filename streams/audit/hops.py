"""Transfers as parts of a lineage: what was to be copied, who wanted it, and how that ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, cast

from schemas.commands import CopyImage
from schemas.decisions import Decision
from schemas.facts import ApprovalGranted
from schemas.outcomes import Arrived, Outcome
from schemas.references import Reference
from schemas.rollbacks import RollbackApproved
from streams.projection.records import Records
from streams.projection.rows import Kept
from streams.topics import DECISIONS, EVENTS
from streams.transfers.transfer import Ended, ended_as
from towline.policy.arrival import arrival_of
from towline.registry.targettag import backup_tag


class At(NamedTuple):
    """An image at a tag."""

    reference: Reference
    digest: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One transfer."""

    source: str
    target: str
    #: What was commanded, and what the target has since: another one where an index of the wanted platforms was made,
    #: None where nothing arrived.
    digest: str
    arrived_digest: str | None
    policy: str
    #: The revision in force, and its verdict; None when the log has no decision of it.
    revision: int | None
    verdict: str | None
    reason: str | None
    #: Who approved it, or asked for it by hand.
    approved_by: tuple[str, ...]
    outcome: Ended | Literal["pending"]
    #: When the event that led to it was recorded, and when it ended.
    time: str | None
    ended_at: str | None
    #: What the target tag had before, and the tag under which that was kept.
    previous_digest: str | None
    backup: str | None
    event_id: str | None
    decision_id: str
    command_id: str
    #: Where the decision stands.
    position: str | None


class Transferred(NamedTuple):
    """A transfer to tell of: its command, its outcome, or both."""

    command: Kept | None
    outcome: Kept | None

    @property
    def about(self) -> CopyImage | Outcome:
        """What both tell."""
        told = self.outcome or self.command
        return cast("CopyImage | Outcome", None if told is None else told.envelope.data)

    @property
    def arrived(self) -> At | None:
        """What came to the target; None when nothing did."""
        arrival = None if self.outcome is None else arrival_of(self.outcome.envelope)
        return None if arrival is None else At(arrival.reference, arrival.digest)


def decisions_of(records: Records, transfers: Iterable[Transferred]) -> dict[str, Kept]:
    """Return the decisions that led to transfers, by their ids."""
    return records.by_ids(DECISIONS, {one.about.decision_id for one in transfers})


def hops_of(records: Records, transfers: list[Transferred]) -> list[Hop]:
    """Return transfers with what led to them, in their order."""
    decisions = decisions_of(records, transfers)
    named = (_events_of(cast("Decision", item.envelope.data)) for item in decisions.values())
    events = records.by_ids(EVENTS, set(chain.from_iterable(named)))
    return [_hop(one, decisions.get(one.about.decision_id), events) for one in transfers]


def _events_of(decision: Decision) -> set[str]:
    return {decision.event_id, *(id_ for rule in decision.rules for id_ in rule.events)}


def _hop(one: Transferred, decided: Kept | None, events: dict[str, Kept]) -> Hop:
    about = one.about
    decision = None if decided is None else cast("Decision", decided.envelope.data)
    ended = None if one.outcome is None else cast("Outcome", one.outcome.envelope.data)
    previous = None if ended is None else ended.previous_digest
    return Hop(
        source=str(about.source),
        target=str(about.target),
        digest=about.digest,
        arrived_digest=None if one.arrived is None else one.arrived.digest,
        policy=about.policy,
        revision=None if decision is None else decision.revision,
        verdict=None if decision is None else decision.verdict,
        reason=None if decision is None else decision.reason,
        approved_by=() if decision is None else _approvers(decision, events),
        outcome="pending" if ended is None else ended_as(ended),
        time=None if decided is None else decided.envelope.time,
        ended_at=None if one.outcome is None else one.outcome.envelope.time,
        previous_digest=previous,
        backup=_backup(about.target, decision, ended),
        event_id=None if decision is None else decision.event_id,
        decision_id=about.decision_id,
        command_id=ended.command_id if ended is not None else cast("Kept", one.command).envelope.id,
        position=None if decided is None else str(decided.position),
    )


def _approvers(decision: Decision, events: dict[str, Kept]) -> tuple[str, ...]:
    found = (events[id_].envelope.data for id_ in _events_of(decision) if id_ in events)
    approvers = {data.actor for data in found if isinstance(data, ApprovalGranted | RollbackApproved)}
    return tuple(sorted(approvers | ({decision.actor} if decision.actor else set())))


def _backup(target: Reference, decision: Decision | None, ended: Outcome | None) -> str | None:
    """Return the tag under which what was there before was kept, as the option of the decision has it."""
    if decision is None or decision.options is None or decision.options.overwrite != "backup":
        return None
    if not isinstance(ended, Arrived) or ended.previous_digest is None or ended.previous_digest == ended.arrived_digest:
        return None
    return backup_tag(target.tag, ended.previous_digest)
