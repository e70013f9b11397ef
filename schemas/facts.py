"""Facts about an image that others found out: what is in it, what is wrong with it, who vouches for it.

Each is about one digest in one repository. A promotion takes them along: ``carried_from`` then says where they were
known before.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.instants import Instant
from schemas.policies import Platform
from schemas.references import Actor, Count, Digest, Frozen, MediaType, Reference, Repository, Tag

#: Bounds of one report. Real ones have some thousands; ten thousand vulnerabilities are about a megabyte.
VULNERABILITIES_MAX = 20_000
COMPONENTS_MAX = 50_000
#: Platforms of one index, and labels or annotations of one image.
IMAGES_MAX = 1024
LABELS_MAX = 1024

Severity = Literal["critical", "high", "medium", "low", "negligible", "unknown"]
Line = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Comment = Annotated[str, StringConstraints(max_length=4096)]
Labels = Annotated[
    dict[Annotated[str, StringConstraints(max_length=512)], Annotated[str, StringConstraints(max_length=65536)]],
    Field(max_length=LABELS_MAX),
]


class PlatformImage(Frozen):
    """The image for one platform: a manifest with its configuration."""

    platform: Platform
    digest: Digest
    #: Compressed, in bytes: manifest, configuration and layers.
    size: Count
    #: When it was built, as its configuration says.
    created: Instant | None = None
    labels: Labels = Field(default_factory=dict)


class ImageInspected(Frozen):
    """What a registry says about a digest: its platforms, labels and annotations."""

    repository: Repository
    digest: Digest
    media_type: MediaType
    #: Those of the manifest or index itself.
    annotations: Labels = Field(default_factory=dict)
    #: One for each platform; for a manifest that is no index, itself. Attestations are none.
    images: Annotated[tuple[PlatformImage, ...], Field(max_length=IMAGES_MAX)]
    carried_from: Reference | None = None


class InspectionFailed(Frozen):
    """A digest could not be inspected; policies that need it go on waiting."""

    command_id: str
    repository: Repository
    digest: Digest
    cause: str
    detail: str
    retryable: bool
    attempts: Count


class Vulnerability(Frozen):
    """One finding of a scanner."""

    #: Such as ``CVE-2024-3094``.
    id: Line
    severity: Severity
    #: The CVSS base score times ten, 0 to 100; None when there is no score.
    score_tenths: Annotated[int, Field(ge=0, le=100)] | None = None
    component: Line
    version: Annotated[str, StringConstraints(max_length=512)] = ""


class Component(Frozen):
    """A package in an image."""

    name: Line
    version: Annotated[str, StringConstraints(max_length=512)] = ""
    #: Its package URL.
    purl: Annotated[str, StringConstraints(max_length=2048)] | None = None
    #: The licence expression as alternatives, each a list of SPDX licence ids that apply together: ``MIT OR (A AND B)``
    #: is ``(("MIT",), ("A", "B"))``. Empty: no licence is known.
    licenses: tuple[tuple[Line, ...], ...] = ()


class ScanCompleted(Frozen):
    """A scanner's report about an image, or about one platform of an index. A later report replaces it."""

    repository: Repository
    digest: Digest
    #: Of an index, the platform that was scanned; None: the digest itself.
    platform: Platform | None = None
    #: Name and version, such as ``trivy 0.58.0``.
    scanner: Line
    vulnerabilities: Annotated[tuple[Vulnerability, ...], Field(max_length=VULNERABILITIES_MAX)]
    #: The packages, when the report lists them.
    components: Annotated[tuple[Component, ...], Field(max_length=COMPONENTS_MAX)] | None = None
    actor: Actor | None = None
    occurred_at: Instant | None = None
    carried_from: Reference | None = None


class ScanNoticed(Frozen):
    """A scanner is done with an image. The sender gives numbers only, not the report that policies judge."""

    repository: Repository
    #: At least one of these is given.
    digest: Digest | None = None
    tag: Tag | None = None
    #: False: the scan failed, and there are no counts.
    succeeded: bool
    scanner: Line | None = None
    #: Vulnerabilities by band. The bands are the sender's, in lower case: ``critical`` of DTR begins at CVSS 7.0.
    counts: Annotated[dict[Annotated[str, Field(max_length=64)], Count], Field(max_length=32)] = Field(
        default_factory=dict
    )
    actor: Actor | None = None
    occurred_at: Instant | None = None


class SbomSubmitted(Frozen):
    """A software bill of materials of an image, or of one platform of an index. A later one replaces it."""

    repository: Repository
    digest: Digest
    platform: Platform | None = None
    #: Such as ``cyclonedx 1.5`` or ``spdx 2.3``.
    format: Line
    components: Annotated[tuple[Component, ...], Field(max_length=COMPONENTS_MAX)]
    actor: Actor | None = None
    occurred_at: Instant | None = None
    carried_from: Reference | None = None


class SignatureVerified(Frozen):
    """A signature on a digest was checked with a configured key, and is good."""

    repository: Repository
    digest: Digest
    #: The name of the key in the settings.
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    carried_from: Reference | None = None


class VulnerabilityOverridden(Frozen):
    """Someone answers for a vulnerability: it does not count any more."""

    repository: Repository
    #: None: every image of the repository.
    digest: Digest | None = None
    vulnerability: Line
    #: Only in this component; None: in all.
    component: Line | None = None
    reason: Comment
    actor: Actor
    expires_at: Instant | None = None
    carried_from: Reference | None = None


class OverrideRevoked(Frozen):
    """An override ends: the vulnerability counts again."""

    repository: Repository
    digest: Digest | None = None
    vulnerability: Line
    component: Line | None = None
    reason: Comment = ""
    actor: Actor


class ApprovalGranted(Frozen):
    """Someone wants a digest to pass a policy."""

    repository: Repository
    digest: Digest
    policy: str
    actor: Actor
    comment: Comment = ""
    expires_at: Instant | None = None


class ApprovalRevoked(Frozen):
    """An approval ends."""

    repository: Repository
    digest: Digest
    policy: str
    #: Whose approval.
    approver: Actor
    actor: Actor
    comment: Comment = ""
