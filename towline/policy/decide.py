"""``decide``: from the state before an event, and the event, to decisions."""

from schemas.canonical import content_id
from schemas.decisions import Decision, RuleFinding, Verdict
from schemas.envelope import Envelope
from schemas.instants import parse_instant
from schemas.policies import Policy
from schemas.references import Frozen, Reference
from towline import limits
from towline.policy.arrival import Arrival, arrival_of, is_redelivery
from towline.policy.index import policies_in_force
from towline.policy.rules import combine, describe_finding, find_tag
from towline.policy.state import RevisionState, StateView, TagState
from towline.policy.template import resolve_target

DECISION_SOURCE = "towline/evaluator"


def decide(state: StateView, event: Envelope[Frozen]) -> tuple[Envelope[Decision], ...]:
    """Return one decision for each policy of the repository where something arrived, in the order of their names.

    Without a matching policy, or when nothing changed, it is a single ``ignore``. A re-delivery of the same event, and
    an event that brings no image, yield none.
    """
    arrival = arrival_of(event)
    if arrival is None or is_redelivery(state, event, arrival.reference):
        return ()
    revision = RevisionState.read(state)
    tag = TagState.read(state, arrival.reference)
    if tag.digest == arrival.digest and tag.revision == revision.revision:
        reason = f"the tag has this digest already, and was judged under revision {revision.revision}"
        return (_record(event, _ignored(event, revision.revision, arrival, reason)),)
    policies = policies_in_force(state, revision).matching(arrival.reference.repository)
    if not policies:
        reason = f"no policy of revision {revision.revision} has {arrival.reference.repository} as its source"
        return (_record(event, _ignored(event, revision.revision, arrival, reason)),)
    return tuple(_record(event, _judge(event, revision.revision, arrival, policy)) for policy in policies)


def _judge(event: Envelope[Frozen], revision: int, arrival: Arrival, policy: Policy) -> Decision:
    findings = tuple(find_tag(rule, arrival.reference.tag) for rule in policy.rules)
    verdict, reason, target = _verdict(event, arrival, policy, findings)
    return Decision(
        event_id=event.id,
        revision=revision,
        policy=policy.name,
        verdict=verdict,
        source=arrival.reference,
        digest=arrival.digest,
        target=target,
        rules=findings,
        reason=reason,
        hops=arrival.hops + 1,
    )


def _verdict(
    event: Envelope[Frozen], arrival: Arrival, policy: Policy, findings: tuple[RuleFinding, ...]
) -> tuple[Verdict, str, Reference | None]:
    try:
        target = resolve_target(policy.tag, arrival.reference, policy.target, parse_instant(event.time))
    except ValueError as error:
        return "deny", f"the template {policy.tag!r} makes no valid tag: {error}", None
    if arrival.hops >= limits.hop_count:
        return "deny", f"{arrival.hops} transfers in a row led here, which looks like a loop", target
    result = combine(findings)
    if result != "holds":
        decisive = [describe_finding(finding) for finding in findings if finding.result == result]
        return ("deny" if result == "fails" else "hold"), "; ".join(decisive), target
    held = "; ".join(describe_finding(finding) for finding in findings) or "the policy has no rules"
    same_registry = policy.target.registry == policy.source.registry
    return ("promote" if same_registry else "mirror"), held, target


def _ignored(event: Envelope[Frozen], revision: int, arrival: Arrival, reason: str) -> Decision:
    return Decision(
        event_id=event.id,
        revision=revision,
        policy=None,
        verdict="ignore",
        source=arrival.reference,
        digest=arrival.digest,
        target=None,
        rules=(),
        reason=reason,
        hops=arrival.hops,
    )


def _record(event: Envelope[Frozen], decision: Decision) -> Envelope[Decision]:
    target = "" if decision.target is None else str(decision.target)
    return Envelope(
        id=content_id(event.id, str(decision.revision), decision.policy or "", target),
        source=DECISION_SOURCE,
        subject=str(decision.source),
        time=event.time,
        data=decision,
    )
