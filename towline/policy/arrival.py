"""An arrival: a tag of a repository has a digest, by a push or because a transfer put it there."""

from dataclasses import dataclass

from schemas.envelope import Envelope
from schemas.events import ImagePushed, TransferCompleted, TransferSkipped
from schemas.references import Frozen, Reference
from towline.policy.state import StateView, TagState


@dataclass(frozen=True, slots=True)
class Arrival:
    """What arrived where."""

    reference: Reference
    digest: str
    #: Transfers in a row that led here; 0 for a push.
    hops: int


def arrival_of(event: Envelope[Frozen]) -> Arrival | None:
    """Return the arrival that an event tells of, or None.

    The outcome of a transfer is the arrival at its target: chains go on whether or not that registry sends webhooks.
    """
    match event.data:
        case ImagePushed() as data:
            return Arrival(Reference(data.repository, data.tag), data.digest, 0)
        case TransferCompleted() | TransferSkipped() as data:
            return Arrival(data.target, data.digest, data.hops)
        case _:
            return None


def is_redelivery(state: StateView, event: Envelope[Frozen], reference: Reference) -> bool:
    """Tell whether this very event was applied to the tag before."""
    return event.id in TagState.read(state, reference).recent
