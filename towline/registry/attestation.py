"""Attesting what a decision put where: a signed statement that belongs to the image at the target, as a referrer.

It is there before the target tag is, so that nobody who asks for it meets an image that has none yet.
"""

from collections.abc import Collection
from typing import Any, Final

from schemas.canonical import canonical_bytes
from schemas.commands import CopyImage
from schemas.descriptors import OCI_MANIFEST, Descriptor
from towline.errors import SettingsError
from towline.registry.blobs import digest_of
from towline.registry.client import RegistryClient
from towline.registry.flights import Flights
from towline.registry.images import push_blob
from towline.registry.listing import FallbackLists
from towline.registry.manifests import Manifest, parse_manifest
from towline.registry.statements import BUNDLE_TYPE, PREDICATE_TYPE, AttestingKey, bundle, statement
from towline.settings import AttestationSettings, read_credential

_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_EMPTY: Final = b"{}"
#: How cosign finds what a bundle is without reading it.
_ANNOTATIONS: Final = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": PREDICATE_TYPE,
}


class Attestor:
    """Attests the copies into some registries, with one key."""

    def __init__(self, key: AttestingKey, registries: Collection[str]) -> None:
        self._key = key
        self._registries = frozenset(registries)

    def attests(self, command: CopyImage) -> bool:
        """Tell whether copies to the target's registry are attested."""
        return command.target.repository.registry in self._registries

    async def attach(self, command: CopyImage, subject: Manifest, target: RegistryClient, flights: Flights) -> None:
        """Attach the statement about ``subject`` at the target. What is there already is not written anew.

        Raises:
            TagMovedError: others keep writing the list of referrers.
            RegistryError: the registry failed or refused.
        """
        repository = command.target.repository
        config = await push_blob(target, repository.name, _EMPTY, _EMPTY_TYPE)
        layer = await push_blob(
            target, repository.name, bundle(self._key, statement(command, subject.digest)), BUNDLE_TYPE
        )
        content = canonical_bytes(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": BUNDLE_TYPE,
                "config": _entry(config),
                "layers": [_entry(layer)],
                "subject": {
                    "mediaType": subject.media_type,
                    "digest": subject.digest,
                    "size": len(subject.content),
                },
                "annotations": _ANNOTATIONS,
            }
        )
        manifest = parse_manifest(content, digest_of(content), OCI_MANIFEST)
        is_listed = await target.put_manifest(repository.name, manifest.digest, manifest)
        if not is_listed:
            described: dict[str, Any] = {
                "mediaType": OCI_MANIFEST,
                "digest": manifest.digest,
                "size": len(content),
                "artifactType": BUNDLE_TYPE,
                "annotations": _ANNOTATIONS,
            }
            await FallbackLists(target, repository, flights).add(subject.digest, [described])


def attestor_of(settings: AttestationSettings | None, registries: Collection[str]) -> Attestor | None:
    """Return the attestor of the settings; None when they have none.

    Raises:
        SettingsError: a registry that is to be attested is not among ``registries``, or the key cannot be used.
    """
    if settings is None:
        return None
    if unknown := sorted(set(settings.registries) - set(registries)):
        raise SettingsError(f"attestation.registries: {unknown[0]!r} is not among the registries")
    return Attestor(AttestingKey(read_credential(settings.key).encode()), settings.registries)


def _entry(descriptor: Descriptor) -> dict[str, str | int]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
