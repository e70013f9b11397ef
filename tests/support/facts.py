"""Small builders of facts about images. Deterministic: equal calls make equal bytes."""

from schemas.descriptors import OCI_INDEX, OCI_MANIFEST
from schemas.envelope import Envelope
from schemas.events import ImageObserved, PollCompleted, PromotionRequested
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
    Severity,
    SignatureVerified,
    Vulnerability,
    VulnerabilityOverridden,
)
from schemas.patterns import SourcePattern
from schemas.references import Frozen, Reference, Repository
from tests.support.builders import digest, envelope


def _fact(data: Frozen, key: str, time: str | None) -> Envelope[Frozen]:
    return envelope(data, subject="facts", key=f"{type(data).__name__} {key}", time=time)


def vulnerability(
    name: str, severity: Severity = "critical", score: int | None = None, component: str = "xz"
) -> Vulnerability:
    """Return a vulnerability; ``score`` is the CVSS score times ten."""
    return Vulnerability(id=name, severity=severity, score_tenths=score, component=component)


def scanned(
    repository: str,
    image: str,
    *found: str | Vulnerability,
    platform: str | None = None,
    components: tuple[Component, ...] | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return a scan report; a name stands for a critical vulnerability."""
    data = ScanCompleted(
        repository=Repository.parse(repository),
        digest=digest(image),
        platform=platform,
        scanner="scanner 1.0",
        vulnerabilities=tuple(vulnerability(item) if isinstance(item, str) else item for item in found),
        components=components,
    )
    return _fact(data, f"{repository} {image} {platform} {found} {key}", time)


def listed(
    repository: str,
    image: str,
    *components: Component,
    platform: str | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return an SBOM."""
    data = SbomSubmitted(
        repository=Repository.parse(repository),
        digest=digest(image),
        platform=platform,
        format="cyclonedx 1.5",
        components=components,
    )
    return _fact(data, f"{repository} {image} {platform} {components} {key}", time)


def component(name: str, *alternatives: tuple[str, ...]) -> Component:
    """Return a component with its licences, each alternative a group that applies together."""
    return Component(name=name, licenses=alternatives)


def platform_image(
    platform: str, image: str, *, size: int = 100, created: str | None = None, **labels: str
) -> PlatformImage:
    """Return one platform of an image."""
    return PlatformImage(platform=platform, digest=digest(image), size=size, created=created, labels=labels)


def inspected(
    repository: str,
    image: str,
    *images: PlatformImage,
    annotations: dict[str, str] | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return an inspection: of an index with these platforms, or of a manifest when its one digest is the image's."""
    alone = len(images) == 1 and images[0].digest == digest(image)
    data = ImageInspected(
        repository=Repository.parse(repository),
        digest=digest(image),
        media_type=OCI_MANIFEST if alone else OCI_INDEX,
        annotations=annotations or {},
        images=images,
    )
    return _fact(data, f"{repository} {image} {[item.digest for item in images]} {annotations} {key}", time)


def not_inspected(repository: str, image: str, *, key: str = "", time: str | None = None) -> Envelope[Frozen]:
    """Return an inspection that failed."""
    data = InspectionFailed(
        command_id="c" * 64,
        repository=Repository.parse(repository),
        digest=digest(image),
        cause="unreachable",
        detail="no answer",
        retryable=True,
        attempts=5,
    )
    return _fact(data, f"{repository} {image} {key}", time)


def signed(repository: str, image: str, key: str, *, time: str | None = None) -> Envelope[Frozen]:
    """Return a good signature with a configured key."""
    data = SignatureVerified(repository=Repository.parse(repository), digest=digest(image), key=key)
    return _fact(data, f"{repository} {image} {key}", time)


def overridden(
    repository: str,
    image: str | None,
    name: str,
    *,
    component: str | None = None,
    expires_at: str | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return an override, for one image or (None) for the whole repository."""
    data = VulnerabilityOverridden(
        repository=Repository.parse(repository),
        digest=None if image is None else digest(image),
        vulnerability=name,
        component=component,
        reason="does not apply",
        actor="security",
        expires_at=expires_at,
    )
    return _fact(data, f"{repository} {image} {name} {component} {expires_at} {key}", time)


def override_revoked(
    repository: str,
    image: str | None,
    name: str,
    *,
    component: str | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return the end of an override."""
    data = OverrideRevoked(
        repository=Repository.parse(repository),
        digest=None if image is None else digest(image),
        vulnerability=name,
        component=component,
        actor="security",
    )
    return _fact(data, f"{repository} {image} {name} {component} {key}", time)


def approved(
    repository: str,
    image: str,
    policy: str,
    actor: str,
    *,
    expires_at: str | None = None,
    key: str = "",
    time: str | None = None,
) -> Envelope[Frozen]:
    """Return an approval."""
    data = ApprovalGranted(
        repository=Repository.parse(repository),
        digest=digest(image),
        policy=policy,
        actor=actor,
        expires_at=expires_at,
    )
    return _fact(data, f"{repository} {image} {policy} {actor} {expires_at} {key}", time)


def approval_revoked(
    repository: str, image: str, policy: str, approver: str, *, key: str = "", time: str | None = None
) -> Envelope[Frozen]:
    """Return the end of an approval."""
    data = ApprovalRevoked(
        repository=Repository.parse(repository), digest=digest(image), policy=policy, approver=approver, actor=approver
    )
    return _fact(data, f"{repository} {image} {policy} {approver} {key}", time)


def observed(reference: str, image: str, *, key: str = "", time: str | None = None) -> Envelope[Frozen]:
    """Return what a poll found under a tag."""
    parsed = Reference.parse(reference)
    data = ImageObserved(repository=parsed.repository, tag=parsed.tag, digest=digest(image), command_id="c" * 64)
    return _fact(data, f"{reference} {image} {key}", time)


def polled(repository: str, *, key: str = "", time: str | None = None) -> Envelope[Frozen]:
    """Return the end of a poll of a repository."""
    data = PollCompleted(
        command_id="c" * 64, source=SourcePattern.parse(repository), repository=Repository.parse(repository), tags=1
    )
    return _fact(data, f"{repository} {key}", time)


def requested(
    source: str, image: str, target: str, *, actor: str = "ann", key: str = "", time: str | None = None
) -> Envelope[Frozen]:
    """Return a manual promotion."""
    parsed = Reference.parse(source)
    data = PromotionRequested(
        repository=parsed.repository,
        tag=parsed.tag,
        digest=digest(image),
        target=Reference.parse(target),
        actor=actor,
    )
    return _fact(data, f"{source} {image} {target} {actor} {key}", time)
