"""How one policy judges one image under a tag."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from schemas.canonical import content_id
from schemas.decisions import Decision, Holding, RuleFinding, Verdict
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

_NEGATIVE: Final[Mapping[Holding, Verdict]] = {"fails": "deny", "waits": "hold"}


def judge(state: StateView, event: Envelope[Frozen], revision: int, subject: Subject, match: Match) -> Decision:
    """Return the verdict of one policy, with what each rule found."""
    policy = match.policy
    view = ImageView(state, subject, policy, event.time)
    found = tuple(find(rule, view) for rule in policy.rules)
    findings = tuple(finding(rule, item) for rule, item in zip(policy.rules, found, strict=True))
    ruling = _rule(state, revision, view, match, findings)
    return Decision(
        event_id=event.id,
        revision=revision,
        policy=policy.name,
        verdict=ruling.verdict,
        source=subject.reference,
        digest=subject.digest,
        target=ruling.target,
        rules=findings,
        reason=ruling.reason,
        # Beyond the limit only that it is exceeded counts: anybody may have written any number.
        hops=min(subject.hops, limits.hop_count) + 1,
        mode=policy.mode,
        options=match.options,
        due_at=due_at(found) if ruling.verdict == "hold" else None,
        pushed_by=subject.pushed_by,
    )


class _Ruling(NamedTuple):
    verdict: Verdict
    target: Reference | None
    reason: str


def _rule(state: StateView, revision: int, view: ImageView, match: Match, findings: tuple[RuleFinding, ...]) -> _Ruling:
    subject, source = view.subject, view.subject.reference
    try:
        target = resolve(match, source, view.now_text)
    except ValueError as error:
        return _Ruling("deny", None, str(error))
    refusal = _refusal(view, match) or bar_refusal(state, source.repository, target, subject.digest, revision)
    if refusal is not None:
        return _Ruling("deny", target, refusal)
    result = combine(tuple(item.result for item in findings))
    decisive = [describe_finding(item) for item in findings if item.result == result]
    reason = "; ".join(decisive) or "the policy has no rules"
    return _Ruling(_NEGATIVE.get(result) or _positive(source, target), target, reason)


def resolve(match: Match, source: Reference, time: str) -> Reference:
    """Return where a policy puts a tag, at a moment.

    Raises:
        ValueError: a placeholder stands for nothing, the template has an unknown directive, or the result is no
            reference, for example because the tag is longer than 128 characters.
    """
    policy, target = match.policy, match.target
    if isinstance(target, str):
        raise ValueError(f"the target {policy.target} makes no repository of {source.repository}: {target}")
    try:
        template = fill_placeholders(policy.tag, dict(match.captures))
        return resolve_target(template, source, target, parse_instant(time))
    except ValueError as error:
        raise ValueError(f"the template {policy.tag!r} makes no valid tag: {error}") from None


def _positive(source: Reference, target: Reference) -> Verdict:
    return "promote" if target.repository.registry == source.repository.registry else "mirror"


def _refusal(view: ImageView, match: Match) -> str | None:
    """Return why an image cannot go where the policy wants it, whatever the rules say."""
    if (hops := view.subject.hops) >= limits.hop_count:
        return f"{hops} transfers in a row led here, which looks like a loop"
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
