"""The index under a fallback tag: what lists the referrers of a subject where the registry itself does not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.canonical import canonical_bytes
from schemas.descriptors import OCI_INDEX
from schemas.references import Repository
from towline.registry.blobs import digest_of
from towline.registry.client import RegistryClient
from towline.registry.errors import ContentMissingError, TagMovedError
from towline.registry.flights import Flights
from towline.registry.manifests import parse_manifest
from towline.registry.platforms import entries
from towline.registry.referrers import fallback_tag, read_fallback

#: How often a list that others write too is written again because they wrote between our reading and our writing.
MERGE_COUNT: Final = 5


class FallbackLists:
    """The lists of one repository."""

    def __init__(self, target: RegistryClient, repository: Repository, flights: Flights) -> None:
        self._target = target
        self._repository = repository
        self._flights = flights

    async def add(self, subject: str, referrers: Sequence[Mapping[str, Any]]) -> None:
        """Add descriptors of referrers to the list of their subject; what is listed there already stays.

        Raises:
            TagMovedError: others keep writing the same list.
            RegistryError: the registry failed or refused.
        """
        tag = fallback_tag(subject)
        async with self._flights.alone((self._repository, tag)):
            for _ in range(MERGE_COUNT):
                present = await read_fallback(self._target, self._repository.name, subject, push=True)
                listed = entries(present) if present else []
                known = {entry.get("digest") for entry in listed}
                missing = [dict(entry) for entry in referrers if entry["digest"] not in known]
                if not missing:
                    return
                document = present.document() if present else {"schemaVersion": 2, "mediaType": OCI_INDEX}
                try:
                    await self._put(tag, {**document, "manifests": [*listed, *missing]})
                except ContentMissingError:
                    # The list names what was deleted since, which nobody took out of it.
                    kept = [entry for entry in listed if await self._has(entry)]
                    await self._put(tag, {**document, "manifests": [*kept, *missing]})
        raise TagMovedError(f"{self._repository}:{tag} is written by others again and again")

    async def _has(self, entry: Mapping[str, Any]) -> bool:
        return await self._target.has_manifest(self._repository.name, str(entry["digest"]), push=True)

    async def _put(self, tag: str, document: Mapping[str, Any]) -> None:
        content = canonical_bytes(document)
        await self._target.put_manifest(
            self._repository.name, tag, parse_manifest(content, digest_of(content), OCI_INDEX)
        )
