"""Builders of hints, of what looks at tags see, and of notices of scans. Deterministic, as the other builders."""

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import ImageDeleted, ImageHinted, ImageObserved
from schemas.facts import ScanNoticed
from schemas.references import Frozen, Reference
from tests.support.builders import digest, envelope


def hinted(reference: str, *, actor: str | None = None, key: str = "", time: str | None = None) -> Envelope[Frozen]:
    """Return a hint at a tag; hints with equal keys are the same event."""
    parsed = Reference.parse(reference)
    data = ImageHinted(repository=parsed.repository, tag=parsed.tag, actor=actor)
    return envelope(data, subject=reference, key=f"hint {reference} {key}", time=time)


def look_of(hint: Envelope[Frozen]) -> str:
    """Return the id of the command to look that a hint leads to."""
    return content_id(hint.id, "tag.resolve")


def looked(
    reference: str,
    image: str,
    *,
    after: Envelope[Frozen] | None = None,
    key: str = "",
    actor: str | None = None,
    media_type: str | None = None,
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return that a look, ``after`` a hint, found an image under a tag."""
    parsed, command_id = Reference.parse(reference), _look(reference, after, key)
    data = ImageObserved(
        repository=parsed.repository,
        tag=parsed.tag,
        digest=digest(image),
        media_type=media_type,
        command_id=command_id,
        cause="hint",
        actor=actor,
    )
    return _ended(data, command_id, reference, time)


def missing(
    reference: str, *, after: Envelope[Frozen] | None = None, key: str = "", time: str | None = None
) -> Envelope[Frozen]:
    """Return that a look, ``after`` a hint, found no such tag."""
    parsed, command_id = Reference.parse(reference), _look(reference, after, key)
    data = ImageDeleted(repository=parsed.repository, tag=parsed.tag, command_id=command_id)
    return _ended(data, command_id, reference, time)


def noticed(
    reference: str,
    image: str | None = None,
    *,
    succeeded: bool = True,
    counts: dict[str, int] | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return that a scanner is done with a tag; with an image, it named the digest too."""
    parsed = Reference.parse(reference)
    data = ScanNoticed(
        repository=parsed.repository,
        tag=parsed.tag,
        digest=None if image is None else digest(image),
        succeeded=succeeded,
        scanner="trivy",
        counts=counts or {},
    )
    return envelope(data, subject=reference, key=f"notice {reference} {key}", time=time)


def _look(reference: str, after: Envelope[Frozen] | None, key: str) -> str:
    return content_id("test", "look", reference, key) if after is None else look_of(after)


def _ended(data: Frozen, command_id: str, reference: str, time: str | None) -> Envelope[Frozen]:
    event = envelope(data, subject=reference, key=command_id, time=time)
    return Envelope(content_id(command_id, "outcome"), event.source, event.subject, event.time, event.data)
