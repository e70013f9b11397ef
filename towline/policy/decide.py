"""``decide``: from the state with an event in it, and what the event makes necessary, to decisions."""

from typing import Final

from schemas.decisions import MANUAL, ROLLBACK, Decision, Verdict
from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.policies import CopyOptions
from schemas.references import Frozen, Reference
from towline.policy.agenda import Agenda, Task
from towline.policy.arrival import is_arrival
from towline.policy.conflicts import settle
from towline.policy.index import Match, policies_in_force
from towline.policy.judge import judge, record
from towline.policy.rollback import decide_rollback
from towline.policy.state.rollbacks import bar_refusal
from towline.policy.state.tags import TagState
from towline.policy.state.values import Draft, RevisionState
from towline.policy.subject import Subject

#: What a decision says on what no webhook told.
MISSED: Final = "found by reconciliation: no webhook told of it"


def decide(draft: Draft, event: Envelope[Frozen], agenda: Agenda) -> tuple[Envelope[Decision], ...]:
    """Return the decisions that an event leads to, each tag's in the order of the policies' names.

    An arrival without a matching policy, or with nothing new, is a single ``ignore``. A re-delivery of the same event,
    and an event that can change no verdict, yield none.
    """
    if isinstance(event.data, PromotionRequested):
        if not agenda.is_requested:
            return ()
        return (record(event, _requested(draft, event, event.data), is_arrival=True),)
    if agenda.rollback is not None:
        return (record(event, decide_rollback(draft, event, agenda.rollback), is_arrival=True),)
    if agenda.ignored is not None:
        ignored = _ignored(draft, event, agenda.ignored, agenda.reason)
        return (record(event, _with_news(ignored, agenda), is_arrival=True),)
    judged = [item for task in agenda.tasks for item in _judge(draft, event, task)]
    if not judged:
        return ()
    arrived = is_arrival(event)
    return tuple(record(event, _with_news(decision, agenda), is_arrival=arrived) for decision in settle(draft, judged))


def _with_news(decision: Decision, agenda: Agenda) -> Decision:
    if agenda.news != "missed":
        return decision
    return decision.model_copy(update={"reason": f"{decision.reason}; {MISSED}"})


def _judge(draft: Draft, event: Envelope[Frozen], task: Task) -> list[tuple[Match, Decision]]:
    revision = RevisionState.read(draft).revision
    subject = subject_of(draft, task.reference)
    return [
        (match, judge(draft, event, revision, subject, match))
        for match in policies_in_force(draft).matching(task.reference.repository)
        if task.policies is None or match.policy.name in task.policies
    ]


def subject_of(draft: Draft, reference: Reference) -> Subject:
    """Return the image that is under a tag.

    Raises:
        LookupError: there is none.
    """
    tag = TagState.read(draft, reference)
    if tag.digest is None:
        raise LookupError(f"{reference} has no image")
    return Subject(reference, tag.digest, tag.hops, tag.updated_at, tag.pushed_by)


def _requested(draft: Draft, event: Envelope[Frozen], data: PromotionRequested) -> Decision:
    source = Reference(data.repository, data.tag)
    tag = TagState.read(draft, source)
    asked = f"{data.actor} asked for it"
    # Whoever asks by hand begins a new chain.
    hops, options, pushed_by = 1, CopyOptions(), tag.pushed_by if tag.digest == data.digest else None
    revision, refusal = RevisionState.read(draft).revision, None
    if (retried := data.retries) is not None:
        # Whoever retries all of a cause did not say that what was rolled back is to come again.
        refusal = bar_refusal(draft, data.repository, data.target, data.digest, revision)
        asked = f"{data.actor} retries the failed transfer {retried.command_id} of {_owner(retried.policy)}"
        hops, options, pushed_by = retried.hops, retried.options, retried.pushed_by
    acts: Verdict = "promote" if data.target.repository.registry == data.repository.registry else "mirror"
    return Decision(
        event_id=event.id,
        revision=revision,
        policy=MANUAL,
        verdict=acts if refusal is None else "deny",
        source=source,
        digest=data.digest,
        target=data.target,
        rules=(),
        reason=refusal or asked + (f": {data.comment}" if data.comment else ""),
        hops=hops,
        options=options,
        actor=data.actor,
        pushed_by=pushed_by,
    )


def _owner(policy: str) -> str:
    return {MANUAL: "a promotion by hand", ROLLBACK: "a rollback"}.get(policy, f"policy {policy}")


def _ignored(draft: Draft, event: Envelope[Frozen], reference: Reference, reason: str) -> Decision:
    subject = subject_of(draft, reference)
    return Decision(
        event_id=event.id,
        revision=RevisionState.read(draft).revision,
        policy=None,
        verdict="ignore",
        source=reference,
        digest=subject.digest,
        target=None,
        rules=(),
        reason=reason,
        hops=subject.hops,
        pushed_by=subject.pushed_by,
    )
