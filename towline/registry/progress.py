"""How far a copy is, and what it did."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from towline.registry.blobcopy import BlobFates
from towline.registry.manifests import Manifest


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did. ``skipped``: the target tag had the digest already and nothing was done."""

    previous_digest: str | None
    skipped: bool
    #: What the target tag has when it is not the commanded digest: the index of the wanted platforms only.
    reduced_digest: str | None = None
    bytes_copied: int = 0
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_skipped: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is to copy: manifests, and the blobs that they name with their bytes, each once."""

    manifests: int
    blobs: int
    bytes: int


def extent_of(manifests: Iterable[Manifest]) -> Extent:
    """Return what these manifests come to."""
    found = {manifest.digest: manifest for manifest in manifests}
    sizes = {blob.digest: blob.size for manifest in found.values() for blob in manifest.blobs}
    return Extent(len(found), len(sizes), sum(sizes.values()))


@dataclass(slots=True)
class CopyProgress:
    """What is known of a copy while it runs, across its attempts."""

    #: Whether the target tag was looked at; from then on ``previous_digest`` says what it pointed to.
    target_read: bool = False
    previous_digest: str | None = None
    #: Whether a write of the tag was begun: it may have taken effect although its answer was lost.
    tag_sent: bool = False
    blobs: BlobFates = field(default_factory=BlobFates)
    #: What there is to copy, once that was read; it grows when something turns out to belong to the image.
    extent: Extent | None = None
    #: Called when ``extent`` is known, which it is when there is something to do; again when it grew.
    on_begin: Callable[[], None] = lambda: None

    def begin(self, manifests: Iterable[Manifest]) -> None:
        """Note what there is to copy."""
        self.extent = extent_of(manifests)
        self.on_begin()

    def report(self, *, skipped: bool, reduced_digest: str | None = None) -> CopyReport:
        """Return what was done so far, as the end of the copy."""
        return CopyReport(
            previous_digest=self.previous_digest,
            skipped=skipped,
            reduced_digest=reduced_digest,
            bytes_copied=self.blobs.bytes_copied,
            blobs_copied=self.blobs.count("copied"),
            blobs_mounted=self.blobs.count("mounted"),
            blobs_skipped=self.blobs.count("skipped"),
        )
