"""The referrers listing of registries that have one, and what tells one from a registry that has none."""

from schemas.descriptors import OCI_MANIFEST, Descriptor
from tests.support.images import push_referrer
from tests.support.registries import Contract
from towline.registry import push_image
from towline.registry.blobs import digest_of


async def listed(registry: Contract, digest: str) -> list[str] | None:
    found = await registry.client.list_referrers("team/app", digest)
    return None if found is None else sorted(entry["digest"] for entry in found)


async def test_a_manifest_with_a_subject_is_listed_under_it_until_it_is_removed(registry: Contract) -> None:
    registry.needs("referrers listing")
    image = await push_image(registry.client, "team/app", "1.0", [b"layer"])
    assert await listed(registry, image.digest) == []
    pushed = [await push_referrer(registry.client, "team/app", image, text) for text in ("one", "two", "three")]
    about_one = await push_referrer(registry.client, "team/app", pushed[0], "about one")
    assert await listed(registry, image.digest) == sorted(referrer.digest for referrer in pushed)
    assert await listed(registry, pushed[0].digest) == [about_one.digest]
    await registry.client.delete_manifest("team/app", pushed[1].digest)
    assert await listed(registry, image.digest) == sorted([pushed[0].digest, pushed[2].digest])


async def test_a_subject_need_not_be_there(registry: Contract) -> None:
    registry.needs("referrers listing")
    absent = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(b"never pushed"), size=12)
    referrer = await push_referrer(registry.client, "team/app", absent, "early")
    assert await listed(registry, absent.digest) == [referrer.digest]


async def test_a_registry_without_the_listing_is_told_from_one_whose_listing_is_empty(registry: Contract) -> None:
    image = await push_image(registry.client, "team/app", "1.0", [b"layer"])
    assert await listed(registry, image.digest) == ([] if registry.kind.can("referrers listing") else None)


async def test_a_registry_that_lists_by_subject_says_so_at_the_push(registry: Contract) -> None:
    registry.needs("subject in the answer")
    image = await push_image(registry.client, "team/app", "1.0", [b"layer"])
    referrer = await push_referrer(registry.client, "team/app", image, "one")
    client = registry.client
    manifest = await client.get_manifest("team/app", referrer.digest)
    assert await client.put_manifest("team/app", referrer.digest, manifest)
    assert not await client.put_manifest("team/app", "1.0", await client.get_manifest("team/app", image.digest))
