"""The registries that promises are tried on: ours in the process, and real ones, each with what it cannot do."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import pytest

from streams.local_registry import LocalRegistry
from streams.serving import serving
from tests.support.distribution import distribution
from tests.support.goregistries import goregistry
from towline.registry import Registries, RegistryClient

Ability = Literal[
    "referrers listing",
    "subject in the answer",
    "mount",
    "blobs of each repository",
    "giving up an upload",
    "uploads that leave nothing",
    "check of what a manifest names",
    "sha512 blobs",
    "sha512 manifests",
    "conditional requests",
    "removal of a tag",
    "removal with all tags",
]


@dataclass(frozen=True, slots=True)
class RealRegistry:
    """``lacks`` says of what a registry cannot do how it shows."""

    name: str
    lacks: Mapping[Ability, str] = field(default_factory=dict)

    def can(self, ability: Ability) -> bool:
        return ability not in self.lacks

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Start an empty one and yield its URL."""
        if self.name == "local":
            async with serving(LocalRegistry()) as url:
                yield url
        else:
            with self.process() as url:
                yield url

    def process(self, *, elsewhere: bool = False) -> AbstractContextManager[str]:
        """Start a real one; with ``elsewhere`` it takes images with layers that are only named, with an address."""
        match self.name:
            case "distribution 2.8":
                return distribution(elsewhere=elsewhere)
            case "distribution 3":
                return distribution(release="3", elsewhere=elsewhere)
            case "crane":
                return goregistry("crane")
            case "ociregistry":
                return goregistry("ociregistry", page_size=50)
        raise AssertionError(self.name)


@dataclass(frozen=True, slots=True)
class Contract:
    """A registry under test.

    Where it lacks what a test needs, the test is expected to fail, with the reason that the report prints. Should it
    hold one day, that is a failure too.
    """

    kind: RealRegistry
    client: RegistryClient
    registries: Registries
    request: pytest.FixtureRequest

    def needs(self, *abilities: Ability) -> None:
        for ability in abilities:
            if not self.kind.can(ability):
                reason = f"{self.kind.name} lacks {ability}: {self.kind.lacks[ability]}"
                self.request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


LOCAL: Final = RealRegistry("local")
_DISTRIBUTION: Final[Mapping[Ability, str]] = {
    "referrers listing": "there is no such path; lists are kept under fallback tags",
    "subject in the answer": "it does not know subjects",
    "sha512 manifests": "it compares with the sha256 only",
}
DISTRIBUTION_2: Final = RealRegistry(
    "distribution 2.8", {**_DISTRIBUTION, "removal of a tag": "it wants a digest, and says so under 400"}
)
DISTRIBUTION_3: Final = RealRegistry("distribution 3", _DISTRIBUTION)
OCIREGISTRY: Final = RealRegistry(
    "ociregistry",
    {
        "giving up an upload": "405",
        "uploads that leave nothing": "an upload makes the repository",
        "check of what a manifest names": "it checks, and says so under 500 without a code",
        "sha512 blobs": "it compares with the sha256 only",
        "sha512 manifests": "it compares with the sha256 only",
        "conditional requests": "it always answers 200",
        "removal with all tags": "tags stay and point to nothing",
    },
)
CRANE: Final = RealRegistry(
    "crane",
    {
        "subject in the answer": "it lists referrers and does not say so at their push",
        "mount": "it takes every mount for an upload",
        "blobs of each repository": "all repositories share all blobs",
        "giving up an upload": "400",
        "check of what a manifest names": "it takes an image without its blobs",
        "sha512 manifests": "it takes any bytes under them, and lists them as tags",
        "conditional requests": "it always answers 200",
        "removal with all tags": "tags stay",
    },
)
REAL: Final = (DISTRIBUTION_2, DISTRIBUTION_3, OCIREGISTRY, CRANE)
ALL: Final = (LOCAL, *REAL)
