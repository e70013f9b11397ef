"""Publications: from proposals to one order of revisions.

Proposals go to one partition of the log, so they have an order; the first that names the revision in force is
accepted and becomes the next revision, later ones that name the same are refused. The evaluator announces it to every
partition before it acknowledges the proposal: a crash in between announces the same bytes again.
"""

from typing import Final

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import PolicyProposed, PolicyPublished
from schemas.references import Frozen
from towline.policy.state.values import StateView, accepted_revision

#: The partition that takes proposals.
PROPOSAL_PARTITION: Final = 0
PUBLISHER_SOURCE: Final = "towline/publisher"


def is_accepted(state: StateView, proposal: PolicyProposed) -> bool:
    """Tell whether a proposal replaces the revision that was given out last."""
    return proposal.replaces == accepted_revision(state)


def announce(state: StateView, event: Envelope[Frozen]) -> tuple[Envelope[PolicyPublished], ...]:
    """Return the publication that an event causes, to be sent to every partition."""
    if not isinstance(event.data, PolicyProposed) or not is_accepted(state, event.data):
        return ()
    revision = event.data.replaces + 1
    published = PolicyPublished(
        revision=revision,
        digest=event.data.set.digest,
        set=event.data.set,
        proposal_id=event.id,
        actor=event.data.actor,
    )
    return (
        Envelope(
            id=content_id("policy.published", event.id, str(revision)),
            source=PUBLISHER_SOURCE,
            subject=f"policies@{revision}",
            time=event.time,
            data=published,
        ),
    )
