"""``explain``: for the last arrival of a tag, each policy and each rule, and where the tag went or came from."""

from dataclasses import dataclass
from itertools import takewhile

from schemas.catalogue import type_of
from schemas.decisions import MANUAL, ROLLBACK, RuleFinding
from schemas.events import (
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    RemovalFailed,
    RemovalSkipped,
    TagRemoved,
    TagsListed,
    TransferCompleted,
    TransferFailed,
    TransferSkipped,
)
from schemas.outcomes import Arrived, Outcome
from schemas.references import Reference
from streams.audit.origin import Origin, changes_of, origin
from streams.audit.standing import notes_on, notes_on_unknown
from streams.audit.trail import Story, TrailEntry, decision_of, entry_of, read_story
from streams.audit.wording import HINTED, REDUCED
from streams.projection.records import Records
from streams.projection.rows import Kept
from streams.topics import EVENTS
from towline.policy.decide import MISSED
from towline.policy.rules.find import describe_finding


@dataclass(frozen=True, slots=True)
class PolicyExplanation:
    """What one policy made of the image."""

    policy: str | None
    revision: int
    verdict: str
    reason: str
    target: str | None
    rules: tuple[RuleFinding, ...]
    #: How the transfer or removal ended: ``completed``, ``removed``, ``skipped`` or ``failed``; ``pending`` while there
    #: is no outcome; None when nothing was to be done.
    outcome: str | None
    outcome_detail: str | None
    #: ``enforce``, or ``shadow``: recorded only.
    mode: str
    #: The event that led to this verdict.
    event_id: str
    #: When the passing of time alone may make another verdict.
    due_at: str | None
    #: That event: where it stands, when, and who; None for the passing of time.
    decided_by: TrailEntry | None = None
    #: What told the rules that they looked at, beside that event.
    facts: tuple[TrailEntry, ...] = ()
    #: What would have to arrive.
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a tag is what it is, and what became of it."""

    reference: str
    #: None when the tag was deleted, or is not known.
    digest: str | None
    #: One line: how this digest came here.
    came_by: str
    policies: tuple[PolicyExplanation, ...]
    #: The revision of the policies in force, 0 before the first.
    revision: int = 0
    #: From where the digest came, over all hops.
    origin: Origin | None = None
    #: What the verdicts do not tell: policies that have none, and why; what comes near.
    notes: tuple[str, ...] = ()
    #: Whether the log knows anything that the tag had.
    is_known: bool = True


def explain(records: Records, reference: Reference) -> Explanation:
    """Return the explanation of a tag's present digest, or of why it has none."""
    story = read_story(records, reference)
    arrivals = changes_of(story.arrivals)
    if not arrivals:
        return _unknown(records, reference)
    digest, came_by = _arrival(arrivals[-1])
    told = _told_since_change(arrivals)
    came_by = _rolled_back(story, told) or came_by
    latest = _settled(story, arrivals[-1]) if digest is None else _latest(story, told, digest)
    if any(decision_of(item).event_id == arrivals[-1].envelope.id and _is_missed(item) for item in story.decisions):
        came_by = f"{came_by}, {MISSED}"
    return Explanation(
        str(reference),
        digest,
        came_by,
        tuple(_policy(records, item, story) for item in latest),
        records.revision(),
        origin(records, reference),
        notes_on(records, reference, digest, [decision_of(item) for item in latest]),
    )


def _unknown(records: Records, reference: Reference) -> Explanation:
    """Return what there is to say of a tag to which nothing came, as far as the log knows."""
    came_from = origin(records, reference)
    if came_from.kept_from is not None:
        came_by = f"kept by a transfer to {came_from.kept_from}, which had it before"
        return Explanation(str(reference), came_from.digest, came_by, (), records.revision(), came_from)
    notes = (*notes_on_unknown(records, reference), *notes_on(records, reference, None, ()))
    return Explanation(
        str(reference), None, "the log knows nothing of it", (), records.revision(), notes=notes, is_known=False
    )


def _rolled_back(story: Story, told: set[str]) -> str | None:
    """Return by whom and why a rollback made the tag what it is; None when none did.

    A policy upstream may have found it there afterwards, which explains nothing.
    """
    for item in story.arrivals:
        data = item.envelope.data
        if item.envelope.id in told and isinstance(data, Outcome) and data.policy == ROLLBACK:
            reasons = (decision_of(one).reason for one in story.decisions if one.envelope.id == data.decision_id)
            return f"{next(reasons, 'by a rollback')}; done at {item.envelope.time}"
    return None


def _is_missed(item: Kept) -> bool:
    return decision_of(item).reason.endswith(MISSED)


def _settled(story: Story, deletion: Kept) -> list[Kept]:
    """Return what became of the targets since the tag is gone, by policy the last."""
    later = [item for item in story.decisions if item.envelope.time >= deletion.envelope.time]
    latest = {decision_of(item).policy: item for item in later if decision_of(item).verdict in {"remove", "deny"}}
    return [latest[name] for name in sorted(latest, key=str)]


def _latest(story: Story, told: set[str], digest: str | None) -> list[Kept]:
    """Return the last verdict of each policy on the present digest: a later fact, or time, may change the first."""
    judged = sorted(
        (item for item in story.decisions if decision_of(item).digest == digest), key=lambda item: item.position
    )
    first = next((n for n, item in enumerate(judged) if decision_of(item).event_id in told), len(judged))
    latest = {decision_of(item).policy: item for item in judged[first:]}
    # Telling the same digest once more is ignored, and explains nothing.
    ignored = latest.pop(None, None)
    if not latest:
        return [] if ignored is None else [ignored]
    return [latest[name] for name in sorted(latest, key=str)]


def _told_since_change(arrivals: list[Kept]) -> set[str]:
    """Return the ids of the last events in a row that tell the present digest; before them it was another."""
    digest, _ = _arrival(arrivals[-1])
    same = takewhile(lambda item: _arrival(item)[0] == digest, reversed(arrivals))
    return {item.envelope.id for item in same}


def _arrival(item: Kept) -> tuple[str | None, str]:
    match item.envelope.data:
        case ImagePushed() as data:
            return data.digest, f"pushed{f' by {data.actor}' if data.actor else ''} at {item.envelope.time}"
        case TransferCompleted() | TransferSkipped() as data:
            mover = "hand" if data.policy == MANUAL else f"policy {data.policy}"
            part = "" if data.reduced_digest is None else f", {REDUCED.format(digest=data.digest)}"
            return data.arrived_digest, f"by {mover} from {data.source} at {item.envelope.time}{part}"
        case ImageObserved() as data:
            if data.cause != "hint":
                return data.digest, f"found by a poll at {item.envelope.time}"
            return data.digest, f"{HINTED}{f' by {data.actor}' if data.actor else ''} at {item.envelope.time}"
        case ImageDeleted() as data:
            how = "deleted" if data.command_id is None else f"not there when {HINTED}"
            return None, f"{how} at {item.envelope.time}"
        case TagsListed():
            return None, f"not listed any more at {item.envelope.time}"
        case TagRemoved() as data:
            return None, f"removed by policy {data.policy} at {item.envelope.time}, as {data.source} vanished"
        case data:
            raise TypeError(f"{type_of(data)} brings no image")


def _policy(records: Records, item: Kept, story: Story) -> PolicyExplanation:
    decision = decision_of(item)
    outcome: str | None = None
    detail: str | None = None
    if decision.verdict in {"promote", "mirror", "remove"} and decision.mode == "enforce":
        outcome, detail = _outcome(item.envelope.id, story)
    facts = {id_ for rule in decision.rules for id_ in rule.events} - {decision.event_id}
    told = records.by_ids(EVENTS, {decision.event_id, *facts})
    decided_by = told.pop(decision.event_id, None)
    return PolicyExplanation(
        policy=decision.policy,
        revision=decision.revision,
        verdict=decision.verdict,
        reason=decision.reason,
        target=None if decision.target is None else str(decision.target),
        rules=decision.rules,
        outcome=outcome,
        outcome_detail=detail,
        mode=decision.mode,
        event_id=decision.event_id,
        due_at=decision.due_at,
        decided_by=None if decided_by is None else entry_of(decided_by),
        facts=tuple(entry_of(one) for one in sorted(told.values(), key=lambda one: one.position)),
        missing=tuple(describe_finding(rule) for rule in decision.rules if rule.result == "waits"),
    )


def _outcome(decision_id: str, story: Story) -> tuple[str, str | None]:
    for item in story.outcomes:
        data = item.envelope.data
        if isinstance(data, Outcome) and data.decision_id == decision_id:
            detail = f"{data.cause}: {data.detail}" if isinstance(data, TransferFailed | RemovalFailed) else None
            detail = data.reason if isinstance(data, TransferSkipped | RemovalSkipped) else detail
            if isinstance(data, Arrived) and data.reduced_digest is not None:
                detail = f"{data.reduced_digest}, {REDUCED.format(digest=data.digest)}"
            return type_of(data).rpartition(".")[2], detail
    return "pending", None
