"""Files of subscriptions: YAML as people write it."""

from collections.abc import Collection
from typing import Final

import orjson
from pydantic import ValidationError

from schemas.webhooks import SubscriptionSet
from towline.errors import PolicyError
from towline.notify.check import problems_of
from towline.policy.advice import problems_of_shape
from towline.policy.document import placed, read_fields

_BEGINNING: Final = "a file of subscriptions begins with `subscriptions:` and a list"


def read_subscriptions(
    text: str,
    receivers: Collection[str] | None,
    registries: Collection[str] | None,
    name: str = "subscriptions",
) -> SubscriptionSet:
    """Return the set of a file's text, checked against the names of the receivers and registries in the settings.

    None for either: any name will do. ``name`` is the file's, for the problems.

    Raises:
        PolicyError: the text is not YAML, no file of subscriptions, or a subscription can never be right; with every
            problem found, each as ``NAME:LINE: PATH: what is wrong and what to write instead``.
    """
    tree, _ = read_fields(text, name, "subscriptions", _BEGINNING)
    try:
        subscriptions = SubscriptionSet.model_validate_json(orjson.dumps(tree.plain()))
        problems = problems_of(subscriptions, receivers, registries)
    except ValidationError as error:
        problems = problems_of_shape(error, tree)
    if problems:
        raise PolicyError([*placed(problems, tree, name)])
    return subscriptions
