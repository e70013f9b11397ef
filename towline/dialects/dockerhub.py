"""Docker Hub's webhooks (https://docs.docker.com/docker-hub/repos/manage/webhooks/).

They have no digest, no signature and no secret but the hook's address, so all that they are good for is a hint. The
``callback_url`` that they ask to be called is never called.
"""

from typing import Final

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object, spelled
from towline.dialects.moments import instant_of_seconds
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted
from towline.dialects.telling import Telling

_PATHS: Final = {"repository": "repository.repo_name", "tag": "push_data.tag", "actor": "push_data.pusher"}


class _Push(Part):
    tag: str
    pushed_at: int | float | None = None
    pusher: str | None = None


class _Repository(Part):
    repo_name: str


class _Message(Part):
    push_data: _Push
    repository: _Repository


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that was pushed, as a hint.

    Raises:
        UnusableInputError: no registry is given, or the body is no push of a tag.
    """
    telling = Telling("dockerhub", registry, _PATHS)
    message = fitted(_Message, read_object(delivery.body))
    push, name = message.push_data, message.repository.repo_name
    # The official images have no namespace in their names, but one in their references.
    telling.hinted(
        None if push.pushed_at is None else spelled(push.pushed_at),
        "",
        name if "/" in name else f"library/{name}",
        tag=push.tag,
        actor=push.pusher,
        occurred_at=instant_of_seconds(push.pushed_at),
    )
    return telling.translation()
