"""From a fact to the event that goes into the log."""

from schemas.canonical import content_id
from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImagePushed
from schemas.instants import Instant


def record(
    data: ImagePushed | ImageDeleted, delivery_key: str | None, source: str, recorded_at: Instant
) -> Envelope[ImagePushed | ImageDeleted]:
    """Return the event for a fact that ``source`` told under its own name ``delivery_key``.

    The id derives from these and from what happened to which image, not from ``recorded_at``: a sender's retry has the
    same id. ``recorded_at`` is when we learned of it, which is the time that decisions know. Without a key it also
    names the fact: then a retry is one more event, which says the same and does no harm, while one id for the same
    thing happening twice would lose the second.
    """
    type_ = type_of(data)
    repository, tag, digest = str(data.repository), data.tag or "", data.digest or ""
    if data.tag is not None:
        subject = f"{repository}:{data.tag}"
    else:
        subject = f"{repository}@{data.digest}" if data.digest is not None else repository
    return Envelope(
        id=content_id(type_, source, delivery_key or recorded_at, repository, tag, digest),
        source=source,
        subject=subject,
        time=recorded_at,
        data=data,
    )
