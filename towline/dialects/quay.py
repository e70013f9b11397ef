"""Quay's repository notifications (https://docs.redhat.com/en/documentation/red_hat_quay/).

They have no digest, no moment, no id and no type: a push is what has ``updated_tags``. Without a signature or a secret
but the hook's address they are good for hints only, one for each tag.
"""

from typing import Final

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted
from towline.dialects.telling import Telling

_PATHS: Final = {"tag": ""}


class _Message(Part):
    repository: str
    #: Names; old versions wrote an object from names to image ids.
    updated_tags: list[str] | dict[str, str] | None = None


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tags that were pushed, as hints.

    Raises:
        UnusableInputError: no registry is given, the body names no repository, or one of its tags cannot be.
    """
    telling = Telling("quay", registry, _PATHS)
    message = fitted(_Message, read_object(delivery.body))
    if not message.updated_tags:
        telling.passed("", "it has no updated_tags: a build, a scan, a mirroring or another notification of no push")
    for number, tag in enumerate(message.updated_tags or ()):
        telling.hinted(None, f"updated_tags.{number}", message.repository, tag=tag)
    return telling.translation()
