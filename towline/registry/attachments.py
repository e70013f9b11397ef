"""Copying what belongs to an image, so that it is there before the image has its name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.canonical import canonical_bytes
from schemas.descriptors import INDEX_TYPES
from schemas.references import Repository
from towline import limits
from towline.registry.blobcopy import BlobFates
from towline.registry.blobs import digest_of
from towline.registry.client import RegistryClient
from towline.registry.closure import CLOSURE_BYTES, read_closure
from towline.registry.content import ContentCopier
from towline.registry.errors import NotFoundError, SourceGoneError, TagMovedError, TooLargeError
from towline.registry.flights import Flights
from towline.registry.listing import MERGE_COUNT, FallbackLists
from towline.registry.manifests import Manifest, parse_manifest
from towline.registry.parallel import each
from towline.registry.referrers import Attached, find_attached

#: Looks for referrers at a time. Each makes a handful of small requests.
_LOOKS_AT_A_TIME: Final = 4


@dataclass(slots=True)
class Attachments:
    """What belongs to an image and to what belongs to it."""

    #: Each once, children before parents.
    manifests: dict[str, Manifest] = field(default_factory=dict)
    #: From cosign's tags to digests.
    tags: dict[str, str] = field(default_factory=dict)
    #: From a subject to the descriptors of its referrers.
    referrers: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)


async def read_attachments(source: RegistryClient, repository: str, image: Sequence[Manifest]) -> Attachments:
    """Return what belongs to the manifests of an image, and to what is found, and so on.

    A referrer that is listed and not there is none: lists are not cleaned when what they name is deleted.

    Raises:
        TooLargeError: more, larger or in a longer chain than the bounds.
        RegistryError: the registry failed or refused.
    """
    found, seen = Attachments(), {manifest.digest for manifest in image}
    subjects = [manifest.digest for manifest in image]
    for _ in range(limits.referrer_depth + 1):
        attached = await each(
            subjects, lambda digest: find_attached(source, repository, digest), at_a_time=_LOOKS_AT_A_TIME
        )
        new = sorted({digest for one in attached for digest in one.digests} - seen)
        seen |= set(new)
        closures = await each(new, lambda digest: _read(source, repository, digest), at_a_time=_LOOKS_AT_A_TIME)
        for manifest in (manifest for closure in closures for manifest in closure):
            found.manifests.setdefault(manifest.digest, manifest)
        _check_bounds(found)
        present = seen - {digest for digest, closure in zip(new, closures, strict=True) if not closure}
        for subject, one in zip(subjects, attached, strict=True):
            _note(found, subject, one, present)
        subjects = [digest for digest in new if digest in present]
        if not subjects:
            return found
    raise TooLargeError(f"the referrers of {image[-1].digest} form a chain of more than {limits.referrer_depth}")


async def _read(source: RegistryClient, repository: str, digest: str) -> list[Manifest]:
    try:
        return await read_closure(source, repository, digest)
    except SourceGoneError:
        return []


def _check_bounds(found: Attachments) -> None:
    if len(found.manifests) > limits.referrer_count:
        raise TooLargeError(f"more than {limits.referrer_count} referrers belong to one image")
    if sum(len(manifest.content) for manifest in found.manifests.values()) > CLOSURE_BYTES:
        raise TooLargeError(f"the manifests that belong to one image exceed {CLOSURE_BYTES} bytes")


def _note(found: Attachments, subject: str, attached: Attached, present: set[str]) -> None:
    found.tags |= {tag: digest for tag, digest in attached.tags.items() if digest in present}
    if referrers := [entry for digest, entry in attached.referrers.items() if digest in present]:
        found.referrers[subject] = referrers


class AttachmentCopier:
    """Writes what belongs to an image into the target repository of one command."""

    def __init__(
        self, content: ContentCopier, target: RegistryClient, repository: Repository, flights: Flights
    ) -> None:
        self._content = content
        self._target = target
        self._repository = repository
        self._flights = flights
        self._lists = FallbackLists(target, repository, flights)

    async def copy(self, attachments: Attachments, fates: BlobFates) -> None:
        """Write all content, then what tells to whom it belongs.

        What the target itself has there stays: lists are merged.

        Raises:
            TagMovedError: others keep writing the same list.
            RegistryError: the registry failed or refused.
        """
        manifests = list(attachments.manifests.values())
        if not manifests:
            return
        listed = (await self._content.copy(manifests, fates)).listed
        for subject, referrers in attachments.referrers.items():
            if unlisted := [entry for entry in referrers if entry["digest"] not in listed]:
                await self._lists.add(subject, unlisted)
        for tag, digest in attachments.tags.items():
            await self._tag(tag, attachments.manifests[digest])

    async def _tag(self, tag: str, manifest: Manifest) -> None:
        """Point one of cosign's tags to a manifest. Where it has other layers already, both have all of them."""
        async with self._flights.alone((self._repository, tag)):
            for _ in range(MERGE_COUNT):
                present = await self._read_tag(tag)
                if present is None:
                    await self._target.put_manifest(self._repository.name, tag, manifest)
                    return
                ours, theirs = layers_of(manifest), layers_of(present)
                if all(layer in theirs for layer in ours):
                    return
                further = [layer for layer in theirs if layer not in ours]
                if not further:
                    await self._target.put_manifest(self._repository.name, tag, manifest)
                    return
                await self._put(tag, {**manifest.document(), "layers": [*ours, *further]}, manifest.media_type)
        raise TagMovedError(f"{self._repository}:{tag} is written by others again and again")

    async def _read_tag(self, tag: str) -> Manifest | None:
        try:
            digest = await self._target.resolve(self._repository.name, tag, push=True)
            return await self._target.get_manifest(self._repository.name, digest, push=True)
        except NotFoundError:
            return None

    async def _put(self, tag: str, document: Mapping[str, Any], media_type: str) -> None:
        content = canonical_bytes(document)
        await self._target.put_manifest(
            self._repository.name, tag, parse_manifest(content, digest_of(content), media_type)
        )


def layers_of(manifest: Manifest) -> list[Any]:
    """Return the descriptors under one of cosign's tags: each is a signature, an attestation or an SBOM."""
    member = "manifests" if manifest.media_type in INDEX_TYPES else "layers"
    found = manifest.document().get(member)
    return found if isinstance(found, list) else []
