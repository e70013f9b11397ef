"""What a decision is about: a tag that has a digest."""

from dataclasses import dataclass

from schemas.references import Reference


@dataclass(frozen=True, slots=True)
class Subject:
    """An image under a tag, as it came there."""

    reference: Reference
    digest: str
    #: Transfers in a row that led here; 0 for a push.
    hops: int
    #: When the tag was last updated, as the log recorded it.
    updated_at: str
    #: Who pushed the image that all this began with.
    pushed_by: str | None
