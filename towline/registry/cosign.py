"""Where cosign puts signatures: the tag ``ALGORITHM-HEX.sig``, or referrers of the image."""

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.descriptors import Descriptor
from schemas.references import Repository
from towline import limits
from towline.errors import SettingsError
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError, TooLargeError, UnsupportedManifestError
from towline.registry.manifests import Manifest
from towline.registry.parallel import each
from towline.registry.referrers import SIGNATURE_SUFFIX, fallback_tag, find_attached
from towline.registry.signatures import PublicKey, Signature, load_key, read_bundle, signers
from towline.settings import KeySettings

#: Layers that are payloads of signatures. They are what tells a signature: the artifact type differs between versions.
PAYLOAD_MEDIA_TYPE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION: Final = "dev.cosignproject.cosign/signature"

#: Layers that are Sigstore bundles, of any version; their payload is inside of them.
_BUNDLE_TYPE: Final = re.compile(r"application/vnd\.dev\.sigstore\.bundle[a-z0-9.]*\+json(;.*)?")

_READS_AT_A_TIME: Final = 4


def load_keys(keys: Mapping[str, KeySettings]) -> dict[str, PublicKey]:
    """Return the public keys of the settings by name.

    Raises:
        SettingsError: a file is missing, or holds no usable key.
    """
    loaded = {}
    for name, settings in keys.items():
        try:
            pem = settings.file.read_bytes()
        except OSError as error:
            raise SettingsError(f"keys.{name}.file {settings.file}: {error.strerror or error}") from None
        loaded[name] = load_key(name, pem)
    return loaded


async def find_signers(
    client: RegistryClient, keys: Mapping[str, PublicKey], repository: Repository, digest: str
) -> tuple[str, ...]:
    """Return the names of the keys that signed a digest, sorted; without keys nothing is asked.

    Raises:
        TooLargeError: there are more signatures, or referrers, than the bounds.
        RegistryError: the registry failed or refused.
    """
    if not keys:
        return ()
    return signers(keys, digest, await find_signatures(client, repository.name, digest))


async def find_signatures(client: RegistryClient, repository: str, digest: str) -> list[Signature]:
    """Return the signatures that belong to a digest, good or not."""
    attached = await find_attached(client, repository, digest)
    tagged = attached.tags.get(f"{fallback_tag(digest)}{SIGNATURE_SUFFIX}")
    places = dict.fromkeys([*([tagged] if tagged else []), *attached.referrers])
    found = await each(list(places), lambda place: _payloads(client, repository, place), at_a_time=_READS_AT_A_TIME)
    payloads = [item for items in found for item in items]
    if len(payloads) > limits.signature_count:
        raise TooLargeError(f"{repository}@{digest} has more than {limits.signature_count} signatures")

    async def read(item: tuple[Descriptor, str | None]) -> list[Signature]:
        blob, text = item
        try:
            content = await client.read_blob(repository, blob, limits.signature_payload_bytes)
        except (NotFoundError, TooLargeError):
            return []  # A payload that is not there, or is none by its size, is not signed.
        return read_bundle(content) if text is None else [Signature(content, text)]

    read_all = await each(payloads, read, at_a_time=_READS_AT_A_TIME)
    return [signature for signatures in read_all for signature in signatures]


async def _payloads(client: RegistryClient, repository: str, digest: str) -> list[tuple[Descriptor, str | None]]:
    """Return the blobs of a manifest that hold what was signed, each with its signature unless that is inside."""
    try:
        manifest = await client.get_manifest(repository, digest)
    except (NotFoundError, UnsupportedManifestError):
        return []  # Listed and deleted, or no manifest that could have a signature.
    blobs = {blob.digest: blob for blob in manifest.blobs}
    found: list[tuple[Descriptor, str | None]] = []
    for layer in _layers(manifest):
        blob, text = blobs.get(str(layer.get("digest"))), _signature_in(layer)
        if blob is not None and (text is not None or _BUNDLE_TYPE.fullmatch(blob.media_type)):
            found.append((blob, text))
    return found


def _layers(manifest: Manifest) -> list[dict[str, Any]]:
    layers = manifest.document().get("layers")
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _signature_in(layer: dict[str, Any]) -> str | None:
    annotations = layer.get("annotations")
    if layer.get("mediaType") != PAYLOAD_MEDIA_TYPE or not isinstance(annotations, dict):
        return None
    text = annotations.get(SIGNATURE_ANNOTATION)
    return text if isinstance(text, str) else None
