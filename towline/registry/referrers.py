"""What belongs to a digest at a registry: signatures, SBOMs, attestations.

Three places know of them: the referrers listing (OCI distribution specification 1.1), the index under the fallback tag
``ALGORITHM-HEX`` of registries without that listing, and the tags ``ALGORITHM-HEX.sig``, ``.att`` and ``.sbom`` that
cosign made before both. All are asked; what the first two say is merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from schemas.descriptors import Descriptor
from towline import limits
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, ProtocolError, TooLargeError
from towline.registry.manifests import Manifest
from towline.registry.parallel import each
from towline.registry.platforms import entries

SIGNATURE_SUFFIX: Final = ".sig"
SUFFIXES: Final = (SIGNATURE_SUFFIX, ".att", ".sbom")

#: By the specification a fallback tag has no more of the digest than this, so that it is a tag.
_TAG_HEX: Final = 64


def fallback_tag(digest: str) -> str:
    """Return the tag of the index that lists the referrers of ``digest`` where the registry itself does not."""
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm}-{digits[:_TAG_HEX]}"


@dataclass(frozen=True, slots=True)
class Attached:
    """What belongs to one digest."""

    #: From cosign's tags to what they point to.
    tags: Mapping[str, str] = field(default_factory=dict)
    #: The descriptors of its referrers, by digest, as the registry or the fallback index has them.
    referrers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def digests(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys([*self.tags.values(), *self.referrers]))


async def find_attached(client: RegistryClient, repository: str, digest: str) -> Attached:
    """Return what belongs to a digest.

    Raises:
        TooLargeError: more than the bound.
        RegistryError: the registry failed or refused.
    """

    async def ask(place: str) -> tuple[str, Any]:
        if place == "listing":
            return place, await client.list_referrers(repository, digest)
        if place == "fallback":
            return place, await read_fallback(client, repository, digest)
        return place, await _digest_of(client, repository, f"{fallback_tag(digest)}{place}")

    places = ("listing", "fallback", *SUFFIXES)
    answers = dict(await each(places, ask, at_a_time=len(places)))
    fallback = answers["fallback"]
    found = [*(answers["listing"] or ()), *(entries(fallback) if fallback else ())]
    merged: dict[str, Mapping[str, Any]] = {}
    for entry in found:
        merged.setdefault(_checked(entry, digest), entry)
    if len(merged) > limits.referrer_count:
        raise TooLargeError(f"{repository}@{digest} has more than {limits.referrer_count} referrers")
    return Attached(
        {f"{fallback_tag(digest)}{suffix}": answers[suffix] for suffix in SUFFIXES if answers[suffix]},
        {key: merged[key] for key in sorted(merged)},
    )


async def read_fallback(client: RegistryClient, repository: str, digest: str, *, push: bool = False) -> Manifest | None:
    """Return the index under the fallback tag of ``digest``, or None when there is none."""
    try:
        named = await client.resolve(repository, fallback_tag(digest), push=push)
        return await client.get_manifest(repository, named, push=push)
    except NotFoundError:
        return None


async def _digest_of(client: RegistryClient, repository: str, tag: str) -> str | None:
    try:
        return await client.resolve(repository, tag)
    except NotFoundError:
        return None


def _checked(entry: Any, digest: str) -> str:
    try:
        return Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"]).digest
    except (KeyError, TypeError, ValidationError):
        raise ProtocolError(f"the referrers of {digest} hold something that is not a descriptor") from None
