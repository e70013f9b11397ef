"""How one policy judges one image under a tag."""

from schemas.canonical import content_id
from schemas.decisions import Decision
from schemas.envelope import Envelope
from schemas.instants import parse_instant
from schemas.patterns import fill_placeholders
from schemas.references import Frozen, Reference
from towline import limits
from towline.policy.index import Match
from towline.policy.rules.find import combine, describe_finding, due_at, find, finding
from towline.policy.rules.view import ImageView, Missing
from towline.policy.state.rollbacks import bar_refusal
from towline.policy.state.values import StateView
from towline.policy.subject import Subject
from towline.policy.template import resolve_target

DECISION_SOURCE = "towline/evaluator"


def judge(state: StateView, event: Envelope[Frozen], revision: int, subject: Subject, match: Match) -> Decision:
    """Return the verdict of one policy, with what each rule found."""
    policy = match.policy
    view = ImageView(state, subject, policy, event.time)
    found = tuple(find(rule, view) for rule in policy.rules)
    findings = tuple(finding(rule, item) for rule, item in zip(policy.rules, found, strict=True))
    decision = Decision(
        event_id=event.id,
        revision=revision,
        policy=policy.name,
        verdict="deny",
        source=subject.reference,
        digest=subject.digest,
        target=None,
        rules=findings,
        reason="",
        # Beyond the limit only that it is exceeded counts: anybody may have written any number.
        hops=min(subject.hops, limits.hop_count) + 1,
        mode=policy.mode,
        options=policy.options,
        pushed_by=subject.pushed_by,
    )
    try:
        target = resolve(match, subject.reference, event.time)
    except ValueError as error:
        return decision.model_copy(update={"reason": str(error)})
    refusal = _refusal(view, subject, match) or bar_refusal(state, target, subject.digest, revision)
    if refusal is not None:
        return decision.model_copy(update={"target": target, "reason": refusal})
    result = combine(tuple(item.result for item in found))
    decisive = [describe_finding(item) for item in findings if item.result == result]
    verdict = {"fails": "deny", "waits": "hold"}.get(result, _positive(subject.reference, target))
    return decision.model_copy(
        update={
            "target": target,
            "verdict": verdict,
            "reason": "; ".join(decisive) or "the policy has no rules",
            "due_at": due_at(found) if verdict == "hold" else None,
        }
    )


def resolve(match: Match, source: Reference, time: str) -> Reference:
    """Return where a policy puts a tag, at a moment.

    Raises:
        ValueError: a placeholder stands for nothing, the template has an unknown directive, or the result is no
            reference, for example because the tag is longer than 128 characters.
    """
    values, policy = dict(match.captures), match.policy
    try:
        target = policy.target.fill(values)
    except ValueError as error:
        raise ValueError(f"the target {policy.target} makes no repository of {source.repository}: {error}") from None
    try:
        return resolve_target(fill_placeholders(policy.tag, values), source, target, parse_instant(time))
    except ValueError as error:
        raise ValueError(f"the template {policy.tag!r} makes no valid tag: {error}") from None


def _positive(source: Reference, target: Reference) -> str:
    return "promote" if target.repository.registry == source.repository.registry else "mirror"


def _refusal(view: ImageView, subject: Subject, match: Match) -> str | None:
    """Return why an image cannot go where the policy wants it, whatever the rules say."""
    if subject.hops >= limits.hop_count:
        return f"{subject.hops} transfers in a row led here, which looks like a loop"
    if match.policy.platforms and view.facts.inspection is not None:
        images = view.images
        if not isinstance(images, Missing) and not images:
            return f"the image has none of the platforms {', '.join(match.policy.platforms)}"
    return None


def record(event: Envelope[Frozen], decision: Decision, *, is_arrival: bool) -> Envelope[Decision]:
    """Return a decision as it is written. Its id derives from what was decided, and on which event."""
    target = "" if decision.target is None else str(decision.target)
    parts = [event.id, str(decision.revision), decision.policy or "", target]
    # A fact, a tick or a publication may decide several tags, which may have one target.
    parts += [] if is_arrival else [str(decision.source)]
    return Envelope(
        id=content_id(*parts),
        source=DECISION_SOURCE,
        subject=str(decision.source),
        time=event.time,
        data=decision,
    )
