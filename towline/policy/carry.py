"""What is known of an image travels with its promotion: the same facts, told again for the target's repository.

Approvals stay: they were given for a policy. Overrides for a whole repository stay with it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.canonical import canonical_bytes, content_id
from schemas.decisions import MANUAL, Decision
from schemas.envelope import Envelope
from schemas.events import PromotionRequested
from schemas.facts import ImageInspected, SbomSubmitted, ScanCompleted, SignatureVerified, VulnerabilityOverridden
from schemas.references import Frozen, Repository
from towline.policy.index import policies_in_force
from towline.policy.judge import DECISION_SOURCE
from towline.policy.rules.view import is_selected
from towline.policy.state.images import FactsState, read_report
from towline.policy.state.values import StateView

_REPORTS: Final[Mapping[str, type[ScanCompleted | SbomSubmitted]]] = {"scan": ScanCompleted, "sbom": SbomSubmitted}


def carry(state: StateView, event: Envelope[Frozen], decision: Envelope[Decision]) -> tuple[Envelope[Frozen], ...]:
    """Return the events that make known at the target what is known at the source."""
    if isinstance(event.data, PromotionRequested) and event.data.retries is not None:
        return ()  # They went with the first decision, or the policy keeps them: a retry only copies.
    data = decision.data
    if data.target is None or data.verdict not in {"promote", "mirror"} or data.mode != "enforce":
        return ()
    if data.target.repository == data.source.repository or not _travels(state, data):
        return ()
    told = [
        (name, fact) for digest in _digests(state, data) for name, fact in _facts(state, data.source.repository, digest)
    ]
    return tuple(_told(decision, name, fact) for name, fact in told)


def _travels(state: StateView, decision: Decision) -> bool:
    if decision.policy == MANUAL:
        return decision.verdict == "promote"
    policy = policies_in_force(state).by_name.get(decision.policy or "")
    if policy is None or policy.facts == "never":
        return False
    return policy.facts == "always" or decision.verdict == "promote"


def _digests(state: StateView, decision: Decision) -> list[str]:
    """Return the digest and, of an index, those of the platforms that are copied."""
    inspection = FactsState.read(state, decision.source.repository, decision.digest).inspection
    images = [] if inspection is None else inspection["data"]["images"]
    chosen = () if decision.options is None else decision.options.platforms
    parts = [image["digest"] for image in images if is_selected(image["platform"], chosen)]
    return list(dict.fromkeys([decision.digest, *parts]))


def _facts(state: StateView, repository: Repository, digest: str) -> Iterator[tuple[str, tuple[type[Frozen], Any]]]:
    """Yield each fact about a digest by a name of its own, as a model and its members."""
    facts = FactsState.read(state, repository, digest)
    if facts.inspection is not None:
        yield f"inspection {digest}", (ImageInspected, {"digest": digest, **facts.inspection["data"]})
    for kind, platforms in (("scan", facts.scans), ("sbom", facts.sboms)):
        for platform in sorted(platforms):
            report = read_report(state, kind, repository, digest, platform)
            yield f"{kind} {digest} {platform}", (_REPORTS[kind], {"digest": digest, **report["data"]})
    for key in sorted(facts.signatures):
        yield f"signature {digest} {key}", (SignatureVerified, {"digest": digest, "key": key})
    for name, item in sorted(facts.overrides.items()):
        yield f"override {digest} {name}", (VulnerabilityOverridden, {**item["data"], "digest": digest})


def _told(decision: Envelope[Decision], name: str, fact: tuple[type[Frozen], Any]) -> Envelope[Frozen]:
    model, members = fact
    target, source = decision.data.target, decision.data.source
    if target is None:
        raise TypeError("a decision without a target carries nothing")
    place = {"repository": str(target.repository), "carried_from": str(source)}
    return Envelope(
        id=content_id(decision.id, "carried", name),
        source=DECISION_SOURCE,
        subject=f"{target.repository}@{members['digest']}",
        time=decision.time,
        data=model.model_validate_json(canonical_bytes({**members, **place})),
    )
