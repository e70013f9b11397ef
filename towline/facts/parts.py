"""What the readers of all formats share: parts of a report, and what a report comes to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.facts import Component, Vulnerability
from schemas.instants import Instant
from schemas.policies import Platform
from schemas.references import Digest
from towline.dialects.reasons import fitted

_DIGEST: Final = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")

Vector = Annotated[str, StringConstraints(max_length=512)]
"""A CVSS vector. One with all metrics of its version has less than 200 characters."""


class Part(BaseModel):
    """An object of a report: types are strict, members that we do not read are the tool's business."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


@dataclass(frozen=True, slots=True)
class Report:
    """What a tool found in one image."""

    #: Name and version of the scanner (``trivy 0.58.0``), or of the format of an SBOM (``cyclonedx 1.5``).
    tool: str
    #: The digests by which the report names the image; any of them. Empty: it names none.
    digests: tuple[Digest, ...]
    platform: Platform | None
    #: Sorted, each finding once; None: this is an SBOM.
    vulnerabilities: tuple[Vulnerability, ...] | None
    #: Sorted, each package once; None: this is a scan that does not list them.
    components: tuple[Component, ...] | None
    occurred_at: Instant | None


class _PlatformOf(Part):
    platform: Platform


def digests_in(texts: Iterable[str | None]) -> tuple[Digest, ...]:
    """Return the digests that ``texts`` end with, such as ``host/name@sha256:...``, sorted, each once."""
    found = set()
    for text in texts:
        digest = (text or "").rpartition("@")[2]
        if _DIGEST.fullmatch(digest):
            found.add(digest)
    return tuple(sorted(found))


def platform_of(system: str | None, architecture: str | None, variant: str | None, path: str) -> Platform | None:
    """Return ``OS/ARCHITECTURE`` or ``OS/ARCHITECTURE/VARIANT``; None when the report does not say both.

    Raises:
        UnusableInputError: the parts make no platform; ``path`` says where they are.
    """
    if not system or not architecture:
        return None
    text = "/".join(part for part in (system, architecture, variant) if part)
    return fitted(_PlatformOf, {"platform": text}, path).platform
