"""Dialects: how each sender tells what happened, turned into events of ours. Pure: no I/O, no clock.

A dialect is a function from a delivery to what it tells; :data:`DIALECTS` is the one list of them.
"""

from collections.abc import Mapping
from typing import Final

from towline.dialects import cloudevents, distribution
from towline.dialects.delivery import Delivery, Dialect, Hint, Translation
from towline.dialects.reasons import shown
from towline.errors import UnusableInputError

__all__ = ["DIALECTS", "Delivery", "Dialect", "Hint", "Translation", "translate"]

DIALECTS: Final[Mapping[str, Dialect]] = {
    "cloudevents": cloudevents.translate,
    "distribution": distribution.translate,
}


def translate(dialect: str, delivery: Delivery, registry: str | None) -> Translation:
    """Return what a delivery tells, all of it or nothing.

    ``registry`` is the name of the registry that the sender speaks for, None when it names the registry itself.

    Raises:
        UnusableInputError: the dialect is unknown, or any part of the delivery cannot be used.
    """
    read = DIALECTS.get(dialect)
    if read is None:
        raise UnusableInputError(f"dialect {shown(dialect)} is unknown; known are {', '.join(sorted(DIALECTS))}")
    return read(delivery, registry)
