"""The images that are copied, and what each of them needs to be complete, as the documents at the source say it."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.descriptors import INDEX_TYPES, OCI_MANIFEST, Descriptor
from schemas.policies import CopyOptions
from streams.local_registry.store import Store, StoredManifest, StoredRepository
from tests.support.images import (
    entry,
    push_docker_image,
    push_docker_index,
    push_index,
    push_manifest_of,
    push_multi_platform,
    push_platforms,
    push_referrer,
)
from tests.support.pairs import Pair, pair_of_registries
from towline.registry import RegistryClient, push_image
from towline.registry.blobs import digest_of
from towline.registry.images import LAYER_TYPE, push_blob
from towline.registry.referrers import fallback_tag

SOURCE = "dev/app"
PLATFORMS = ("linux/amd64", "linux/arm64")

_CHART = "application/x.chart"
_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"


@dataclass(frozen=True)
class Needed:
    """What has to be in a repository before an image has its name."""

    manifests: frozenset[str]
    #: From a subject to its referrers.
    referrers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: From cosign's tags to digests.
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixed:
    """What both registries hold at first: the images to copy by name, and one that others put in their place."""

    source: Store
    target: Store
    images: Mapping[str, str]
    other: str

    def reduced(self, digest: str, options: CopyOptions) -> Mapping[str, str]:
        """Return the indexes that would change if they named only what is wanted, with their digests then."""
        manifests = self.source.repositories[SOURCE].manifests
        wanted = _under(manifests, digest, options.platforms, attested=options.referrers)
        changed: dict[str, str] = {}
        _reduce(manifests, digest, wanted, changed)
        return changed

    def needed(self, digest: str, options: CopyOptions, *, is_reduced: bool = False) -> Needed:
        """Return what a copy with these options needs; what comes while it runs may come too late for it."""
        repository = self.source.repositories[SOURCE]
        found = _under(repository.manifests, digest, options.platforms, attested=options.referrers)
        changed = self.reduced(digest, options) if is_reduced else {}
        new = found - changed.keys()
        found = new | set(changed.values())
        if not options.referrers:
            return Needed(frozenset(found))
        referrers: dict[str, frozenset[str]] = {}
        tags: dict[str, str] = {}
        while new:
            about = {it: referrers_of(repository, it) for it in new}
            referrers |= {it: subjects for it, subjects in about.items() if subjects}
            signed = {f"{fallback_tag(it)}.sig" for it in new} & repository.tags.keys()
            tags |= {tag: repository.tags[tag] for tag in signed}
            new = {*(it for one in about.values() for it in one), *(repository.tags[tag] for tag in signed)} - found
            found |= new
        return Needed(frozenset(found), referrers, tags)


def referrers_of(repository: StoredRepository, digest: str) -> frozenset[str]:
    """Return the digests of the manifests whose subject is a digest."""
    return frozenset(entry["digest"] for entry in repository.referrers(digest))


def put_referrer(store: Store, digest: str, text: str) -> None:
    """Let something that belongs to an image of the source come to be there."""
    manifests = store.repositories[SOURCE].manifests
    if digest not in manifests:
        return
    blobs = next(it.document for it in manifests.values() if it.document.get("artifactType") == _CHART)
    subject = {"mediaType": manifests[digest].media_type, "digest": digest, "size": len(manifests[digest].content)}
    document = {**blobs, "artifactType": "application/x.late", "subject": subject, "annotations": {"text": text}}
    content = json.dumps(document).encode()
    store.put_manifest(SOURCE, digest_of(content), OCI_MANIFEST, content)


def _under(
    manifests: Mapping[str, StoredManifest], digest: str, platforms: Collection[str], *, attested: bool
) -> set[str]:
    """Return a manifest and all that is wanted under it; an index that has nothing of that is not wanted itself."""
    children: list[dict[str, Any]] = manifests[digest].document.get("manifests", [])
    wanted = {child["digest"] for child in children if _is_wanted(child, platforms)}
    found: set[str] = set()
    for child in children:
        subject = child.get("annotations", {}).get("vnd.docker.reference.digest")
        if child["digest"] in wanted or (attested and subject in wanted):
            found |= _under(manifests, child["digest"], platforms, attested=attested)
    return found | {digest} if found or not (platforms and children) else set()


def _reduce(
    manifests: Mapping[str, StoredManifest], digest: str, wanted: Collection[str], changed: dict[str, str]
) -> tuple[str, int]:
    """Return the digest and size of a manifest whose indexes name only what is wanted, and note those that change."""
    manifest = manifests[digest]
    children: list[dict[str, Any]] = manifest.document.get("manifests", [])
    left = []
    for child in children:
        if child["digest"] in wanted:
            name, size = _reduce(manifests, child["digest"], wanted, changed)
            left.append({**child, "digest": name, "size": size})
    if left == children:
        return digest, len(manifest.content)
    document = {**manifest.document, "manifests": left}
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    changed[digest] = digest_of(content)
    return changed[digest], len(content)


def _is_wanted(child: Mapping[str, Any], platforms: Collection[str]) -> bool:
    if not platforms:
        return True
    platform = child.get("platform")
    if platform is None:
        return child["mediaType"] in INDEX_TYPES
    return f"{platform['os']}/{platform['architecture']}" in platforms


async def mixed_images() -> Mixed:
    """Push the images to a registry, and to another one what it has before the first copy."""
    async with pair_of_registries() as pair:
        client = pair.source_client
        images = await _push_all(pair)
        other = await push_image(client, SOURCE, "other", [b"what others put there"])
        for name in ("qa/app", "qa/web"):
            await push_image(pair.target_client, name, "other", [b"what others put there"])
        await push_image(client, "prod/app", "other", [b"what others put there"])
        await push_image(pair.target_client, "qa/app", "1.0", [b"the old image"])
        names = {name: image.digest for name, image in images.items()}
        return Mixed(pair.source.store, pair.target.store, names, other.digest)


async def _push_all(pair: Pair) -> dict[str, Descriptor]:
    return {
        **await push_common(pair.source_client),
        "foreign": await _push_foreign(pair.source_client),
        "sha512": await _push_sha512(pair),
    }


async def push_common(client: RegistryClient) -> dict[str, Descriptor]:
    """Push what every registry takes, each under a tag of its own."""
    shared, large = b"shared layer", bytes(range(256)) * 400
    index = await push_platforms(client, SOURCE, "index")
    docker = await push_docker_index(client, SOURCE, "docker-index")
    platforms, _ = await push_multi_platform(client, SOURCE, "platforms", *PLATFORMS, attested=True)
    return {
        "single": await push_image(client, SOURCE, "single", [shared, large]),
        "sharing": await push_image(client, SOURCE, "sharing", [shared, large, b"own layer"]),
        "index": index,
        "nested": await push_index(client, SOURCE, "nested", [index, docker]),
        "docker": await push_docker_image(client, SOURCE, "docker", layer=b"docker layer"),
        "docker index": docker,
        "platforms": platforms,
        "nested platforms": await push_index(client, SOURCE, "nested-platforms", [platforms, index]),
        "artifact": await _push_artifact(client),
        "signed": await _push_signed(client),
    }


async def _push_foreign(client: RegistryClient) -> Descriptor:
    elsewhere = Descriptor(media_type=_FOREIGN_LAYER, digest=digest_of(b"elsewhere"), size=9)
    empty = await push_blob(client, SOURCE, b"", "application/x-nothing")
    return await push_manifest_of(client, SOURCE, "foreign", [elsewhere, empty])


async def _push_artifact(client: RegistryClient) -> Descriptor:
    layer = await push_blob(client, SOURCE, b"a chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    return await push_manifest_of(client, SOURCE, "artifact", [layer], artifactType=_CHART)


async def _push_sha512(pair: Pair) -> Descriptor:
    """Push an index whose one image and its layer are named by SHA-512, which no client of ours writes by itself."""
    layer = b"a layer by its longer name"
    named = Descriptor(media_type=LAYER_TYPE, digest=digest_of(layer, "sha512"), size=len(layer))
    config = await push_blob(pair.source_client, SOURCE, b"{}", "application/vnd.oci.empty.v1+json")
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(config), "layers": [entry(named)]}
    content = json.dumps(document).encode()
    image = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(content, "sha512"), size=len(content))
    pair.source.store.put_blob(SOURCE, named.digest, layer)
    pair.source.store.put_manifest(SOURCE, image.digest, OCI_MANIFEST, content)
    return await push_index(pair.source_client, SOURCE, "sha512", [image])


async def _push_signed(client: RegistryClient) -> Descriptor:
    """Push an image with a referrer, which has one itself, and with a signature under cosign's tag."""
    image = await push_image(client, SOURCE, "signed", [b"signed layer"])
    report = await push_referrer(client, SOURCE, image, "report")
    await push_referrer(client, SOURCE, report, "signature of the report")
    layer = await push_blob(client, SOURCE, b"signature", "text/plain")
    await push_manifest_of(client, SOURCE, f"{fallback_tag(image.digest)}.sig", [layer])
    return image
