"""An arrival: a tag of a repository has a digest, by a push, because a transfer put it there, or as a look found it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.envelope import Envelope
from schemas.events import ImageObserved, ImagePushed, ObservationCause, TransferCompleted, TransferSkipped
from schemas.references import Frozen, Reference
from towline.policy.agenda import News

#: Tags that hold what belongs to another image: cosign's, and those of the referrers tag schema.
_ATTACHED: Final = re.compile(r"(sha256|sha512)-([a-f0-9]{64}|[a-f0-9]{128})(\.(sig|att|sbom))?")

#: Of what was seen, by why somebody looked.
_NEWS: Final[Mapping[ObservationCause, News]] = {"hint": "told", "reconciliation": "missed"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """What arrived where."""

    reference: Reference
    digest: str
    #: Transfers in a row that led here; 0 for a push.
    hops: int
    pushed_by: str | None = None
    media_type: str | None = None
    #: Somebody looked: the log may have newer word already.
    is_observed: bool = False
    #: How it came to be known, if it is a change of which a webhook should tell: it did, also when its hint had
    #: somebody look, or a comparison with what is there found it. None: nobody had to tell.
    news: News | None = None

    @property
    def is_found(self) -> bool:
        """Whether a poll found it: it may have been there before anybody asked."""
        return self.is_observed and self.news != "told"


def arrival_of(event: Envelope[Frozen]) -> Arrival | None:
    """Return the arrival that an event tells of, or None.

    The outcome of a transfer is the arrival at its target: chains go on whether or not that registry sends webhooks.
    One that a later command superseded brought nothing there.
    """
    match event.data:
        case ImagePushed() as data:
            return Arrival(
                Reference(data.repository, data.tag), data.digest, 0, data.actor, data.media_type, news="told"
            )
        case ImageObserved() as data:
            reference = Reference(data.repository, data.tag)
            news = _NEWS.get(data.cause)
            return Arrival(reference, data.digest, 0, data.actor, data.media_type, is_observed=True, news=news)
        case TransferSkipped(superseded_by=str()):
            return None
        case TransferCompleted() | TransferSkipped() as data:
            return Arrival(data.target, data.arrived_digest, data.hops, data.pushed_by)
        case _:
            return None


def is_arrival(event: Envelope[Frozen]) -> bool:
    """Tell whether an event tells of an arrival: whether :func:`arrival_of` returns one, for less."""
    data = event.data
    if isinstance(data, TransferSkipped):
        return data.superseded_by is None
    return isinstance(data, ImagePushed | ImageObserved | TransferCompleted)


def attached_to(tag: str) -> str | None:
    """Return the digest of the image that a tag holds a signature, SBOM or attestation of; None for other tags."""
    match = _ATTACHED.fullmatch(tag)
    return None if match is None else f"{match[1]}:{match[2]}"
