"""Builders of what others find out about images, and of polls. Deterministic, as the other builders."""

from typing import Any

from schemas.commands import PollCause
from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PollFailed, PromotionRequested, SyncRequested, TagsListed
from schemas.facts import (
    ApprovalGranted,
    ApprovalRevoked,
    Component,
    ImageInspected,
    InspectionFailed,
    OverrideRevoked,
    PlatformImage,
    SbomSubmitted,
    ScanCompleted,
    SignatureVerified,
    Vulnerability,
    VulnerabilityOverridden,
)
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import at, digest, envelope


def _about(
    model: type[Frozen], repository: str, image: str | None, key: str, time: str | None, /, **data: Any
) -> Envelope[Frozen]:
    place = {"repository": Repository.parse(repository), "digest": None if image is None else digest(image)}
    fact = model(**place, **data)
    return envelope(
        fact, subject=f"{repository}@{image}", key=f"{key} {model.__name__} {fact.model_dump_json()}", time=time
    )


def platform_image(
    platform: str, image: str, *, size: int = 1000, created: str | None = None, **more: Any
) -> PlatformImage:
    """Return the image of one platform, built at the beginning unless told otherwise."""
    return PlatformImage(platform=platform, digest=digest(image), size=size, created=created or at(0), **more)


def inspected(
    repository: str,
    image: str,
    *images: PlatformImage,
    key: str = "",
    time: str | None = None,
    annotations: dict[str, str] | None = None,
    carried_from: Reference | None = None,
) -> Envelope[Frozen]:
    """Return the inspection of an index with these images; without any, of an image for linux/amd64."""
    return _about(
        ImageInspected,
        repository,
        image,
        key,
        time,
        media_type=OCI_INDEX if images else OCI_MANIFEST,
        annotations=annotations or {},
        images=images or (platform_image("linux/amd64", image),),
        carried_from=carried_from,
    )


def inspection_failed(repository: str, image: str, *, key: str = "", time: str | None = None) -> Envelope[Frozen]:
    """Return that a digest could not be inspected."""
    why = {"cause": "unreachable", "detail": "the registry did not answer", "retryable": True, "attempts": 5}
    return _about(InspectionFailed, repository, image, key, time, command_id="c" * 64, **why)


def vulnerability(
    id_: str = "CVE-1", severity: str = "critical", score_tenths: int | None = None, component: str = "xz"
) -> Vulnerability:
    """Return one finding of a scanner."""
    return Vulnerability.model_validate(
        {"id": id_, "severity": severity, "score_tenths": score_tenths, "component": component}
    )


def component(name: str, *licenses: tuple[str, ...]) -> Component:
    """Return a package with the alternatives of its licence."""
    return Component(name=name, licenses=licenses)


def scanned(
    repository: str,
    image: str,
    *vulnerabilities: Vulnerability,
    platform: str | None = None,
    components: tuple[Component, ...] | None = None,
    key: str = "",
    time: str | None = None,
    carried_from: Reference | None = None,
) -> Envelope[Frozen]:
    """Return a scanner's report."""
    return _about(
        ScanCompleted,
        repository,
        image,
        key,
        time,
        platform=platform,
        scanner="trivy 0.58.0",
        vulnerabilities=vulnerabilities,
        components=components,
        carried_from=carried_from,
    )


def sbom(
    repository: str, image: str, *components: Component, platform: str | None = None, key: str = "", **more: Any
) -> Envelope[Frozen]:
    """Return a software bill of materials."""
    time = more.pop("time", None)
    return _about(
        SbomSubmitted, repository, image, key, time, platform=platform, format="spdx 2.3", components=components, **more
    )


def signed(repository: str, image: str, by: str, *, key: str = "", **more: Any) -> Envelope[Frozen]:
    """Return that a signature by a configured key is good."""
    return _about(SignatureVerified, repository, image, key, more.pop("time", None), **{"key": by, **more})


def overridden(
    repository: str, vulnerability_id: str, *, image: str | None = None, key: str = "", **more: Any
) -> Envelope[Frozen]:
    """Return an override: for one image, or without it for the whole repository."""
    data = {"vulnerability": vulnerability_id, "reason": "not reachable", "actor": "security", **more}
    return _about(VulnerabilityOverridden, repository, image, key, data.pop("time", None), **data)


def override_revoked(
    repository: str, vulnerability_id: str, *, image: str | None = None, key: str = "", **more: Any
) -> Envelope[Frozen]:
    """Return the end of an override."""
    data = {"vulnerability": vulnerability_id, "actor": "security", **more}
    return _about(OverrideRevoked, repository, image, key, data.pop("time", None), **data)


def approved(
    repository: str, image: str, policy: str, by: str, *, key: str = "", time: str | None = None, **more: Any
) -> Envelope[Frozen]:
    """Return an approval."""
    return _about(ApprovalGranted, repository, image, key, time, policy=policy, actor=by, **more)


def approval_revoked(
    repository: str, image: str, policy: str, by: str, *, key: str = "", time: str | None = None
) -> Envelope[Frozen]:
    """Return the end of an approval."""
    return _about(ApprovalRevoked, repository, image, key, time, policy=policy, approver=by, actor=by)


def observed(
    reference: str,
    image: str,
    *,
    key: str = "",
    time: str | None = None,
    media_type: str | None = None,
    cause: PollCause = "interval",
) -> Envelope[Frozen]:
    """Return that a poll found a tag."""
    parsed = Reference.parse(reference)
    data = ImageObserved(
        repository=parsed.repository,
        tag=parsed.tag,
        digest=digest(image),
        media_type=media_type,
        command_id="c" * 64,
        cause=cause,
    )
    return envelope(data, subject=reference, key=f"observed {reference} {image} {key}", time=time)


def listed(
    repository: str,
    *tags: str,
    after: str | None = None,
    until: str | None = None,
    key: str = "",
    time: str | None = None,
    cause: PollCause = "reconciliation",
) -> Envelope[Frozen]:
    """Return a page of a listing; without bounds it is all that is there."""
    data = TagsListed(
        command_id="c" * 64,
        repository=Repository.parse(repository),
        cause=cause,
        after=after,
        until=until,
        tags=tuple(sorted(tags)),
    )
    return envelope(data, subject=repository, key=f"listed {repository} {tags} {after} {until} {key}", time=time)


def poll_completed(
    repository: str,
    *,
    key: str = "",
    time: str | None = None,
    contents: str | None = None,
    command_id: str = "c" * 64,
) -> Envelope[Frozen]:
    """Return that a repository was asked to the end, and what it has, by the sum of its contents."""
    source, asked = SourcePattern.parse(repository), Repository.parse(repository)
    data = PollCompleted(command_id=command_id, source=source, repository=asked, tags=1, contents=contents)
    return envelope(data, subject=repository, key=f"poll {repository} {key}", time=time)


def poll_failed(source: str, *, key: str = "", time: str | None = None, command_id: str = "c" * 64) -> Envelope[Frozen]:
    """Return that a source could not be asked."""
    data = PollFailed(
        command_id=command_id,
        source=SourcePattern.parse(source),
        cause="denied",
        detail="the registry refused",
        retryable=False,
        attempts=1,
    )
    return envelope(data, subject=source, key=f"failed poll {source} {command_id} {key}", time=time)


def sync_requested(policy: str, source: str, *, by: str = "ann", key: str = "", **more: Any) -> Envelope[Frozen]:
    """Return that a person wants a source asked now."""
    data = SyncRequested(policy=policy, source=SourcePattern.parse(source), actor=by)
    return envelope(data, subject=source, key=f"sync {policy} {source} {by} {key}", **more)


def requested(
    reference: str, image: str, target: str, *, by: str = "ann", key: str = "", **more: Any
) -> Envelope[Frozen]:
    """Return that a person asks for an image at a target."""
    source, wanted = Reference.parse(reference), Reference.parse(target)
    data = PromotionRequested(
        repository=source.repository,
        tag=source.tag,
        digest=digest(image),
        target=wanted,
        actor=by,
        comment=more.pop("comment", ""),
    )
    return envelope(data, subject=reference, key=f"request {reference} {image} {target} {by} {key}", **more)
