"""What the rules of one policy can look at: an image under a tag, and the facts that are known of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from schemas.descriptors import MANIFEST_TYPES
from schemas.instants import parse_instant
from schemas.policies import Policy
from towline.policy.state.images import WHOLE, FactsState, ImageState, RepositoryOverrides, read_report
from towline.policy.state.values import StateView, Value
from towline.policy.subject import Subject


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that is not known yet."""

    #: For people, such as ``a scan of linux/arm64``.
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report about one of the platforms that a policy copies."""

    event: str
    data: Mapping[str, Any]
    #: Which digests an override may name to be about this platform.
    digest: str


class ImageView:
    """An image under a tag, at a moment, as one policy looks at it. Reads the state when a rule asks."""

    def __init__(self, state: StateView, subject: Subject, policy: Policy, now: str) -> None:
        self.subject = subject
        self.policy = policy.name
        self.now_text = now
        self._platforms = policy.platforms
        self._state = state
        self._repository = subject.reference.repository

    @cached_property
    def now(self) -> datetime:
        """The moment of the decision."""
        return parse_instant(self.now_text)

    @cached_property
    def image(self) -> ImageState:
        """What its arrivals told."""
        return ImageState.read(self._state, self._repository, self.subject.digest)

    @cached_property
    def facts(self) -> FactsState:
        """What others found out."""
        return self._facts_of(self.subject.digest)

    def _facts_of(self, digest: str) -> FactsState:
        if digest == self.subject.digest and "facts" in self.__dict__:
            return self.facts
        return FactsState.read(self._state, self._repository, digest)

    @property
    def inspection(self) -> Value | Missing:
        """What the registry says about the digest."""
        if self.facts.inspection is not None:
            return self.facts.inspection
        failure = self.facts.inspection_failure
        return Missing("an inspection of the image" + ("" if failure is None else f" ({failure['detail']})"))

    @cached_property
    def images(self) -> list[Mapping[str, Any]] | Missing:
        """The platforms that the policy copies, as the inspection tells of them."""
        inspection = self.inspection
        if isinstance(inspection, Missing):
            return inspection
        return [image for image in inspection["data"]["images"] if is_selected(image["platform"], self._platforms)]

    def reports(self, kind: str) -> list[Report] | Missing:
        """Return the newest report of a kind (``scan``, ``sbom``) for every platform that the policy copies."""
        images = self.images
        if isinstance(images, Missing) and self.image.media_type not in MANIFEST_TYPES:
            return images  # It may be an index, of which nobody knows the platforms yet.
        found: list[Report] = []
        for digest, platform in self._parts():
            report = self._report(kind, digest, platform)
            if report is None:
                return Missing(f"a {kind}{f' of {platform}' if platform else ''}")
            found.append(report)
        return found

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Yield the digest and platform of everything that needs a report."""
        images = self.images
        if isinstance(images, Missing) or not images:
            yield self.subject.digest, WHOLE
            return
        for image in images:
            yield image["digest"], image["platform"]

    def _report(self, kind: str, digest: str, platform: str) -> Report | None:
        own = self._facts_of(digest)
        known = own.scans if kind == "scan" else own.sboms
        if known:
            # A manifest is one platform, whatever its report calls it.
            return self._read(kind, digest, own.newest[kind], digest)
        of_index = self.facts.scans if kind == "scan" else self.facts.sboms
        return self._read(kind, self.subject.digest, platform, digest) if platform in of_index else None

    def _read(self, kind: str, about: str, platform: str, digest: str) -> Report:
        stored = read_report(self._state, kind, self._repository, about, platform)
        return Report(stored["event"], stored["data"], digest)

    def overrides(self, digest: str) -> Mapping[str, Value]:
        """Return the overrides in force for a platform: its own, the index's, and the repository's."""
        repository = RepositoryOverrides.read(self._state, self._repository).overrides
        levels = [repository, self.facts.overrides]
        if digest != self.subject.digest:
            levels.append(self._facts_of(digest).overrides)
        return {
            name: item
            for level in levels
            for name, item in level.items()
            # One that has expired does not hide a wider one that has not.
            if item["data"]["expires_at"] is None or item["data"]["expires_at"] > self.now_text
        }


def is_selected(platform: str, chosen: tuple[str, ...]) -> bool:
    """Tell whether a policy copies a platform; a choice without a variant takes all variants."""
    return not chosen or any(platform == one or platform.startswith(f"{one}/") for one in chosen)
