"""From what a delivery tells to the events that go into the log."""

from schemas.canonical import content_id
from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageHinted, ImagePushed
from schemas.facts import ScanNoticed
from schemas.instants import Instant
from schemas.references import Frozen
from towline.dialects.delivery import Fact, Hint, Notice, Translation


def events_of(translation: Translation, source: str, recorded_at: Instant) -> list[Envelope[Frozen]]:
    """Return the events for everything that ``source`` told, in the order of facts, hints and notices."""
    told: tuple[Fact | Hint | Notice, ...] = (*translation.facts, *translation.hints, *translation.notices)
    return [record(item.data, item.delivery_key, source, recorded_at) for item in told]


def record(
    data: ImagePushed | ImageDeleted | ImageHinted | ScanNoticed,
    delivery_key: str | None,
    source: str,
    recorded_at: Instant,
) -> Envelope[Frozen]:
    """Return the event for what ``source`` told under its own name ``delivery_key``.

    The id derives from these and from what happened to which image, not from ``recorded_at``: a sender's retry has the
    same id. ``recorded_at`` is when we learned of it, which is the time that decisions know. Without a key it also
    names the event: then a retry is one more event, which says the same and does no harm, while one id for the same
    thing happening twice would lose the second.
    """
    type_ = type_of(data)
    repository, tag = str(data.repository), data.tag or ""
    digest = "" if isinstance(data, ImageHinted) else data.digest or ""
    name = f":{tag}" if tag else f"@{digest}" if digest else ""
    return Envelope(
        id=content_id(type_, source, delivery_key or recorded_at, repository, tag, digest),
        source=source,
        subject=f"{repository}{name}",
        time=recorded_at,
        data=data,
    )
