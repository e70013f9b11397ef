"""What a history tells, each time found by going through it from its beginning."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Envelope
from schemas.events import (
    ClockTicked,
    ImageDeleted,
    ImageObserved,
    ImagePushed,
    PolicyPublished,
    PollCompleted,
    TagRemoved,
    TagsListed,
    TransferCompleted,
)
from schemas.facts import ImageInspected, OverrideRevoked, ScanCompleted, VulnerabilityOverridden
from schemas.policies import Policy
from schemas.references import Frozen
from towline.policy.contents import contents_of


@dataclass
class Tag:
    """What a tag has, found by going through the history."""

    digest: str | None = None
    revision: int = 0
    updated_at: str = ""
    is_known: bool = False


@dataclass
class Past:
    """What happened so far."""

    history: list[Envelope[Frozen]] = field(default_factory=list)

    # -- What is there

    def names(self) -> list[str]:
        found = [arrival[0] for event in self.history if (arrival := arrival_in(event)) is not None]
        return list(dict.fromkeys(found))

    def revision(self) -> int:
        return max((e.data.revision for e in self.history if isinstance(e.data, PolicyPublished)), default=0)

    def policies(self) -> tuple[Policy, ...]:
        """Return the enabled policies of the first publication of the highest revision."""
        for event in self.history:
            if isinstance(event.data, PolicyPublished) and event.data.revision == self.revision():
                return tuple(policy for policy in event.data.set.policies if policy.mode != "disabled")
        return ()

    def matching(self, name: str) -> list[Policy]:
        return [policy for policy in self.policies() if target_of(policy, name) is not None]

    def clock(self) -> str:
        return max((e.data.now for e in self.history if isinstance(e.data, ClockTicked)), default="")

    def was_polled(self, name: str) -> bool:
        repository = name.rpartition(":")[0]
        return any(isinstance(e.data, PollCompleted) and str(e.data.repository) == repository for e in self.history)

    def tag(self, name: str) -> Tag:
        found, revision = Tag(), 0
        for event in self.history:
            data = event.data
            if isinstance(data, PolicyPublished):
                revision = max(revision, data.revision)
            is_gone = isinstance(data, ImageDeleted) and f"{data.repository}:{data.tag}" == name
            # Of a look, and of no sender, it is known that it saw what was before; and one at what never was counts for
            # nothing, as whoever hints must not fill the state.
            if is_gone and (data.command_id is None or (found.is_known and event.time >= found.updated_at)):
                found = Tag(None, found.revision, event.time, is_known=True)
            if self.tells_gone(event, name, found):
                found = Tag(None, found.revision, event.time, is_known=True)
            arrival = arrival_in(event)
            if arrival is None or arrival[0] != name:
                continue
            if not is_old(event, arrival[1], found):
                found = Tag(arrival[1], revision, event.time, is_known=True)
        return found

    @staticmethod
    def tells_gone(event: Envelope[Frozen], name: str, known: Tag) -> bool:
        """Tell whether a listing or a removal says that a tag that was known is there no more."""
        data, (repository, _, tag) = event.data, name.rpartition(":")
        if isinstance(data, TagsListed) and str(data.repository) == repository and tag not in data.tags:
            is_in_range = (data.after is None or data.after < tag) and (data.until is None or tag <= data.until)
            return is_in_range and known.digest is not None and known.updated_at < event.time
        if isinstance(data, TagRemoved) and str(data.target) == name:
            return known.digest is not None and known.digest in {data.digest, data.previous_digest}
        return False

    def contents(self, repository: str) -> str:
        names = [name for name in self.names() if name.rpartition(":")[0] == repository]
        tags = {name.rpartition(":")[2]: self.tag(name).digest for name in names}
        return contents_of({tag: digest for tag, digest in tags.items() if digest is not None})

    def moved_at(self, name: str) -> int:
        """Return the number of the event with which the tag came to the digest that it has."""
        number = len(self.history)
        digest = self.tag(name).digest
        while number > 1 and Past(self.history[: number - 1]).tag(name).digest == digest:
            number -= 1
        return number

    # -- What is known of an image

    def told(self, name: str, *models: type[Frozen]) -> Iterator[Any]:
        """Yield the facts of some models about the repository of a tag, the newest last."""
        repository = name.rpartition(":")[0]
        for event in self.history:
            if isinstance(event.data, models) and str(event.data.repository) == repository:  # type: ignore[attr-defined]
                yield event.data

    def parts(self, name: str, digest: str) -> list[str]:
        every = [fact for fact in self.told(name, ImageInspected) if fact.digest == digest]
        return [image.digest for fact in every for image in fact.images]

    def images(self, name: str, policy: Policy) -> list[Any] | None:
        inspected = [fact for fact in self.told(name, ImageInspected) if fact.digest == self.tag(name).digest]
        if not inspected:
            return None
        chosen = policy.platforms
        return [image for image in inspected[-1].images if not chosen or image.platform in chosen]

    def arrivals(self, name: str) -> list[Envelope[Frozen]]:
        """Return how the digest of a tag came into its repository, under whatever tag."""
        repository, digest = name.rpartition(":")[0], self.tag(name).digest
        found = []
        for number, event in enumerate(self.history):
            arrival = arrival_in(event)
            if arrival is None or arrival[1] != digest or arrival[0].rpartition(":")[0] != repository:
                continue
            before = Past(self.history[:number]).tag(arrival[0])
            if is_old(event, arrival[1], before):
                continue
            found.append(event)
        return found

    def vulnerabilities(self, name: str, policy: Policy, now: str) -> int | None:
        digest, images = str(self.tag(name).digest), self.images(name, policy)
        if images is None:
            types = [getattr(event.data, "media_type", None) for event in self.arrivals(name)]
            known = next((type_ for type_ in types if type_ is not None), "")
            if not known.endswith(("image.manifest.v1+json", "manifest.v2+json")):
                return None
        parts = [(image.digest, image.platform) for image in images or ()] or [(digest, None)]
        counted: set[tuple[str, str]] = set()
        for part, platform in parts:
            scans = [scan for scan in self.told(name, ScanCompleted) if scan.digest == part]
            if not scans and part != digest:
                about = [scan for scan in self.told(name, ScanCompleted) if scan.digest == digest]
                scans = [scan for scan in about if scan.platform == platform]
            if not scans:
                return None
            counted |= {
                (item.id, item.component)
                for item in scans[-1].vulnerabilities
                if not self.is_overridden(name, item.id, {None, digest, part}, now)
            }
        return len(counted)

    def is_overridden(self, name: str, vulnerability: str, digests: set[str | None], now: str) -> bool:
        last: dict[str | None, Any] = {}
        for fact in self.told(name, VulnerabilityOverridden, OverrideRevoked):
            if fact.vulnerability == vulnerability and fact.digest in digests:
                last[fact.digest] = fact
        given = [fact for fact in last.values() if isinstance(fact, VulnerabilityOverridden)]
        return any(fact.expires_at is None or fact.expires_at > now for fact in given)


def arrival_in(event: Envelope[Frozen]) -> tuple[str, str] | None:
    data = event.data
    if isinstance(data, ImagePushed | ImageObserved):
        return f"{data.repository}:{data.tag}", data.digest
    return (str(data.target), data.digest) if isinstance(data, TransferCompleted) else None


def is_old(event: Envelope[Frozen], digest: str, known: Tag) -> bool:
    """Tell whether a look saw what is known, or what was before it; what a hint had somebody see counts again."""
    if not isinstance(event.data, ImageObserved):
        return False
    return event.data.cause != "hint" if digest == known.digest else event.time < known.updated_at


def target_of(policy: Policy, name: str) -> str | None:
    """Return where a policy puts a tag; None when the tag's repository is not its source. Globs end with ``/*``."""
    repository, _, tag = name.rpartition(":")
    head, _, last = repository.rpartition("/")
    source = str(policy.source)
    if source not in {repository, f"{head}/*"}:
        return None
    target = str(policy.target).replace("{1}", last)
    return f"{target}:{policy.tag.replace('%n', tag)}"
