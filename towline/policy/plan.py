"""``plan``: from a decision to the commands that carry it out."""

from schemas.canonical import content_id
from schemas.commands import CopyImage
from schemas.decisions import Decision
from schemas.envelope import Envelope
from towline.policy.decide import DECISION_SOURCE


def plan(decision: Envelope[Decision]) -> tuple[Envelope[CopyImage], ...]:
    """Return the commands of a decision: one copy for ``promote`` and ``mirror``, none otherwise."""
    data = decision.data
    if data.verdict not in {"promote", "mirror"} or data.target is None or data.policy is None:
        return ()
    command = CopyImage(
        decision_id=decision.id,
        policy=data.policy,
        source=data.source,
        digest=data.digest,
        target=data.target,
        hops=data.hops,
    )
    return (
        Envelope(
            id=content_id(decision.id, "image.copy"),
            source=DECISION_SOURCE,
            subject=str(data.target),
            time=decision.time,
            data=command,
        ),
    )
