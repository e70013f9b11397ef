"""What came to belong to an image after it was copied: a signature is often made when the image is long there."""

from collections.abc import Sequence
from typing import Final

from schemas.references import Repository
from towline.registry.attachments import Attachments, layers_of, read_attachments
from towline.registry.client import RegistryClient
from towline.registry.errors import NotFoundError
from towline.registry.manifests import Manifest
from towline.registry.parallel import each
from towline.registry.referrers import find_attached

_LOOKS_AT_A_TIME: Final = 4


async def find_latecomers(
    source: RegistryClient,
    target: RegistryClient,
    *,
    origin: Repository,
    copied_to: Repository,
    image: Sequence[Manifest],
) -> Attachments:
    """Return everything that belongs to an image at the source, or nothing when the target has all of it.

    ``image`` is what the target has of it. Of the target only that is asked which the source has.

    Raises:
        TooLargeError: more, larger or in a longer chain than the bounds.
        RegistryError: a registry failed or refused.
    """
    found = await read_attachments(source, origin.name, image)

    async def lacks_tag(tag: str) -> bool:
        return await _lacks_tag(target, copied_to.name, tag, found)

    async def lacks_referrer(subject: str) -> bool:
        there = await find_attached(target, copied_to.name, subject)
        return any(entry["digest"] not in there.referrers for entry in found.referrers[subject])

    lacking = [
        *await each(list(found.tags), lacks_tag, at_a_time=_LOOKS_AT_A_TIME),
        *await each(list(found.referrers), lacks_referrer, at_a_time=_LOOKS_AT_A_TIME),
    ]
    return found if any(lacking) else Attachments()


async def _lacks_tag(target: RegistryClient, repository: str, tag: str, found: Attachments) -> bool:
    try:
        present = await target.resolve(repository, tag, push=True)
        if present == found.tags[tag]:
            return False
        # The target may have them together with others of its own.
        layers = layers_of(await target.get_manifest(repository, present, push=True))
    except NotFoundError:
        return True
    return any(layer not in layers for layer in layers_of(found.manifests[found.tags[tag]]))
