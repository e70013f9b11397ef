"""Webhooks of Alibaba Cloud's Container Registry (https://www.alibabacloud.com/help/en/acr/).

They have a digest, but nothing that says who sent them: whoever learns the hook's address could name an old image of
the repository. So a push is a hint, and the registry says what the tag has.
"""

from typing import Final

from towline.dialects.delivery import Delivery, Translation
from towline.dialects.jsonbytes import read_object
from towline.dialects.parts import Part
from towline.dialects.reasons import fitted
from towline.dialects.telling import Telling

_PATHS: Final = {"repository": "repository.repo_full_name", "tag": "push_data.tag"}


class _Push(Part):
    tag: str
    #: Without a zone, and so no moment; but it tells one push from the next.
    pushed_at: str | None = None


class _Repository(Part):
    repo_full_name: str


class _Message(Part):
    push_data: _Push
    repository: _Repository


def translate(delivery: Delivery, registry: str | None) -> Translation:
    """Return the tag that was pushed, as a hint.

    Raises:
        UnusableInputError: no registry is given, or the body is no push of a tag.
    """
    telling = Telling("aliyun", registry, _PATHS)
    message = fitted(_Message, read_object(delivery.body))
    push = message.push_data
    telling.hinted(push.pushed_at or None, "", message.repository.repo_full_name, tag=push.tag)
    return telling.translation()
