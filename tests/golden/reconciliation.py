"""A history of lost webhooks and of deletions: what is compared, found, listed no more, removed and refused."""

from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved, TransferProgressed, TransferStarted
from schemas.references import Frozen
from tests.support.builders import arrived, at, command, deleted, digest, envelope, policy, proposed, pushed, ticked
from tests.support.facts import listed, observed, poll_completed
from towline.policy.contents import contents_of

_APP, _QA = "local/dev/app", "local/qa/app"
_POLICIES = (
    policy("to-qa", _APP, _QA, deletions="50%"),
    policy("away", _QA, "remote/app", deletions="100%"),
    policy("shadowed", "local/dev/*", "remote/{1}", mode="shadow", deletions="10%"),
)
_COPY = command(f"{_APP}:1", f"{_QA}:1", "one")
_OF_COPY = _COPY.data.outcome_members(_COPY.id)
_GOING = {"bytes_copied": 100, "blobs_copied": 1, "blobs_mounted": 0, "blobs_skipped": 0}


def _has(seconds: int, repository: str = _APP, **images: str) -> Envelope[Frozen]:
    """Return the end of a poll; names of images stand for tags, without their first letter."""
    contents = contents_of({tag[1:]: digest(image) for tag, image in images.items()})
    return poll_completed(repository, contents=contents, key=str(seconds), time=at(seconds))


def _told(data: Frozen, seconds: int) -> Envelope[Frozen]:
    return envelope(data, subject=f"{_QA}:1", key=f"{type(data).__name__} {seconds}", time=at(seconds))


RECONCILIATION: tuple[Envelope[Frozen], ...] = (
    proposed(*_POLICIES, reconcile="1h"),
    *(pushed(f"{_APP}:{tag}", image, time=at(10)) for tag, image in (("1", "one"), ("2", "two"), ("3", "three"))),
    arrived(f"{_QA}:1", "one", hops=1),
    _told(TransferStarted(**_OF_COPY, manifests=1, blobs=2, bytes=300), 11),
    _told(TransferProgressed(**_OF_COPY, **_GOING), 12),
    ticked(1800),
    ticked(3600),
    # All is known.
    _has(3601, t1="one", t2="two", t3="three"),
    # A push and a move were lost, and a deletion: first only the sum tells.
    _has(7200, t1="moved", t3="three", t4="four"),
    observed(f"{_APP}:1", "moved", cause="reconciliation", time=at(7210)),
    observed(f"{_APP}:3", "three", cause="reconciliation", time=at(7210)),
    observed(f"{_APP}:4", "four", cause="reconciliation", time=at(7210)),
    listed(_APP, "1", until="2", time=at(7210)),
    listed(_APP, "3", "4", after="2", time=at(7210)),
    _has(7220, t1="moved", t3="three", t4="four"),
    # Too much at once, and then some of it is back.
    deleted(f"{_APP}:1", time=at(7300)),
    deleted(f"{_APP}:3", time=at(7300)),
    _has(10_800, t4="four"),
    pushed(f"{_APP}:3", "three", key="back", time=at(10_900)),
    _has(14_400, t3="three", t4="four"),
    # At the target, from where it goes on.
    _told(RemovalFailed(**_OF_COPY, cause="unreachable", detail="no answer", retryable=True, attempts=5), 14_410),
    _told(RemovalSkipped(**_OF_COPY, reason="the tag is gone already"), 14_420),
    _told(TagRemoved(**_OF_COPY, previous_digest=digest("one")), 14_430),
    _has(14_440, _QA),
    ticked(14_500),
)
